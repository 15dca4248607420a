import type { SeededRandom } from '../property/seeded-random.ts';
import type { SessionStep } from './session-step.ts';
import {
  ANYWHERE,
  CHARSETS,
  CHARSETS_OF_ONE_COLLATION,
  MARIADB_ONLY,
  MYSQL_ONLY,
  SQL_MODES,
} from './variable-values.ts';

export interface StepChoice {
  random: SeededRandom;
  onMariaDb: boolean;
  /** To be taken by both flavors, with the same effect. */
  isMixed: boolean;
}

/** The names of user variables; the battery asks for them all. */
export const USER_VARIABLES = ['a', 'b', 'c', '`odd `` name`', "'quoted'", 'out1', 'p', 'f', 'Big'];

type Texts = readonly (readonly [weight: number, make: (choice: StepChoice) => string])[];

const EVERYWHERE: Texts = [
  [14, setVariables],
  [10, setUserVariables],
  [4, (choice) => `SELECT ${value(choice)} INTO @${choice.random.pick(USER_VARIABLES)}`],
  [3, (choice) => `SELECT @${choice.random.pick(USER_VARIABLES)} := ${value(choice)}`],
  [2, ({ random }) => `SELECT n, @b := n + 1 FROM three WHERE (@a := n) > ${random.int(0, 3)}`],
  [5, setNames],
  [3, ({ random }) => `USE ${random.pick(['PLACE', 'PLACE_other', '`PLACE`'])}`],
  [4, ({ random, isMixed }) => random.pick(isMixed ? FAILURES.filter((text) => !HALF_DONE.test(text)) : FAILURES)],
  [4, ({ random }) => random.pick(READS)],
  [5, prepareText],
  [1, ({ random }) => random.pick(WITH_PARAMETERS)],
  [3, ({ random }) => `EXECUTE ${random.pick(['p1', 'P2', '`p3`'])}`],
  [1, ({ random }) => `${random.pick(['DEALLOCATE', 'DROP'])} PREPARE ${random.pick(['p1', 'p2'])}`],
  [3, ({ random }) => random.pick(TRANSACTIONS)],
  [2, ({ random }) => random.pick(NEXT_TRANSACTION)],
  [2, ({ random }) => random.pick(INSERTS)],
  [2, ({ random }) => random.pick(INSERT_IDS)],
  [1, ({ random }) => random.pick(ROLES)],
  [1.5, ({ random }) => random.pick(TEMPORARY)],
  [1.5, ({ random }) => random.pick(LOCKS)],
  [5, ({ random }) => random.pick(ROUTINES)],
  [
    1,
    ({ random }) =>
      random.pick(['CREATE DATABASE IF NOT EXISTS PLACE_gone', 'USE PLACE_gone', 'DROP DATABASE PLACE_gone']),
  ],
  [1, ({ random }) => random.pick(TRACKERS)],
  [1, ({ random }) => random.pick(CHANGING)],
  [0.5, ({ random }) => random.pick(HANDLERS)],
  [0.5, ({ random }) => random.pick(['LOCK TABLES w READ', 'UNLOCK TABLES', '/*!50000 UNLOCK */ TABLES'])],
];

const ON_MARIADB: Texts = [...EVERYWHERE, [5, ({ random }) => random.pick(MARIADB_TEXTS)]];

