import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { rowsOf } from './proxy-clients.ts';

/** Something that a client sets up on its connection, and how one sees whether it is there. */
export interface SessionStateCase {
  name: string;
  setUp: string[];
  /** Run in order; each answer, or error, has to be that of a session that never moved. */
  probe: string[];
  options?: ConnectionOptions;
  /** Every MariaDB that we take knows such a state as well, unless this is true. */
  mysqlOnly?: boolean;
}

const CHARSETS = `SELECT @@character_set_client, @@character_set_results, @@character_set_connection, @@collation_connection`;

export const SESSION_STATES: SessionStateCase[] = [
  {
    name: 'system variables of every type, in the order in which they depend on each other',
    setUp: [
      `SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+03:00', group_concat_max_len = 77`,
      `SET @@SESSION.lock_wait_timeout = 5000, foreign_key_checks = 0`,
      `SET sql_select_limit = 3`,
      `SET long_query_time = 1.5, default_week_format = 3, lc_time_names = 'de_DE', div_precision_increment = 7`,
      `SET SESSION sql_mode = CONCAT(@@sql_mode, ',PAD_CHAR_TO_FULL_LENGTH')`,
    ],
    probe: [
      `SELECT @@sql_mode, @@time_zone, @@group_concat_max_len, @@lock_wait_timeout, @@foreign_key_checks,
        @@sql_select_limit, @@long_query_time, DATE_FORMAT('2020-05-01', '%W %M %U'), 1/7, '\\n'`,
      `SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4`,
    ],
  },
  { name: 'unique checks', setUp: ['SET unique_checks = OFF'], probe: ['SELECT @@unique_checks'], mysqlOnly: true },
  {
    name: 'the time limit of a SELECT',
    setUp: ['SET max_execution_time = 5000'],
    probe: ['SELECT @@max_execution_time'],
    mysqlOnly: true,
  },
  {
    name: 'a variable set back to its default',
    setUp: ['SET SESSION wait_timeout = 99', 'SET SESSION wait_timeout = DEFAULT'],
    probe: ['SELECT @@wait_timeout'],
  },
  ...[
    'SET NAMES latin1',
    'SET NAMES utf8mb4',
    'SET NAMES utf8mb4 COLLATE utf8mb4_0900_bin',
    'SET NAMES binary',
    'SET CHARACTER SET latin1',
    'SET character_set_results = NULL',
    `SET character_set_client = latin1, collation_connection = 'utf8mb4_ja_0900_as_cs_ks'`,
  ].map((sql) => ({
    name: sql,
    setUp: [sql],
    probe: [CHARSETS, `SELECT HEX('e'), COLLATION('e')`],
    mysqlOnly: sql.includes('_0900_'),
  })),
  ...['latin1_german2_ci', 'utf8mb4_bin', 'utf8_unicode_ci'].map((charset) => ({
    name: `character set ${charset} of the login`,
    setUp: [],
    probe: [CHARSETS],
    options: { charset },
  })),
  {
    name: 'user variables of every type, binary-safe',
    setUp: [
      `SET @text = 'grüße', @number = -42, @big = 18446744073709551615, @decimal = 1.50, @double = 1.5e0, @nothing = NULL`,
      `SET @bytes = X'00ff27', @latin = _latin1 X'e9' COLLATE latin1_bin, @\`odd \`\` name\` = 'o''dd', @invalid = X'c3'`,
      `SELECT name, 7 INTO @name, @seven FROM whoami`,
      `SELECT @assigned := CONVERT('x' USING ucs2)`,
      `SET @json = JSON_OBJECT('a', 1), @date = DATE '2020-02-03', @bit = b'101', @huge = 1e300, @point = ST_AsBinary(POINT(1, 2))`,
    ],
    probe: [
      `SELECT HEX(@text), @number, @big, @decimal, @double, @nothing, HEX(@bytes), HEX(@latin), CHARSET(@latin), COLLATION(@latin),
        @\`odd \`\` name\`, HEX(@invalid), CHARSET(@invalid), @name, @seven, HEX(@assigned), CHARSET(@assigned), @huge, HEX(@point),
        HEX(@json), CHARSET(@json), @date, HEX(@bit), @decimal / 3, @big + 0, @double / 3`,
    ],
  },
  {
    name: 'statements of PREPARE: quotes, from a variable, in the schema of their time, deallocated',
    setUp: [
      `PREPARE quoted FROM 'SELECT ''it''''s'' AS a, ? AS b, "\\\\n" AS c'`,
      `SET @sql = 'SELECT CONCAT(name, ''ä'', ?) AS a FROM whoami', @b = 5`,
      'PREPARE from_variable FROM @sql',
      'USE other',
      `PREPARE elsewhere FROM 'SELECT name FROM whoami'`,
      'USE app',
      `SET @sql = 'gone'`,
      `PREPARE gone FROM 'SELECT 1'`,
      'DEALLOCATE PREPARE gone',
    ],
    probe: [
      'EXECUTE quoted USING @b',
      'EXECUTE from_variable USING @b',
      'EXECUTE elsewhere',
      'EXECUTE gone',
      'SELECT DATABASE(), @sql',
    ],
  },
  {
    name: 'LAST_INSERT_ID set by an expression',
    setUp: ['SELECT LAST_INSERT_ID(18446744073709551615)'],
    probe: ['SELECT LAST_INSERT_ID(), @@identity'],
  },
  {
    name: 'an isolation level for the next transaction, not used up by statements without tables',
    setUp: ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY', 'SELECT 1', 'SET @a = 1', 'DO 1'],
    probe: ['INSERT INTO t (n) VALUES (1)', 'INSERT INTO t (n) VALUES (1)', 'SELECT @@transaction_isolation'],
  },
  {
    name: 'the same by a variable without a scope',
    setUp: [`SET @@transaction_read_only = 1, sort_buffer_size = 50000`],
    probe: ['INSERT INTO t (n) VALUES (1)', 'INSERT INTO t (n) VALUES (1)', 'SELECT @@sort_buffer_size'],
    mysqlOnly: true,
  },
  {
    name: 'an isolation level that was used up',
    setUp: ['SET TRANSACTION READ ONLY', 'SELECT * FROM whoami'],
    probe: ['INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'an isolation level that a transaction used up, and the one after it',
    setUp: [
      'SET TRANSACTION READ ONLY',
      'START TRANSACTION',
      'SELECT * FROM whoami',
      'COMMIT',
      'SET TRANSACTION READ ONLY',
    ],
    probe: ['INSERT INTO t (n) VALUES (1)', 'INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'isolation and access mode of the session',
    setUp: [`SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY`],
    probe: ['SELECT @@transaction_isolation, @@transaction_read_only', 'INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'autocommit off',
    setUp: ['SET autocommit = 0'],
    probe: ['SELECT @@autocommit', 'INSERT INTO t (n) VALUES (99)', 'ROLLBACK', 'SELECT * FROM t WHERE n = 99'],
  },
  {
    name: 'variables set by @@ without a scope',
    setUp: [`SET @@sql_mode = 'ANSI_QUOTES', @@time_zone := '+05:00'`, 'SET @@`div_precision_increment` = 2'],
    probe: ['SELECT @@sql_mode, @@time_zone, 1/3'],
  },
  { name: 'the role', setUp: ['SET ROLE reader'], probe: ['SELECT CURRENT_ROLE()'] },
  { name: 'no schema', setUp: [], probe: ['SELECT DATABASE()', 'SELECT * FROM t'], options: { database: '' } },
  { name: 'timestamp', setUp: ['SET timestamp = 1000000000.5'], probe: ['SELECT UNIX_TIMESTAMP(NOW(1))'] },
  {
    name: 'trackers that the client chose itself, together with other variables',
    setUp: [
      `SET session_track_schema = 1, session_track_system_variables = 'autocommit', sql_mode = 'ANSI_QUOTES', div_precision_increment = 2`,
      `SET time_zone = '+05:00'`,
      'SET session_track_state_change = 0, session_track_transaction_info = STATE',
      'USE other',
      'SET @kept = 1',
    ],
    probe: [
      'SELECT @@sql_mode, @@time_zone, DATABASE(), @kept, 1/3, @@session_track_transaction_info, @@session_track_schema',
    ],
  },
  {
    name: 'warnings of a statement',
    setUp: [`SELECT CAST('x' AS SIGNED), 1/0`],
    probe: ['SHOW COUNT(*) WARNINGS', 'SHOW WARNINGS', 'SHOW WARNINGS LIMIT 1', 'SELECT DATABASE()'],
  },
  {
    name: 'warnings beside variables that have to be read, and with characters beyond ASCII',
    setUp: ['SET @x = 1', `SELECT CAST('äx' AS SIGNED) INTO @y`],
    probe: ['SHOW WARNINGS', 'SHOW WARNINGS', 'SELECT @@warning_count', 'SHOW WARNINGS'],
  },
  {
    name: 'an error',
    setUp: ['SELECT * FROM missing'],
    probe: ['SHOW ERRORS', 'SHOW WARNINGS', 'SELECT @@error_count AS errors', 'SELECT DATABASE()'],
  },
  {
    name: 'ROW_COUNT()',
    setUp: ['INSERT INTO t (n) VALUES (5), (6)'],
    probe: ['SELECT ROW_COUNT() AS n', 'SELECT ROW_COUNT()'],
  },
  { name: 'ROW_COUNT() after rows', setUp: ['SELECT * FROM whoami'], probe: ['select row_count() `n`;'] },
  {
    name: 'FOUND_ROWS()',
    setUp: ['SELECT SQL_CALC_FOUND_ROWS * FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3) AS three LIMIT 1'],
    probe: ['SELECT FOUND_ROWS()', 'SELECT FOUND_ROWS()'],
  },
];

/** Rows, or the error. */
export async function outcome(connection: Connection, sql: string): Promise<unknown> {
  return rowsOf(connection, sql).then(
    (rows) => JSON.parse(JSON.stringify(rows, (key, value: unknown) => (key === 'insertId' ? undefined : value))),
    (error: { errno?: number; message?: string }) => ({ errno: error.errno, message: error.message }),
  );
}
