// go-sql-driver through database/sql: pool, prepared statements, transactions, interpolation.
package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

func main() {
	for _, interpolate := range []string{"false", "true"} {
		tls := "false"
		if os.Getenv("DB_TLS") == "1" {
			tls = "skip-verify"
		}
		dsn := fmt.Sprintf("%s:%s@tcp(%s:%s)/%s?tls=%s&multiStatements=true&interpolateParams=%s&charset=utf8mb4&maxAllowedPacket=0",
			os.Getenv("DB_USER"), os.Getenv("DB_PASSWORD"), os.Getenv("DB_HOST"), os.Getenv("DB_PORT"), os.Getenv("DB_NAME"), tls, interpolate)
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			panic(err)
		}
		db.SetMaxOpenConns(3)
		run(db, "interpolate="+interpolate)
		db.Close()
	}
}

func run(db *sql.DB, prefix string) {
	say := func(step string, value any, err error) {
		if e, ok := err.(*mysql.MySQLError); ok {
			fmt.Println(prefix, step, e.Number, string(e.SQLState[:]), e.Message)
		} else if err != nil {
			fmt.Println(prefix, step, "error", err)
		} else {
			fmt.Println(prefix, step, value)
		}
	}
	ctx := context.Background()
	v, err := rows(db, "SELECT VERSION(), CURRENT_USER(), DATABASE()")
	say("server", v, err)
	v, err = rows(db, "SELECT id, tiny, big, big_u, dec_, flt, dbl, flag, day_, clock, moment, yr, ch, vc, latin, txt, HEX(blb), en, st, js FROM types WHERE id >= ? ORDER BY id", 1)
	say("types", v, err)
	r, err := db.Exec("INSERT INTO params (n, d, f, s, b, t) VALUES (?, ?, ?, ?, ?, ?)", int64(1)<<60, "1.5", 0.1, "naïve 💡'", []byte{0, 39, 92, 255}, time.Unix(1e9, 5000).UTC())
	say("insert", affected(r), err)
	v, err = rows(db, "SELECT n, d, f, s, HEX(b), t FROM params ORDER BY id DESC LIMIT 1")
	say("read", v, err)
	size, _ := strconv.Atoi(os.Getenv("BIG_BYTES"))
	if size == 0 {
		size = 17 << 20
	}
	r, err = db.Exec("INSERT INTO params (s, b) VALUES ('big', ?)", strings.Repeat("switchyard", size/10))
	say("big", affected(r), err)
	var big []byte
	err = db.QueryRow("SELECT b FROM params WHERE s = 'big' LIMIT 1").Scan(&big)
	say("big back", fmt.Sprintf("%d %x", len(big), sha256.Sum256(big)), err)
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err == nil {
		_, err = tx.Exec("DELETE FROM params")
		tx.Rollback()
	}
	v, _ = rows(db, "SELECT COUNT(*) FROM params")
	say("transaction", v, err)
	_, err = db.Exec("INSERT INTO numbers VALUES (1, 'x')")
	say("duplicate", "no error", err)
	_, err = db.Exec("SELEC 1")
	say("syntax", "no error", err)
	_, err = rows(db, "SELECT * FROM nothing_here WHERE id = ?", 1)
	say("no table", "no error", err)
	found, err := db.Query("CALL results(3, @out)")
	if err == nil {
		sets := 0
		for ok := true; ok; ok = found.NextResultSet() {
			for found.Next() {
				sets++
			}
		}
		err = found.Err()
		found.Close()
		say("procedure", sets, err)
	} else {
		say("procedure", "", err)
	}
	statement, err := db.Prepare("SELECT s FROM numbers WHERE n = ?")
	sum := ""
	for n := 0; err == nil && n < 300; n++ {
		var s string
		if err = statement.QueryRow(n * 3).Scan(&s); err == nil {
			sum += s[:1]
		}
	}
	say("prepared", sum, err)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	_, err = db.ExecContext(short, "DO SLEEP(5)")
	cancel()
	fmt.Println(prefix, "cancelled", err != nil)
	say("ping", "ok", db.Ping())
}

func affected(r sql.Result) string {
	if r == nil {
		return ""
	}
	n, _ := r.RowsAffected()
	return fmt.Sprint(n)
}

func rows(db *sql.DB, query string, values ...any) (string, error) {
	found, err := db.Query(query, values...)
	if err != nil {
		return "", err
	}
	defer found.Close()
	columns, _ := found.ColumnTypes()
	out := ""
	for _, c := range columns {
		nullable, _ := c.Nullable()
		out += fmt.Sprint(c.Name(), "/", c.DatabaseTypeName(), "/", nullable, " ")
	}
	for found.Next() {
		cells := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := found.Scan(into...); err != nil {
			return "", err
		}
		for _, c := range cells {
			out += fmt.Sprint(c.Valid, "=", c.String, ";")
		}
	}
	return out, found.Err()
}