export function randomStep(choice: StepChoice, preparedMax: number): SessionStep {
  const { random } = choice;
  const kind = random.weighted([
    [60, 'query'],
    [6, 'several'],
    [8, 'prepare'],
    [preparedMax > 0 ? 14 : 0, 'statement'],
    [2, 'init-db'],
    // It brings the server's own default character set.
    [choice.isMixed ? 0 : 1, 'reset-connection'],
    [1, 'change-user'],
    [0.3, 'set-option'],
  ] as const);
  switch (kind) {
    case 'query':
      return { kind, text: randomText(choice) };
    case 'several':
      return { kind: 'query', text: random.times(random.int(2, 3), () => randomText(choice)).join('; ') };
    case 'prepare':
      return { kind, text: random.pick(BINARY)(random) };
    case 'statement':
      return statementStep(random, random.int(0, preparedMax - 1));
    case 'init-db':
      return { kind, schema: random.pick(['PLACE', 'PLACE_other']) };
    case 'set-option':
      return { kind, multiStatements: random.chance(0.5) };
    case 'change-user':
      return { kind, collation: random.pick(choice.onMariaDb ? [8, 28, 45, 83] : [8, 28, 45, 83, 255]) };
    default:
      return { kind };
  }
}

function statementStep(random: SeededRandom, nth: number): SessionStep {
  const kind = random.weighted([
    [10, 'execute'],
    [1, 'close'],
    [1, 'reset-statement'],
    [1, 'fetch'],
    [0.5, 'long-data'],
  ] as const);
  if (kind === 'long-data') return { kind, nth, text: 'sent ahead' };
  if (kind !== 'execute') return { kind, nth };
  return { kind, nth, parameter: random.pick(['x', null, 7]), cursor: random.chance(0.1) };
}

function randomText(choice: StepChoice): string {
  const { onMariaDb, isMixed } = choice;
  const text = choice.random.weighted(onMariaDb && !isMixed ? ON_MARIADB : EVERYWHERE)(choice);
  return choice.random.weighted([
    [10, text],
    [1, `/* SET @a = 1; ' */ ${text}`],
    [1, `  -- '\n${text} # "`],
    [0.7, `/*!50000 ${text} */`],
    [0.5, `${text};`],
  ]);
}

function setVariables(choice: StepChoice): string {
  const { random } = choice;
  return `${random.pick(['SET', 'set', 'SET '])} ${random
    .times(
      random.weighted([
        [6, 1],
        [2, 2],
        [1, 3],
      ]),
      () => (random.chance(0.2) ? userAssignment(choice) : assignment(choice)),
    )
    .join(', ')}`;
}

function assignment({ random, onMariaDb, isMixed }: StepChoice): string {
  const ofOne = onMariaDb ? MARIADB_ONLY : MYSQL_ONLY;
  const [name, values] = random.pick([...ANYWHERE, ...(isMixed ? [] : ofOne)]);
  const said = random.weighted([
    [6, name],
    [2, name.toUpperCase()],
    [1, `\`${name}\``],
  ]);
  const target = random.weighted([
    [3, said],
    [2, `SESSION ${said}`],
    [1, `LOCAL ${said}`],
    [2, `@@${said}`],
    [2, `@@session.${said}`],
    [1, `@@LOCAL.${said}`],
    [0.5, `@@session . ${said}`],
  ]);
  const written = random.pick(isMixed ? values.filter(isItsOwn) : values);
  const ofDefault = isMixed ? 0 : 1;
  const assigned = random.weighted([
    [10, written],
    [2 * ofDefault, 'DEFAULT'],
    [ofDefault, `@@global.${name}`],
    [1, /^[\d.]+$/.test(written) ? `${written} + 0` : written],
    [1, /^\d+$/.test(written) ? `(SELECT ${written})` : written],
    [ofDefault, `@@${name}`],
  ]);
  return `${target}${random.pick([' = ', '=', ' := ', ' /* = */ = '])}${assigned}`;
}

function setUserVariables(choice: StepChoice): string {
  return `SET ${choice.random.times(choice.random.int(1, 2), () => userAssignment(choice)).join(', ')}`;
}

function userAssignment(choice: StepChoice): string {
  const { random } = choice;
  return `@${random.pick(USER_VARIABLES)} ${random.pick(['=', ':='])} ${value(choice)}`;
}

function value({ random, isMixed }: StepChoice): string {
  return random.pick(isMixed ? VALUES.filter(isItsOwn) : VALUES);
}

