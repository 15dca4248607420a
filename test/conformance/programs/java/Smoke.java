// MariaDB Connector/J through JDBC: client and server prepared statements, batches, streaming, callable statements.
import java.sql.*;
import java.util.*;

public class Smoke {
  interface Step { Object run() throws SQLException; }

  static String prefix;

  static void say(String step, Step run) {
    try {
      System.out.println(prefix + " " + step + ": " + run.run());
    } catch (SQLException e) {
      System.out.println(prefix + " " + step + ": " + e.getErrorCode() + " " + e.getSQLState() + " " + e.getMessage().replaceAll("\\(conn=\\d+\\)", "").replaceAll("\\s+", " "));
    }
  }

  static String rows(ResultSet r) throws SQLException {
    StringBuilder out = new StringBuilder();
    ResultSetMetaData meta = r.getMetaData();
    for (int i = 1; i <= meta.getColumnCount(); i++) out.append(meta.getColumnLabel(i)).append('/').append(meta.getColumnTypeName(i)).append('/').append(meta.getPrecision(i)).append(' ');
    while (r.next()) {
      for (int i = 1; i <= meta.getColumnCount(); i++) out.append(r.getString(i)).append(';');
      out.append('|');
    }
    return out.toString();
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> env = System.getenv();
    for (String server : new String[] {"false", "true"}) {
      prefix = "server=" + server;
      String url = "jdbc:mariadb://" + env.get("DB_HOST") + ":" + env.get("DB_PORT") + "/" + env.get("DB_NAME")
          + "?allowPublicKeyRetrieval=true&allowMultiQueries=true&allowLocalInfile=true&useServerPrepStmts=" + server
          + (env.get("DB_TLS").equals("1") ? "&useSsl=true&trustServerCertificate=true" : "&useSsl=false");
      try (Connection db = DriverManager.getConnection(url, env.get("DB_USER"), env.get("DB_PASSWORD"))) {
        Statement s = db.createStatement();
        say("server", () -> rows(s.executeQuery("SELECT VERSION(), CURRENT_USER(), DATABASE()")));
        say("meta", () -> db.getMetaData().getDatabaseProductVersion() + " " + rows(db.getMetaData().getColumns(null, null, "params", "%")).length());
        say("types", () -> { PreparedStatement p = db.prepareStatement("SELECT id, tiny, big, big_u, dec_, dbl, day_, moment, yr, ch, vc, latin, txt, HEX(blb), en, st, js FROM types WHERE id >= ? ORDER BY id"); p.setInt(1, 1); return rows(p.executeQuery()); });
        say("insert", () -> { PreparedStatement p = db.prepareStatement("INSERT INTO params (n, d, f, s, b) VALUES (?, ?, ?, ?, ?)", Statement.RETURN_GENERATED_KEYS); p.setLong(1, Long.MAX_VALUE); p.setString(2, "1.5"); p.setDouble(3, 0.1); p.setString(4, "é💡'"); p.setBytes(5, new byte[] {0, 39, -1}); p.executeUpdate(); return rows(p.getGeneratedKeys()); });
        say("batch", () -> { PreparedStatement p = db.prepareStatement("INSERT INTO params (n, s) VALUES (?, ?)"); for (int i = 0; i < 50; i++) { p.setInt(1, i); p.setString(2, "x" + i); p.addBatch(); } return p.executeBatch().length; });
        say("transaction", () -> { db.setAutoCommit(false); s.executeUpdate("DELETE FROM params"); db.rollback(); db.setAutoCommit(true); return rows(s.executeQuery("SELECT COUNT(*) FROM params")); });
        say("duplicate", () -> s.executeUpdate("INSERT INTO numbers VALUES (1, 'x')"));
        say("syntax", () -> s.executeQuery("SELEC 1"));
        say("call", () -> { CallableStatement c = db.prepareCall("{call results(?, ?)}"); c.setInt(1, 3); c.registerOutParameter(2, Types.INTEGER); c.execute(); String first = rows(c.getResultSet()); c.getMoreResults(); return first + rows(c.getResultSet()) + c.getInt(2); });
        say("multi", () -> { s.execute("SELECT 1; SELECT 2"); String first = rows(s.getResultSet()); s.getMoreResults(); return first + rows(s.getResultSet()); });
        say("streaming", () -> { Statement t = db.createStatement(); t.setFetchSize(100); ResultSet r = t.executeQuery("SELECT n FROM numbers"); long sum = 0; while (r.next()) sum += r.getInt(1); return sum; });
        say("timeout", () -> { Statement t = db.createStatement(); t.setQueryTimeout(1); try { t.executeQuery("SELECT SLEEP(4)"); return "no error"; } catch (SQLException e) { return e.getClass().getSimpleName(); } });
        say("isolation", () -> { db.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED); db.setReadOnly(false); return db.getTransactionIsolation(); });
        say("valid", () -> db.isValid(2));
      }
    }
  }
}
