"""PyMySQL (pure Python) or mysqlclient (libmariadb), by DB_MODULE: the DB API 2.0 as Django and SQLAlchemy use it."""
import hashlib
import os
import sys

name = os.environ["DB_MODULE"]
module = __import__(name)
big = int(os.environ.get("BIG_BYTES", 17 * 2**20))
tls = os.environ["DB_TLS"] == "1"
options = dict(host=os.environ["DB_HOST"], port=int(os.environ["DB_PORT"]), user=os.environ["DB_USER"],
               password=os.environ["DB_PASSWORD"], database=os.environ["DB_NAME"], charset="utf8mb4", local_infile=True)
if name == "pymysql":
    import ssl
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    options.update(ssl=context if tls else None, client_flag=module.constants.CLIENT.MULTI_STATEMENTS, max_allowed_packet=64 * 2**20)
    if not tls:
        options.update(ssl_disabled=True)
else:
    options.update(ssl_mode="REQUIRED" if tls else "DISABLED")
    options.pop("local_infile")
    options["local_infile"] = 1
try:
    connection = module.connect(**options)
except (module.NotSupportedError, TypeError):
    # mysqlclient on libmariadb knows no ssl_mode.
    options.pop("ssl_mode", None)
    if tls:
        options["ssl"] = {"cipher": "ALL:@SECLEVEL=1"}
    connection = module.connect(**options)
cursor = connection.cursor()


def show(value):
    return value.hex()[:100] if isinstance(value, (bytes, bytearray)) else repr(value)


def rows(sql, args=None):
    cursor.execute(sql, args)
    return [tuple(show(v) for v in row) for row in cursor.fetchall()]


def say(step, run):
    try:
        print(step + ":", run())
    except module.Error as error:
        print(step + ":", type(error).__name__, error.args)


say("server", lambda: rows("SELECT VERSION(), CURRENT_USER(), DATABASE(), @@autocommit, @@character_set_client"))
say("text types", lambda: rows("SELECT * FROM types ORDER BY id"))
say("description", lambda: (cursor.execute("SELECT * FROM types LIMIT 0"), [d[:2] + d[3:] for d in cursor.description]))
say("insert", lambda: (cursor.execute("INSERT INTO params (n, d, f, s, b) VALUES (%s, %s, %s, %s, _binary %s)",
                                      (2**53 + 1, "1.5", 0.1, "naïve 💡'\\", bytes([0, 39, 92, 255]))), cursor.rowcount, cursor.lastrowid))
say("many", lambda: (cursor.executemany("INSERT INTO params (n, s) VALUES (%s, %s)", [(i, "x%d" % i) for i in range(100)]), cursor.rowcount))
say("big", lambda: cursor.execute("INSERT INTO params (s, b) VALUES ('big', _binary %s)", (b"switchyard" * (big // 10),)))


def big_back():
    cursor.execute("SELECT b FROM params WHERE s = 'big'")
    value = cursor.fetchone()[0]
    return len(value), hashlib.sha256(value).hexdigest()


say("big back", big_back)
say("rollback", lambda: (connection.rollback(), rows("SELECT COUNT(*) FROM params")))
say("commit", lambda: (cursor.execute("INSERT INTO params (s) VALUES ('kept')"), connection.commit(), rows("SELECT COUNT(*) FROM params")))
say("syntax", lambda: rows("SELEC 1"))
say("duplicate", lambda: rows("INSERT INTO numbers VALUES (1, 'x')"))
say("no table", lambda: rows("SELECT * FROM nothing_here"))


def results():
    cursor.execute("CALL results(3, @out)")
    found = [cursor.fetchall()]
    while cursor.nextset():
        found.append(cursor.fetchall())
    return found, rows("SELECT @out")


say("procedure", results)
say("callproc", lambda: (cursor.callproc("results", (2, 0)), cursor.fetchall(), [cursor.nextset(), cursor.fetchall(), cursor.nextset()], rows("SELECT @_results_1")))
say("warnings", lambda: (rows("SELECT CAST('12x' AS SIGNED)"), rows("SHOW WARNINGS")))


def unbuffered():
    with connection.cursor(module.cursors.SSCursor) as streaming:
        streaming.execute("SELECT a.n FROM numbers a JOIN numbers b ON b.n < 3 ORDER BY 1")
        return sum(row[0] for row in streaming)


say("unbuffered", unbuffered)


def infile():
    path = "/tmp/conformance-%d.csv" % os.getpid()
    with open(path, "w") as file:
        file.write("30001,a\n30002,b\n")
    try:
        cursor.execute("LOAD DATA LOCAL INFILE '%s' INTO TABLE numbers FIELDS TERMINATED BY ','" % path)
        return cursor.rowcount, rows("SELECT * FROM numbers WHERE n > 30000")
    finally:
        os.unlink(path)


say("infile", infile)
say("autocommit", lambda: (connection.autocommit(True), rows("SELECT @@autocommit")))
say("ping", lambda: connection.ping())
say("select_db", lambda: (connection.select_db(os.environ["DB_NAME"]), rows("SELECT DATABASE()")))
connection.close()
sys.stdout.flush()