/** Made of no default of its server, neither by name nor as that of a character set, and of the same type and precision on each. */
function isItsOwn(written: string): boolean {
  return !/@@s|USING (?:ucs2|utf16)|^\d+\/\d+$|JSON_/.test(written);
}

const VALUES = [
  '1', '-42', '0', '18446744073709551615', '9223372036854775808', '1.50', '1.5e0', '1e300', '-1e-300', '0e0', 'NULL', 'TRUE',
  `''`, `'text'`, `"a"`, String.raw`'a\\b'`, String.raw`'C:\dir'`, `'it''s'`, `'\xc3\xa9'`, `'\x95\x5c'`, `N'n'`,
  `_latin1 X'e9' COLLATE latin1_bin`, `_utf8mb4 'u' COLLATE utf8mb4_bin`, 
  `X'00ff27'`, `b'101'`, `_binary 'x\\0y'`, `CAST('x' AS BINARY)`, `CAST(5 AS UNSIGNED)`, `CAST(1.5 AS DECIMAL(20,10))`, `DATE '2020-02-03'`,
  `TIMESTAMP '2020-02-03 04:05:06.5'`, `TIME '-10:11:12'`, `CAST(NULL AS SIGNED)`, `REPEAT('x', 300)`, `@a`, `@b`, 
  `DATABASE()`, `(SELECT MAX(n) FROM three)`, `LAST_INSERT_ID()`, `CONCAT('x', @a)`, `@a + 1`, `0x41`, `CHARSET('x')`, `PI()`, `18446744073709551616`,
  `99999999999999999999999999999999999999999999999999999999999999999`, `1e-5`, `CAST('2020-01-01' AS DATE) + 0`, `IF(1, 5, 'x')`, `ABS(-9223372036854775807)`,
  '1/3', '10/4', '@@sql_mode', '@@sort_buffer_size', '-0.000', `JSON_OBJECT('a', 1)`, 'POINT(1, 2)', `CONVERT('x' USING ucs2)`, `CONVERT('x' USING utf16)`,
  `CONVERT(NULL USING latin1)`, `CAST(NULL AS DOUBLE)`, '(SELECT n FROM three WHERE n > 5)', `MAKETIME(1, 2, 3)`, `_utf8mb4 'u' COLLATE utf8mb4_general_ci`,
]; // prettier-ignore

function setNames({ random, onMariaDb, isMixed }: StepChoice): string {
  const charset = random.pick(isMixed ? CHARSETS_OF_ONE_COLLATION : CHARSETS);
  return random.pick([
    `SET NAMES ${charset}`,
    `SET NAMES '${charset}'`,
    onMariaDb ? 'SET NAMES utf8mb4 COLLATE utf8mb4_bin' : `SET NAMES utf8mb4 COLLATE utf8mb4_ja_0900_as_cs`,
    'SET NAMES latin1 COLLATE latin1_german2_ci',
    `SET CHARACTER SET ${charset}`,
    ...(isMixed ? [] : ['SET NAMES DEFAULT']),
    `SET character_set_results = ${random.pick(['NULL', 'latin1', 'binary'])}`,
    `SET collation_connection = ${random.pick(['latin1_bin', 'utf8mb4_unicode_ci', 'gbk_bin'])}`,
    `SET character_set_connection = ${charset}, @@session.character_set_client = ${charset}`,
    `SET @a = 1, NAMES ${charset}, sort_buffer_size = 60000`,
  ]);
}

const FAILURES = [
  'SELECT * FROM missing',
  'SELECT',
  'SET nonsense = 1',
  'SET @a = 1, nonsense = 2',
  `SET sql_mode = 'BAD'`,
  `SET @c = 'assigned', sql_mode = 'BAD'`,
  `SET sort_buffer_size = 70000, @b = (SELECT 1 UNION SELECT 2)`,
  `SELECT @a := 9, (SELECT n FROM three)`,
  `SELECT 5, (SELECT n FROM three) INTO @b, @c`,
  `INSERT INTO w (n) VALUES ('x')`,
  'USE missing_schema',
  'SET NAMES nonsense',
  'EXECUTE nothing',
  `PREPARE p1 FROM 'SELECT FROM'`,
];

/** By one flavor and not by the other. */
const HALF_DONE = /sort_buffer|INTO @|assigned/;

const READS = [
  'SELECT 1',
  'SELECT * FROM three',
  `SELECT CAST('x' AS SIGNED), 1/0`,
  'SELECT SQL_CALC_FOUND_ROWS n FROM three LIMIT 1',
  'SHOW WARNINGS',
  'DO 1',
  'SELECT LAST_INSERT_ID()',
  'SELECT DATABASE()',
  'SELECT ROW_COUNT()',
  'SHOW ERRORS',
  'SHOW COUNT(*) WARNINGS',
  'SELECT @@warning_count',
  'SELECT @@error_count',
  'SHOW WARNINGS LIMIT 1',
  'SELECT ROW_COUNT() + 1, LAST_INSERT_ID()',
  'SET @a = ROW_COUNT()',
  'SELECT IF(@@warning_count > 0, -1, @@error_count), 5 AS n',
  'GET DIAGNOSTICS @c = ROW_COUNT',
  'SHOW ERRORS LIMIT 1; SHOW WARNINGS',
  'SET @b = ROW_COUNT(); SELECT @b, ROW_COUNT()',
  'KILL 999999999',
];

function prepareText({ random }: StepChoice): string {
  const name = random.pick(['p1', 'p2', 'P2', '`p3`']);
  const source = random.pick([
    `'SELECT 1'`,
    `'SELECT n FROM three'`,
    `'SELECT DATABASE(), ''it''''s'''`,
    `'SELECT "a"'`,
    String.raw`'SELECT ''a\\nb'''`,
    `'SET @p = 5'`,
    `'SET sql_mode = ''ANSI_QUOTES'''`,
    `'SELECT 1 || 2'`,
    `'SELECT @a := 3'`,
    `'SELECT 6 INTO @f'`,
    `'INSERT INTO w (n) VALUES (1)'`,
    `"SELECT 'double'"`,
    `'SELECT ''\xc3\xa9'''`,
    `'SELECT LAST_INSERT_ID(77)'`,
    `'CREATE TEMPORARY TABLE tmp (a INT)'`,
    `'SELECT FROM'`,
    '@sql',
    '@sql2',
    '@nothing',
  ]);
  const assigned = random.pick([`'SELECT 8'`, `'SELECT "v"'`, `CONCAT('SELECT ', 9)`, `'SET @c = 12'`, 'NULL']);
  return `${random.chance(0.3) ? `SET @sql = ${assigned}; ` : ''}PREPARE ${name} FROM ${source}`;
}

const TRANSACTIONS = [
  'BEGIN',
  'START TRANSACTION READ ONLY',
  'START TRANSACTION WITH CONSISTENT SNAPSHOT',
  'COMMIT',
  'ROLLBACK',
  'COMMIT AND CHAIN',
  'SAVEPOINT s',
  'ROLLBACK TO s',
];

const NEXT_TRANSACTION = [
  'SET TRANSACTION READ ONLY',
  'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
  'SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY',
  'SET /* next */ TRANSACTION READ WRITE',
  'SET SESSION TRANSACTION READ ONLY',
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE',
  'SET LOCAL TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  'SET @@transaction_read_only = 1',
  'SET @@`transaction_read_only` = 1',
  `SET @@transaction_isolation := 'SERIALIZABLE'`,
  `SET @@Transaction_Isolation = 'READ-COMMITTED', @a = 6`,
];

const INSERTS = [
  'INSERT INTO w (n) VALUES (1), (2)',
  'UPDATE w SET n = 3 WHERE n = 99',
  `INSERT IGNORE INTO w (n) VALUES ('x')`,
  'DELETE FROM w WHERE n = 98',
];

const INSERT_IDS = [
  'INSERT INTO numbered (n) VALUES (1)',
  'INSERT INTO numbered (n) VALUES (1), (2), (3)',
  'INSERT INTO numbered (id, n) VALUES (NULL, 4)',
  'SELECT LAST_INSERT_ID(18446744073709551615)',
  'SELECT LAST_INSERT_ID(n) FROM three',
  'UPDATE w SET n = LAST_INSERT_ID(44) WHERE n = 1',
  'DO `LAST_INSERT_ID`(7)',
  'SET @@session.last_insert_id = 5',
  'SET insert_id = 5',
];

const ROLES = [
  'SET ROLE reader',
  'SET ROLE NONE',
  'SET ROLE DEFAULT',
  `SET ROLE 'reader'`,
  'SET ROLE ALL',
  'SET ROLE missing',
];

const TEMPORARY = [
  'CREATE TEMPORARY TABLE tmp (a INT)',
  'CREATE TEMPORARY TABLE IF NOT EXISTS tmp (a INT)',
  'CREATE TEMPORARY TABLE tmp SELECT @a AS a',
  'CREATE /*!50000 TEMPORARY */ TABLE `tmp` (a INT)',
  'DROP TABLE tmp',
  'DROP TABLE IF EXISTS tmp, missing',
  'DROP TEMPORARY TABLE IF EXISTS tmp',
  'ALTER TABLE tmp RENAME tmp2',
  'DROP TEMPORARY TABLE IF EXISTS tmp2',
  'TRUNCATE tmp',
  'DROP TEMPORARY TABLE IF EXISTS tmp; CREATE TEMPORARY TABLE tmp (a INT)',
  'DROP TABLE IF EXISTS tmp; CREATE TEMPORARY TABLE IF NOT EXISTS tmp (a INT)',
];

const LOCKS = [
  `SELECT GET_LOCK('PLACE_lock', 0)`,
  `DO GET_LOCK('PLACE_lock', 0), GET_LOCK('PLACE_lock2', 0)`,
  `SELECT GET_LOCK(CONCAT('PLACE_lock', n), 0) FROM three`,
  `SELECT GET_LOCK('PLACE_lock', 0) FROM three`,
  `SELECT GET_LOCK('PLACE_lock', 0), (SELECT n FROM three)`,
  `SELECT RELEASE_LOCK('PLACE_lock')`,
  `SELECT RELEASE_LOCK(CONCAT('PLACE_lock', 2))`,
  `SELECT RELEASE_LOCK('PLACE_lock') FROM three WHERE n > 5`,
  `SELECT IF(0, RELEASE_LOCK('PLACE_lock'), 1)`,
  `SELECT RELEASE_LOCK(CONCAT('no', 'where'))`,
  `SELECT RELEASE_LOCK('PLACE_lock') FROM three`,
  'SELECT RELEASE_ALL_LOCKS()',
  'SELECT RELEASE_ALL_LOCKS() FROM three WHERE n > 5',
  `SELECT \`GET_LOCK\`('PLACE_lock', 0)`,
  `SET @a = GET_LOCK('PLACE_lock', 0)`,
  `PREPARE p1 FROM 'DO GET_LOCK(''PLACE_lock'', 0)'; EXECUTE p1`,
];

const WITH_PARAMETERS = [
  `PREPARE p4 FROM 'SELECT ?, ?'`,
  `PREPARE p4 FROM 'SELECT @given := ? + 1, ?'`,
  `PREPARE p4 FROM 'SET @b = ?, sql_select_limit = ?'`,
  'EXECUTE p4 USING @a, @b',
  'EXECUTE p4 USING @b, @nothing',
  'DEALLOCATE PREPARE P4',
];

const TRACKERS = [
  'SET session_track_schema = 0',
  `SET session_track_system_variables = 'autocommit'`,
  `SET @@session.session_track_system_variables = ''`,
  `SET session_track_state_change = 0, sort_buffer_size = 77777`,
  'SET SESSION session_track_transaction_info = STATE',
  `SET session_track_schema = 1, nonsense = 2`,
];

/** What is prepared for a table that changes. */
const CHANGING = [
  `PREPARE p1 FROM 'SELECT * FROM changing'`,
  'ALTER TABLE changing ADD COLUMN IF_NEW INT',
  'ALTER TABLE changing DROP COLUMN IF_NEW',
  'INSERT INTO changing (n) VALUES (1)',
];

const HANDLERS = [
  'HANDLER three OPEN AS h',
  'HANDLER h READ FIRST',
  'HANDLER h CLOSE',
  'HANDLER h CLOSE; HANDLER three OPEN AS h',
];

const MARIADB_TEXTS = [
  `SET STATEMENT sort_buffer_size = 50000 FOR SELECT 1`,
  `SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SET @c = 3`,
  `SET STATEMENT max_statement_time = 5 FOR CREATE TEMPORARY TABLE tmp (a INT)`,
  `EXECUTE IMMEDIATE 'SET @b = 7'`,
  `EXECUTE IMMEDIATE 'SELECT ? + 1' USING 4`,
  `EXECUTE IMMEDIATE CONCAT('SET @', 'c = 2')`,
  `EXECUTE IMMEDIATE 'CREATE TEMPORARY TABLE tmp (a INT)'`,
  'CREATE OR REPLACE TEMPORARY TABLE tmp (b INT)',
  'RENAME TABLE tmp TO tmp2',
  `BEGIN NOT ATOMIC SET @f = 5; SET sort_buffer_size = 66666; END`,
  'INSERT INTO numbered (n) VALUES (5) RETURNING id',
  'SELECT NEXTVAL(missing_sequence)',
  `SET @@tx_isolation = 'SERIALIZABLE'`,
  'SET SESSION tx_read_only = 1',
  'SET @@skip_replication = 1',
];

const ROUTINES = [
  'CALL set_p(1)',
  'CALL give_out(@out1)',
  'CALL set_modes()',
  'CALL go_elsewhere()',
  'CALL number_one()',
  'CALL fails_late()',
  'SELECT set_f(4)',
  'SELECT set_f(n) FROM three',
  'DO set_f(2)',
  'SET @a = set_f(3)',
  'SET sort_buffer_size = 40000 + set_f(3)',
  'CALL leave_temporary()',
  `PREPARE p2 FROM 'CALL leave_temporary()'; EXECUTE p2`,
  `PREPARE p2 FROM 'SELECT set_f(6)'`,
];

const BINARY: readonly ((random: SeededRandom) => string)[] = [
  () => 'SELECT ?, n FROM three',
  () => `SELECT 'a', 5`,
  () => 'SELECT "a"',
  () => `SELECT 1 || 0`,
  () => 'SELECT DATABASE(), @a IS NULL',
  () => 'SET @b = ?',
  () => 'SELECT ?, @c := 5',
  () => 'INSERT INTO w (n) VALUES (1)',
  () => 'SET sort_buffer_size = 90000',
  () => 'SET sql_mode = ?',
  () => 'SET SESSION TRANSACTION READ ONLY',
  () => 'SET TRANSACTION READ ONLY',
  () => 'SELECT LAST_INSERT_ID(?)',
  () => 'SELECT 11 INTO @p',
  () => `SELECT '\xc3\xa9'`,
  () => 'SELECT FROM',
  () => 'DO 1',
  () => 'COMMIT',
  () => 'SELECT * FROM changing',
  () => 'SELECT GET_LOCK(?, 0)',
  () => 'SELECT RELEASE_LOCK(?)',
  () => 'CALL set_p(?)',
  () => 'CREATE TEMPORARY TABLE tmp (a INT)',
  () => 'DROP TEMPORARY TABLE IF EXISTS tmp',
  (random) => `SET sql_mode = ${random.pick(SQL_MODES)}`,
];
