import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CAPABILITY } from '../../core/wire/capabilities.ts';
import { COMMAND } from '../../core/wire/command.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { createAppSchema, direct } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { RawClient } from '../support/raw-client.ts';
import { readableAnswer, type StepAnswer } from '../session-state/readable-answer.ts';

/**
 * State that is set up by texts which are read in a way of their own: by sql_mode, by the client's character set, or by
 * nobody but the server. It is carried over, or the session stays.
 */
interface ReadingCase {
  name: string;
  /** Texts as latin1: every character one byte; or whole commands. */
  setUp: (string | Buffer)[];
  probe: (string | Buffer)[];
  collation?: number;
  /** Why it stays. */
  pin?: string;
  /** For which the server has to say 1 to the session: it does hold what it stays for. */
  held?: string;
  /** Asked before the move, right behind the set-up, with the answer of a server. */
  before?: string | Buffer;
  /** The proxy answers it by a statement of its own, or the server has prepared it anew: the columns are defined otherwise. */
  isRewritten?: true;
  /** The client knows EOF packets, without room for what trackers tell. */
  isOld?: true;
  /** The connection to the other side is opened before the set-up, and brought up to date. */
  isOpenedAhead?: true;
}

const utf8 = (text: string) => Buffer.from(text).toString('latin1');
const OTHER_MEANING = 'a statement that was prepared under another character set or sql_mode';
const NO_ESCAPES = `SET sql_mode = 'NO_BACKSLASH_ESCAPES'`;
/** One character of gbk that ends in the byte of a backslash. */
const WIDE = '\x95\x5c';
const prepare = (sql: string) => Buffer.concat([Buffer.of(COMMAND.STMT_PREPARE), Buffer.from(sql, 'latin1')]);
const close = (id: number) => Buffer.of(COMMAND.STMT_CLOSE, id, 0, 0, 0);
const RESET_CONNECTION = Buffer.of(COMMAND.RESET_CONNECTION);
const ONE_STATEMENT_ONLY = Buffer.of(COMMAND.SET_OPTION, 1, 0);
const INIT_OTHER = Buffer.concat([Buffer.of(COMMAND.INIT_DB), Buffer.from('other')]);
const FETCH_FIRST = Buffer.of(COMMAND.STMT_FETCH, 1, 0, 0, 0, 1, 0, 0, 0);
const EXECUTE_FIRST = Buffer.of(COMMAND.STMT_EXECUTE, 1, 0, 0, 0, 0, 1, 0, 0, 0);

const FAILED_ROUTINE = 'a stored routine that failed: MariaDB does not tell what it changed before';
const ROUTINE = 'session state changed inside a stored routine';
const RULED_BY_EXPRESSION = 'the next transaction, ruled by an expression or by a SET that reads tables';
const TWO_ROWS = '(SELECT 1 AS n UNION ALL SELECT 2) AS two';
const holdsLock = (name: string) => `SELECT IS_USED_LOCK('${name}') <=> CONNECTION_ID()`;
const hasTable = (name: string) => `SELECT COUNT(*) + 1 FROM ${name}`;
const execute = (id: number, ...texts: string[]) => {
  const values = texts.map((text) => Buffer.from(`${String.fromCodePoint(text.length)}${text}`, 'latin1'));
  const bound = texts.length === 0 ? [] : [Buffer.of(0, 1), ...texts.map(() => Buffer.of(253, 0)), ...values];
  return Buffer.concat([Buffer.of(COMMAND.STMT_EXECUTE, id, 0, 0, 0, 0, 1, 0, 0, 0), ...bound]);
};

/** What is held on the server, however often the text that took or released it ran. */
const HELD: ReadingCase[] = [
  {
    name: 'a lock that was taken for each row, and released once',
    setUp: [`SELECT GET_LOCK('rows', 0) FROM ${TWO_ROWS}`, `SELECT RELEASE_LOCK('rows')`],
    probe: [],
    pin: 'user lock rows',
    held: holdsLock('rows'),
  },
  {
    name: 'a lock whose release was not reached',
    setUp: [`SELECT GET_LOCK('branch', 0)`, `SELECT IF(0, RELEASE_LOCK('branch'), 1)`],
    probe: [],
    pin: 'user lock branch',
    held: holdsLock('branch'),
  },
  {
    name: 'a lock that RELEASE_ALL_LOCKS did not reach',
    setUp: [`SELECT GET_LOCK('none', 0)`, `SELECT RELEASE_ALL_LOCKS() FROM ${TWO_ROWS} WHERE n > 5`],
    probe: [],
    pin: 'user lock none',
    held: holdsLock('none'),
  },
  {
    name: 'a lock of which another name was released',
    setUp: [`SELECT GET_LOCK(CONCAT('a', 'b'), 0)`, `SELECT RELEASE_LOCK(CONCAT('a', 'c'))`],
    probe: [],
    pin: 'user lock (named by an expression)',
    held: holdsLock('ab'),
  },
  {
    name: 'a lock taken by a statement that failed',
    setUp: [`SELECT GET_LOCK('failed', 0), (SELECT 1 FROM ${TWO_ROWS} WHERE n < 3 + RAND())`],
    probe: [],
    pin: 'user lock failed',
    held: holdsLock('failed'),
  },
  {
    name: 'a lock that was released and taken in one text',
    setUp: [`SELECT RELEASE_ALL_LOCKS(); SELECT GET_LOCK('after', 0)`],
    probe: [],
    pin: 'user lock after',
    held: holdsLock('after'),
  },
  {
    name: 'a lock that a prepared statement takes again',
    setUp: [`PREPARE s FROM 'DO GET_LOCK(''again'', 0)'`, 'EXECUTE s', `DO RELEASE_LOCK('again')`, 'EXECUTE s'],
    probe: [],
    pin: 'user lock again',
    held: holdsLock('again'),
  },
  {
    name: 'a lock whose name is bound to a statement, of two of which one was released',
    setUp: [
      prepare('SELECT GET_LOCK(?, 0)'),
      prepare('SELECT RELEASE_LOCK(?)'),
      execute(1, 'bound'),
      execute(1, 'left'),
      execute(2, 'bound'),
    ],
    probe: [],
    pin: 'user lock left',
    held: holdsLock('left'),
  },
  {
    name: 'locks that were released: by their names, bound, all of them',
    setUp: [
      prepare('SELECT GET_LOCK(?, 0)'),
      prepare('SELECT RELEASE_LOCK(?)'),
      execute(1, 'bound'),
      execute(2, 'bound'),
      `SELECT GET_LOCK('Twice', 0), GET_LOCK('twice', 0)`,
      `DO RELEASE_LOCK('twice'), RELEASE_LOCK('TWICE')`,
      `SELECT GET_LOCK(CONCAT('x', n), 0) FROM ${TWO_ROWS}`,
      'SELECT RELEASE_ALL_LOCKS() AS released',
    ],
    probe: ['SELECT 1'],
  },
  {
    name: 'ROW_COUNT() behind DO RELEASE_LOCK, read in a way that the proxy does not see',
    setUp: [`SELECT GET_LOCK('counted', 0)`, `DO RELEASE_LOCK('counted')`],
    probe: [],
    before: 'SELECT ROW_COUNT() + 0',
  },
  {
    name: 'FOUND_ROWS() behind a lock for each row',
    setUp: [`SELECT GET_LOCK('found', 0), RELEASE_LOCK('found') FROM ${TWO_ROWS}`],
    probe: [],
    before: 'SELECT FOUND_ROWS()',
  },
  {
    name: 'a temporary table that a prepared statement makes again',
    setUp: [
      `PREPARE s FROM 'CREATE TEMPORARY TABLE made (a INT)'`,
      'EXECUTE s',
      'DROP TABLE made',
      'USE other',
      'EXECUTE s',
    ],
    probe: [],
    pin: 'temporary table app.made',
    held: hasTable('app.made'),
  },
  {
    name: 'a temporary table that is dropped and made again in one text',
    setUp: ['DROP TEMPORARY TABLE IF EXISTS scratch; CREATE TEMPORARY TABLE scratch (a INT)'],
    probe: [],
    pin: 'temporary table app.scratch',
    held: hasTable('scratch'),
  },
  {
    name: 'a temporary table that is made by a text whose end fails',
    setUp: ['CREATE TEMPORARY TABLE scratch (a INT); SELECT * FROM missing'],
    probe: [],
    pin: 'temporary table app.scratch',
    held: hasTable('scratch'),
  },
  {
    name: 'a temporary table that has another name by now',
    setUp: [
      'CREATE TEMPORARY TABLE scratch (a INT)',
      'ALTER TABLE scratch RENAME kept',
      'DROP TABLE IF EXISTS scratch',
    ],
    probe: [],
    pin: 'temporary table app.kept',
    held: hasTable('kept'),
  },
  {
    name: 'one that was dropped by its other name',
    setUp: ['CREATE TEMPORARY TABLE scratch (a INT)', 'ALTER TABLE scratch RENAME TO kept', 'DROP TABLE kept'],
    probe: ['SELECT * FROM kept'],
  },
  {
    name: 'a temporary table of a procedure that a prepared statement calls',
    setUp: [`PREPARE s FROM 'CALL leave_temporary()'`, 'EXECUTE s'],
    probe: [],
    pin: ROUTINE,
    held: hasTable('left_behind'),
  },
];

/** What a stored routine has done, wherever the text that called it stood and however it ended. */
const ROUTINES: ReadingCase[] = [
  {
    name: 'a variable of a procedure that failed',
    setUp: ['CALL fails_late()'],
    probe: [],
    pin: ROUTINE,
    before: 'SELECT ROW_COUNT() + 0, (SELECT @@error_count)',
  },
  {
    name: 'a variable of a function in a statement that failed, behind which another variable is set',
    setUp: [`SELECT set_f(n), EXP(800 + n) FROM ${TWO_ROWS}`, 'SET @a = 1'],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'the same, behind which the schema is changed',
    setUp: [`SELECT set_f(n), EXP(800 + n) FROM ${TWO_ROWS}`, Buffer.from('\x02other', 'latin1')],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a variable of a function, of which an EOF packet does not tell, before another one is set',
    setUp: ['SELECT set_f(4)', 'SET @a = 1'],
    probe: [],
    isOld: true,
    pin: ROUTINE,
  },
  {
    name: 'what a function of the server leaves, of which an EOF packet does not tell',
    setUp: ['SELECT ABS(-4)', 'SET @a = ROW_COUNT(), @b = 2', 'SELECT ABS(-5)'],
    probe: ['SELECT @a, @b'],
    isOld: true,
  },
  {
    name: 'a variable of a function behind a statement that was only prepared',
    setUp: [prepare('CREATE TEMPORARY TABLE scratch (a INT)'), 'SELECT set_f(4)'],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a variable of a function in the first execution of a statement',
    setUp: [prepare('SELECT set_f(4)'), EXECUTE_FIRST],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a variable of a function that a statement of PREPARE calls',
    setUp: [`PREPARE s FROM 'SELECT set_f(6)'`, 'EXECUTE S'],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a variable of a function of another schema, in one that was left since',
    setUp: ['USE other', 'SET @a = app.set_f(3)'],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'the same, by its schema at the time when it was prepared',
    setUp: [prepare('SET @a = set_f(3)'), 'USE other', EXECUTE_FIRST],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'the same, in a text that goes from schema to schema',
    setUp: ['SET @a = set_f(3); USE other'],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a variable of a function whose name stands in double quotes',
    setUp: [`SET sql_mode = 'ANSI_QUOTES'`, 'SET @a = "set_f"(3)'],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a function of the server, asked about behind SET TRANSACTION',
    setUp: ['SET TRANSACTION READ ONLY', `SET @a = JSON_ARRAY('a')`],
    probe: ['SELECT @a', 'INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'the same, with SET TRANSACTION that is left to the server',
    setUp: ['SET TRANSACTION READ ONLY; DO 1', `SET @a = JSON_ARRAY('a')`],
    probe: [],
    pin: 'SET TRANSACTION among other statements',
    before: 'INSERT INTO t (n) VALUES (1)',
  },
];

/** What takes a statement away, or what it needs. */
const PREPARED: ReadingCase[] = [
  {
    name: 'a statement of PREPARE that another one was to replace',
    setUp: [`PREPARE s FROM 'SELECT 5'`, `PREPARE s FROM 'SELECT FROM'`],
    probe: ['EXECUTE s'],
  },
  {
    name: 'the same, from a variable that is NULL',
    setUp: [`PREPARE s FROM 'SELECT 5'`, 'PREPARE S FROM @nothing'],
    probe: ['EXECUTE s'],
  },
  {
    name: 'one that a text is in the way of that is no PREPARE',
    setUp: [`PREPARE s FROM 'SELECT 5'`, `PREPARE s FROM 'SELECT 6' more`],
    probe: ['EXECUTE s'],
  },
  {
    name: 'a variable that exists since a statement was prepared that is gone',
    setUp: [prepare('SELECT ?, @c := 5'), close(1)],
    probe: ['SELECT CHARSET(@c)'],
  },
  ...([false, true] as const).flatMap((isOpenedAhead): ReadingCase[] => [
    {
      name: `a statement that writes, in a session that reads (opened ahead: ${isOpenedAhead})`,
      setUp: [prepare('DELETE FROM t WHERE n = 98765'), 'SET SESSION TRANSACTION READ ONLY'],
      probe: [EXECUTE_FIRST, 'SET SESSION TRANSACTION READ WRITE', EXECUTE_FIRST],
      ...(isOpenedAhead ? { isOpenedAhead } : {}),
    },
    {
      name: `a statement that writes, before a transaction that reads (opened ahead: ${isOpenedAhead})`,
      setUp: [
        'SET TRANSACTION READ ONLY',
        'SET TRANSACTION READ WRITE',
        prepare('DELETE FROM t WHERE n = 98765'),
        'SET TRANSACTION READ ONLY',
      ],
      probe: [EXECUTE_FIRST, 'SELECT COUNT(*) FROM whoami', EXECUTE_FIRST],
      ...(isOpenedAhead ? { isOpenedAhead } : {}),
    },
    {
      name: `several statements in one text, which the client no longer wants (opened ahead: ${isOpenedAhead})`,
      setUp: [ONE_STATEMENT_ONLY],
      probe: ['DO 1; DO 2'],
      ...(isOpenedAhead ? { isOpenedAhead } : {}),
    },
  ]),
  {
    name: 'a statement whose table is gone at the move, and is there again when it is executed',
    setUp: ['CREATE TABLE IF NOT EXISTS passing (a INT)', prepare('SELECT * FROM passing'), 'DROP TABLE passing'],
    probe: ['CREATE TEMPORARY TABLE passing (a INT)', EXECUTE_FIRST],
    isRewritten: true,
  },
  ...([false, true] as const).flatMap((isOpenedAhead): ReadingCase[] => [
    {
      name: `a statement of PREPARE whose table is gone, is there again, and is gone (opened ahead: ${isOpenedAhead})`,
      setUp: [
        'CREATE TABLE IF NOT EXISTS passing (a INT)',
        `PREPARE s FROM 'SELECT * FROM passing'`,
        `PREPARE s2 FROM 'SELECT * FROM passing'`,
        'DROP TABLE passing',
      ],
      probe: [
        'EXECUTE s',
        'SHOW WARNINGS',
        'DEALLOCATE PREPARE s2',
        'CREATE TEMPORARY TABLE passing (a INT)',
        'EXECUTE s',
        'DO 1; EXECUTE s',
        'EXECUTE s2',
      ],
      isRewritten: true,
      ...(isOpenedAhead ? { isOpenedAhead } : {}),
    },
    {
      name: `statements whose schema is gone (opened ahead: ${isOpenedAhead})`,
      setUp: [
        'CREATE DATABASE passing',
        'USE passing',
        prepare('CREATE TABLE made (a INT)'),
        `PREPARE s FROM 'CREATE TABLE made (a INT)'`,
        'USE app',
        `PREPARE last FROM 'SELECT DATABASE()'`,
        'DROP DATABASE passing',
      ],
      probe: ['EXECUTE s', EXECUTE_FIRST, 'EXECUTE last', 'SELECT DATABASE()'],
      isRewritten: true,
      ...(isOpenedAhead ? { isOpenedAhead } : {}),
    },
  ]),
  {
    name: 'a statement whose table is gone, and is there again',
    setUp: ['CREATE TABLE IF NOT EXISTS passing (a INT)', prepare('SELECT * FROM passing'), 'DROP TABLE passing'],
    probe: [EXECUTE_FIRST, 'CREATE TEMPORARY TABLE passing (a INT)', EXECUTE_FIRST, 'USE other', EXECUTE_FIRST],
    isRewritten: true,
  },
];

/** What the server remembers of the last statement, however it is asked for. */
const REMEMBERED: ReadingCase[] = [
  {
    name: 'warnings, asked for behind a comment',
    setUp: [`SELECT CAST('x' AS SIGNED), CAST('y' AS SIGNED)`],
    probe: [`/* ' */ SHOW WARNINGS`, '-- a\nSHOW COUNT(*) WARNINGS # b', 'SHOW WARNINGS LIMIT 1, 1; SHOW ERRORS'],
    isRewritten: true,
  },
  {
    name: 'more warnings than sql_select_limit has rows',
    setUp: ['SET sql_select_limit = 1', `SELECT CAST('x' AS SIGNED), CAST('y' AS SIGNED)`],
    probe: ['SHOW WARNINGS'],
    isRewritten: true,
  },
  {
    name: 'an error that was shown already',
    setUp: ['SELECT * FROM missing', 'SHOW ERRORS'],
    probe: ['/*!50000 SHOW WARNINGS */', 'SELECT @@error_count + @@warning_count, 5'],
    isRewritten: true,
  },
  {
    name: 'an error, told again with a change of schema and a ping',
    setUp: ['SELECT * FROM missing'],
    probe: [INIT_OTHER, Buffer.of(COMMAND.PING)],
  },
  {
    name: 'the same, of a statement after which the server is asked what it changed',
    setUp: ['USE nowhere'],
    probe: [],
    before: INIT_OTHER,
  },
  {
    name: 'warnings behind which a FETCH failed, or that were shown: told with a change of schema',
    setUp: [prepare('SELECT 1'), `SET @a = JSON_ARRAY(CAST('x' AS SIGNED), CAST('y' AS SIGNED))`, FETCH_FIRST],
    before: INIT_OTHER,
    probe: [INIT_OTHER, 'SHOW WARNINGS', INIT_OTHER],
    isRewritten: true,
  },
  {
    name: 'an error behind an error, of a command that is no statement',
    setUp: ['SELECT * FROM missing'],
    probe: [Buffer.concat([Buffer.of(COMMAND.INIT_DB), Buffer.from('nowhere')]), 'SHOW WARNINGS'],
    isRewritten: true,
  },
  {
    name: 'the execution of a statement that is not there',
    setUp: [execute(9)],
    probe: ['SHOW WARNINGS'],
    isRewritten: true,
  },
  {
    name: 'ROW_COUNT() in an expression, behind a comment',
    setUp: ['INSERT INTO t (n) VALUES (1), (2)'],
    probe: ['/* a */ SELECT ROW_COUNT() + 0, `ROW_COUNT`(), IF(1, ROW_COUNT(), 5) AS n'],
    isRewritten: true,
  },
  {
    name: 'ROW_COUNT() of a statement that was followed by a PREPARE',
    setUp: ['INSERT INTO t (n) VALUES (1), (2)', prepare('SELECT 1')],
    probe: ['SET @rows = ROW_COUNT(); SELECT @rows, ROW_COUNT()'],
    isRewritten: true,
  },
  {
    name: 'ROW_COUNT() that GET DIAGNOSTICS leaves as it is',
    setUp: ['INSERT INTO t (n) VALUES (1), (2)', 'GET DIAGNOSTICS @n = NUMBER'],
    probe: ['SELECT ROW_COUNT()'],
    isRewritten: true,
  },
  {
    name: 'FOUND_ROWS() behind statements that leave it as it is',
    setUp: [`SELECT SQL_CALC_FOUND_ROWS n FROM ${TWO_ROWS} LIMIT 1`, 'SET @a = 1', 'COMMIT'],
    probe: ['BEGIN', 'SELECT 10 * FOUND_ROWS()'],
    isRewritten: true,
  },
  {
    name: 'FOUND_ROWS() in an expression, behind a lock for each row',
    setUp: [`SELECT GET_LOCK('found', 0), RELEASE_LOCK('found') FROM ${TWO_ROWS}`],
    probe: [],
    before: 'SELECT FOUND_ROWS() + 0, ROW_COUNT() + LAST_INSERT_ID()',
  },
  {
    name: 'what a KILL of nobody said',
    setUp: ['KILL 999999999'],
    probe: [],
    before: 'SHOW WARNINGS',
  },
];

/** What random sessions were found to lose. */
const ONCE_LOST: ReadingCase[] = [
  {
    name: 'a variable that is only read, and need not exist',
    setUp: [`SET @c = CONCAT('x', @a), @b := 1`],
    probe: ['SELECT @p := @a'],
  },
  {
    name: 'a variable that only a failed statement has named',
    setUp: [`SET @c = '`],
    probe: [`SET @c = 'assigned', sql_mode = 'BAD'`, 'SELECT @c'],
  },
  {
    name: 'a DECIMAL without a fraction',
    setUp: ['SET @d = CAST(2 AS DECIMAL(5,0))'],
    probe: ['SELECT @d + 0, @d / 3'],
  },
  {
    name: 'a role set in a text that failed, which no reset takes back',
    setUp: ['SET ROLE NONE; SELECT FROM', RESET_CONNECTION],
    probe: [],
    pin: 'one of several statements failed, SET ROLE among them',
  },
  {
    name: 'and a role set since then',
    setUp: ['SET ROLE NONE; SELECT FROM', RESET_CONNECTION, 'SET ROLE ALL'],
    probe: ['SELECT CURRENT_ROLE()'],
  },
  {
    name: 'GET DIAGNOSTICS behind an error',
    setUp: ['SET @x = 1, nonsense = 2', 'GET DIAGNOSTICS @c = ROW_COUNT'],
    probe: ['SELECT @c'],
  },
  {
    name: 'the number of warnings behind an error',
    setUp: [`SELECT @a := 9, (SELECT n FROM ${TWO_ROWS})`],
    before: Buffer.from('\x02app', 'latin1'),
    probe: [],
  },
  {
    name: 'the number of warnings that an EOF packet tells, behind rows',
    setUp: ['SELECT @a := 1'],
    before: ONE_STATEMENT_ONLY,
    probe: ['SELECT @a'],
    isOld: true,
  },
  {
    name: 'a syntax error shows the text of the client',
    setUp: ['KILL 999999999', '/*!50000 SHOW ERRORS; SHOW WARNINGS */'],
    probe: ['SHOW WARNINGS'],
    isRewritten: true,
  },
];

const WRITE = 'DELETE FROM t WHERE n = 98765';

/** What variables without a scope say about the next transaction, and what they may not have said any more behind the same SET. */
/** One text: whether the PREPARE came before or behind what it is read by is not known when it is answered. */
const PREPARED_AMONG_OTHERS: ReadingCase[] = [
  `PREPARE s FROM 'SELECT ''a'' = ''A'''; SET NAMES binary`,
  `SET NAMES binary; PREPARE s FROM 'SELECT ''a'' = ''A'''; SET NAMES utf8mb4`,
  `PREPARE s FROM 'SELECT "n" FROM t'; SET sql_mode = 'ANSI_QUOTES'`,
  `PREPARE s FROM 'DELETE FROM t'; USE other`,
].map((text) => ({
  name: `a statement that is prepared beside others: ${text}`,
  setUp: [text],
  probe: [],
  pin: 'a statement that was prepared under another character set or sql_mode',
}));

const NEXT_TRANSACTION: ReadingCase[] = [
  {
    name: 'a SET that reads a table, and uses up what it says about the next transaction',
    setUp: ['SET @a = (SELECT COUNT(*) FROM whoami), @@transaction_read_only = 1'],
    probe: [],
    pin: RULED_BY_EXPRESSION,
    before: WRITE,
  },
  {
    name: 'a variable that rules the next transaction, and is set in the same SET',
    setUp: ['SET @a = 1', 'SET @@transaction_read_only = @a, @a = 0'],
    probe: [],
    pin: RULED_BY_EXPRESSION,
    before: WRITE,
  },
  {
    name: 'the same, set behind it',
    setUp: ['SET @a = 1', 'SET @@transaction_read_only = @a', 'SET @a = 0'],
    probe: [WRITE, 'SELECT COUNT(*) FROM whoami', WRITE],
  },
  {
    name: 'both at once',
    setUp: [`SET @@transaction_read_only = 1, @@transaction_isolation = 'READ-UNCOMMITTED'`],
    probe: [WRITE],
  },
  {
    name: 'a parameter that rules the next transaction',
    setUp: [prepare('SET @@transaction_isolation = ?'), execute(1, 'SERIALIZABLE')],
    probe: [],
    pin: RULED_BY_EXPRESSION,
    before: WRITE,
  },
];

const CASES: ReadingCase[] = [
  ...NEXT_TRANSACTION,
  ...PREPARED_AMONG_OTHERS,
  ...ONCE_LOST,
  ...HELD,
  ...ROUTINES,
  ...PREPARED,
  {
    name: 'a role that was given up, and a reset',
    setUp: ['SET ROLE NONE', RESET_CONNECTION],
    probe: ['SELECT CURRENT_ROLE()'],
  },
  {
    name: 'a role that a statement of PREPARE gave up',
    setUp: [`PREPARE s FROM 'SET ROLE NONE'`, 'EXECUTE s'],
    probe: ['SELECT CURRENT_ROLE()'],
  },
  {
    name: 'a clock that a statement of PREPARE let go',
    setUp: ['SET timestamp = 1000', `PREPARE s FROM 'SET timestamp = DEFAULT'`, 'EXECUTE s'],
    probe: ['SET @then = @@timestamp', 'SELECT @@timestamp > @then'],
  },
  ...REMEMBERED,
  {
    name: 'warnings of a PREPARE',
    setUp: [prepare('SELECT @a := 3')],
    probe: ['SHOW WARNINGS'],
    isRewritten: true,
  },
  {
    name: 'an error of a SET after which the trackers are looked after',
    setUp: ['SET session_track_schema = 1, sql_select_limit = NULL'],
    probe: ['SHOW WARNINGS'],
    isRewritten: true,
  },
  {
    name: 'a variable behind a string that ends in a backslash',
    setUp: [NO_ESCAPES, String.raw`SET @path = 'C:\', @b = 7`],
    probe: ['SELECT @path, @b'],
  },
  {
    name: 'a lock behind such a string',
    setUp: [NO_ESCAPES, String.raw`SELECT 'C:\', GET_LOCK('behind', 0)`],
    probe: [],
    pin: 'user lock behind',
  },
  {
    name: 'a variable behind a character that ends in the byte of a backslash',
    setUp: ['SET NAMES gbk', `SET @wide = '${WIDE}', @b = 7`],
    probe: ['SELECT HEX(@wide), @b'],
  },
  {
    name: 'the same, by the character set of the login',
    setUp: [`SET @wide = '${WIDE}', @b = 7`],
    probe: ['SELECT HEX(@wide), @b'],
    collation: 28,
  },
  {
    name: 'a lock behind such a character',
    setUp: ['SET NAMES gbk', `SELECT '${WIDE}', GET_LOCK('wide', 0)`],
    probe: [],
    pin: 'user lock wide',
  },
  {
    name: 'names beyond ASCII',
    setUp: [utf8('SET @ü = 1, @ИМЯ = 2'), utf8(`PREPARE ü FROM 'SELECT 5'`)],
    probe: [utf8('SELECT @ü, @имя'), utf8('EXECUTE ü')],
  },
  {
    name: 'names in a character set that is not that of the login',
    setUp: ['SET NAMES utf8mb4', utf8('SET @äb = 1')],
    probe: [utf8('SELECT @äb')],
    collation: 8,
  },
  {
    name: 'names in a character set that was left since',
    setUp: [utf8('SET @äb = 1'), 'SET NAMES latin1'],
    probe: [],
    pin: 'user variables named in another character set',
  },
  {
    name: 'a number that was given out within a procedure',
    setUp: ['CALL add_one()'],
    probe: ['SELECT LAST_INSERT_ID() > 0'],
  },
  {
    name: 'LAST_INSERT_ID set by a statement of PREPARE',
    setUp: [`PREPARE s FROM 'SELECT LAST_INSERT_ID(5)'`, 'EXECUTE s'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'LAST_INSERT_ID set as a variable',
    setUp: ['SET @@last_insert_id = 17'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'LAST_INSERT_ID set by a function whose name is quoted',
    setUp: ['DO `LAST_INSERT_ID`(7)'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'a NULL that was a number',
    setUp: ['SET @n = CAST(NULL AS SIGNED), @s = CONVERT(NULL USING latin1)'],
    probe: [`SELECT IFNULL(@n, 5), CHARSET(@s)`],
  },
  {
    name: 'a rule for one transaction by a variable whose name is quoted',
    setUp: ['SET @@`transaction_read_only` = 1'],
    probe: ['INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'a variable that a function sets within a SET',
    setUp: ['SET @a = set_f(3)'],
    probe: [],
    pin: 'session state changed inside a stored routine',
  },
  {
    name: 'PREPARE, in a character set that was left since',
    setUp: ['SET NAMES utf8mb4', utf8(`PREPARE s FROM 'SELECT ''é'''`), 'SET NAMES latin1'],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'PREPARE, with an escape that is none any more',
    setUp: [String.raw`PREPARE s FROM 'SELECT ''a\\nb'''`, NO_ESCAPES],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'PREPARE FROM a variable, with quotes that mean something else by now',
    setUp: [`SET @sql = 'SELECT "a"'`, 'PREPARE s FROM @sql', `SET sql_mode = 'ANSI_QUOTES'`],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'a binary statement with an operator that means something else by now',
    setUp: [`SET sql_mode = 'PIPES_AS_CONCAT'`, prepare(`SELECT 'a' || 'b'`), `SET sql_mode = ''`],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'a binary statement with texts that have another collation by now',
    setUp: [prepare(`SELECT 'a' = 'A'`), 'SET NAMES utf8mb4 COLLATE utf8mb4_bin'],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'PREPARE, and then another collation',
    setUp: [`PREPARE s FROM 'SELECT ''a'' = ''A'''`, 'SET collation_connection = utf8mb4_bin'],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'PREPARE FROM a variable, and then another character set',
    setUp: [`SET @sql = 'SELECT CAST(1 AS CHAR) LIKE ''A'''`, 'PREPARE s FROM @sql', 'SET NAMES binary'],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'a collation that was left and came back',
    setUp: [
      'SET NAMES utf8mb4',
      prepare(`SELECT 'a' = 'A'`),
      'SET NAMES utf8mb4 COLLATE utf8mb4_bin',
      'SET NAMES utf8mb4',
    ],
    probe: [EXECUTE_FIRST],
  },
  {
    name: 'and one that means the same',
    setUp: [prepare('SELECT n, 5 FROM t'), `SET sql_mode = 'ANSI_QUOTES'`, 'SET NAMES latin1'],
    probe: [EXECUTE_FIRST],
  },
  {
    name: 'a mode that was left and came back',
    setUp: [
      `SET sql_mode = 'PIPES_AS_CONCAT'`,
      prepare(`SELECT 'a' || 'b'`),
      `SET sql_mode = ''`,
      `SET sql_mode = 'PIPES_AS_CONCAT,NO_ZERO_DATE'`,
    ],
    probe: [EXECUTE_FIRST],
  },
  {
    name: 'a clock set by an expression: whether it stands still is not told',
    setUp: ['SET @zero = 0', 'SET timestamp = @zero'],
    probe: [],
    pin: 'timestamp set by an expression',
  },
  {
    name: 'a number for the next INSERT',
    setUp: ['SET insert_id = 777'],
    probe: [],
    pin: 'a value for the next statement: insert_id',
  },
  {
    name: 'a role set in a text of which another statement failed',
    setUp: ['SET ROLE NONE; SELECT * FROM missing'],
    probe: [],
    pin: 'one of several statements failed, SET ROLE among them',
  },
];

/** MariaDB says less of what its statements do. */
const ON_MARIADB: ReadingCase[] = [
  ...NEXT_TRANSACTION,
  ...PREPARED_AMONG_OTHERS,
  {
    name: 'a SET that failed, behind what it had set',
    setUp: [
      `SET max_length_for_sort_data = 500, last_insert_id = DEFAULT, @a = 1, NAMES latin1, SESSION tx_isolation = 'READ-COMMITTED'`,
    ],
    probe: ['SELECT @@max_length_for_sort_data, @@character_set_client, @a, @@tx_isolation'],
  },
  {
    name: 'a clock in a SET that failed',
    setUp: ['SET timestamp = DEFAULT, last_insert_id = DEFAULT'],
    probe: [],
    pin: 'timestamp set by an expression',
  },
  {
    name: 'the collation of the server, set with others',
    setUp: ['SET character_set_server = DEFAULT, sort_buffer_size = 50000'],
    probe: ['SELECT @@collation_server'],
    isRewritten: true,
  },
  {
    name: 'a variable of a function, of which the EOF packet says only that there is something',
    setUp: ['SELECT set_f(4)'],
    probe: [],
    isOld: true,
    pin: ROUTINE,
  },
  {
    name: 'the same by EXECUTE',
    setUp: [`PREPARE s FROM 'SELECT set_f(4)'`, 'EXECUTE s'],
    probe: [],
    isOld: true,
    pin: ROUTINE,
  },
  {
    name: 'what is logged needs no reason, with EOF packets',
    setUp: ['ANALYZE TABLE numbered', 'INSERT INTO numbered (n) VALUES (7) RETURNING n'],
    probe: ['SELECT LAST_INSERT_ID()'],
    isOld: true,
  },
  ...HELD,
  ...REMEMBERED,
  {
    name: 'an error that statements without tables leave in place',
    setUp: ['SELECT * FROM missing', 'DO 1', 'SET @a = 1', `PREPARE s FROM 'SELECT 1'`],
    probe: ['SELECT 1', 'SHOW WARNINGS', 'SELECT * FROM whoami', 'SHOW WARNINGS'],
    isRewritten: true,
  },
  {
    name: 'a warning of the first of several statements',
    setUp: [`SELECT CAST('x' AS SIGNED); SET @a = 1`],
    probe: ['SHOW WARNINGS'],
    isRewritten: true,
  },
  {
    name: 'an error, behind which it was asked for a function',
    setUp: [`SELECT nothing(n), (SELECT n FROM ${TWO_ROWS}) FROM ${TWO_ROWS}`],
    probe: [],
    before: 'DO 1; SHOW WARNINGS',
  },
  { name: 'a variable of a procedure that failed', setUp: ['CALL fails_late()'], probe: [], pin: FAILED_ROUTINE },
  {
    name: 'a variable of a function in a statement that failed',
    setUp: [`SELECT set_f(n), (SELECT n FROM ${TWO_ROWS}) FROM ${TWO_ROWS}`],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a time of versions that is none',
    setUp: ['SET system_versioning_asof = DEFAULT'],
    probe: ['SELECT @@system_versioning_asof'],
  },
  {
    name: 'a statement of PREPARE that a text took away which failed behind it',
    setUp: [`PREPARE s FROM 'SELECT 1'`, 'DEALLOCATE PREPARE s; SELECT * FROM missing'],
    probe: [],
    pin: 'one of several statements failed, another one of them may have changed the session',
  },
  { name: 'a procedure that there is not', setUp: ['CALL nowhere()'], probe: ['SELECT 1'] },
  {
    name: 'a variable of a block of statements',
    setUp: ['BEGIN NOT ATOMIC SET @f = 5; SET sort_buffer_size = 66666; END'],
    probe: [],
    pin: ROUTINE,
  },
  {
    name: 'a number that INSERT … RETURNING gave out',
    setUp: ['INSERT INTO t (n) VALUES (5) RETURNING n', 'DO 1; INSERT INTO numbered (n) VALUES (5) RETURNING id'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'LAST_INSERT_ID set as a variable, behind one that is not reported',
    setUp: ["ALTER TABLE numbered COMMENT = 'x'", 'SET @@session.last_insert_id = 5'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'a point, and numbers without a sign',
    setUp: ['SET @p = POINT(1, -2.5), @u = CAST(5 AS UNSIGNED), @n = CAST(NULL AS UNSIGNED)'],
    probe: ['SELECT HEX(@p), ST_AsText(@p), @u, @n', 'SELECT @p + 1', 'SELECT @u - 6'],
  },
  {
    name: 'bytes in a variable that a prepared statement assigns as well',
    setUp: [prepare('SELECT ?, @c := 5'), 'SELECT @c := 0x41'],
    probe: ['SELECT CHARSET(@c)'],
  },
  {
    name: 'variables that were lent to one statement',
    setUp: [`SET STATEMENT sql_mode = 'ANSI_QUOTES', sort_buffer_size = 50000 FOR SET @c = 3`],
    probe: ['SELECT @c, @@sql_mode, @@sort_buffer_size, "x"'],
  },
  {
    name: 'a character set of the server, whose collation is not reported',
    setUp: ['SET @@character_set_server = DEFAULT', 'SET SESSION character_set_database = latin1'],
    probe: ['SELECT @@character_set_server, @@collation_server'],
    // The collation of the columns' names is another one, of the same character set.
    isRewritten: true,
  },
  {
    name: 'a clock that stands still, not reported',
    setUp: ['SET @@`timestamp` = 1234567890'],
    probe: [],
    pin: 'timestamp set by an expression',
  },
  {
    name: 'options that are reported by a wrong name',
    setUp: ['SET autocommit = 1', `/* ' */ SET foreign_key_checks = 0, SESSION sql_notes = 0`, 'SET @r = ROW_COUNT()'],
    probe: ['SELECT @@foreign_key_checks, @@sql_notes, @@unique_checks, @r'],
  },
  {
    name: 'a clock that stands still, reported by a wrong name',
    setUp: ['SET last_insert_id = 17', 'SET SESSION timestamp = 1234567890.5'],
    probe: ['SELECT @@timestamp, NOW(), LAST_INSERT_ID()'],
  },
  {
    name: 'a clock that stands still, by a prepared statement, and an id behind it',
    setUp: [`PREPARE s FROM 'SET timestamp = 1234567890'`, 'EXECUTE s', 'SET last_insert_id = 17'],
    probe: ['SELECT @@timestamp, LAST_INSERT_ID()'],
  },
  {
    name: 'a clock that stands still, in a text that fails, so that it is not asked for',
    setUp: ['SET last_insert_id = 17; SET SESSION timestamp = 1234567890; SELECT nothing'],
    probe: [],
    pin: 'timestamp set by an expression',
  },
  {
    name: 'a clock that goes, whose name the report has for a row',
    setUp: ['SET SESSION timestamp = 1234567890; SET SESSION timestamp = DEFAULT', 'SET last_insert_id = 17'],
    probe: ['SET @a = NOW(6)', 'DO SLEEP(0.01)', 'SELECT NOW(6) > @a, LAST_INSERT_ID()'],
  },
];

async function open(port: number, { collation, isOld }: ReadingCase): Promise<RawClient> {
  const capabilities = [CAPABILITY.MULTI_STATEMENTS, ...(isOld === true ? [] : [CAPABILITY.DEPRECATE_EOF])];
  return RawClient.open(port, { capabilities, ...(collation === undefined ? {} : { collation }) });
}

async function setUpIn(session: RawClient, { setUp }: ReadingCase): Promise<void> {
  for (const command of setUp.map(commandOf)) {
    if (command[0] === COMMAND.STMT_CLOSE) session.tell(command);
    else await session.askAlone(command);
  }
}

function commandOf(text: string | Buffer): Buffer {
  return typeof text === 'string' ? Buffer.concat([Buffer.of(COMMAND.QUERY), Buffer.from(text, 'latin1')]) : text;
}

function rowsIn(answer: StepAnswer = []): string[] {
  return readableAnswer(answer).filter((line) => !line.startsWith('column'));
}

/** FOUND_ROWS() warns of its age, what the proxy has answered in its place does not. */
function isRow(line: string): boolean {
  return line.startsWith('row');
}

async function askRows(session: RawClient, commands: Buffer[]): Promise<string[]> {
  const lines: string[] = [];
  for (const command of commands) {
    const answered = rowsIn(await session.askAlone(command));
    lines.push(...(command[0] === COMMAND.QUERY ? answered.filter(isRow) : answered));
  }
  return lines;
}

describe.each([
  ['mysql-9.7', CASES],
  ['mariadb-11.8', ON_MARIADB],
] as const)('%s', (flavor, cases) => {
  let servers: Awaited<ReturnType<typeof startServerPair>>;
  let target: RunningServer;
  let proxy: ProxyHarness;

  beforeAll(async () => {
    servers = await startServerPair(flavor, flavor);
    target = servers.target;
    for (const server of [servers.source, target]) {
      await createAppSchema(server);
      await using root = await direct(server, { multipleStatements: true });
      const to = flavor.startsWith('mariadb') ? 'FOR' : 'TO';
      await root.query(`CREATE ROLE reader; GRANT reader TO app@'%'; SET DEFAULT ROLE reader ${to} app@'%'`);
      if (to === 'TO') await root.query(`GRANT SESSION_VARIABLES_ADMIN ON *.* TO app@'%'`);
      await root.query('CREATE TABLE app.numbered (id INT PRIMARY KEY AUTO_INCREMENT, n INT)');
      await root.query(`GRANT ALL ON passing.* TO app@'%'`);
      await root.query('CREATE PROCEDURE app.add_one() INSERT INTO app.t (n) VALUES (1)');
      await root.query('CREATE PROCEDURE app.leave_temporary() CREATE TEMPORARY TABLE left_behind (a INT)');
      await root.query(`SET GLOBAL log_bin_trust_function_creators = 1`);
      await root.query('CREATE PROCEDURE app.fails_late() BEGIN SET @f = 66; SELECT * FROM missing; END');
      await root.query('CREATE FUNCTION app.set_f(v INT) RETURNS INT NO SQL BEGIN SET @f = v; RETURN v; END');
      // Where nothing is carried over, the procedure has been called by somebody else.
      await root.query('CALL app.add_one()');
    }
    proxy = await ProxyHarness.start({ source: servers.source, target });
  });

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await servers?.[Symbol.asyncDispose]();
  });

  test.each(cases.filter(({ pin }) => pin !== undefined))('$name: stays', async (staying) => {
    await using session = await open(proxy.port, staying);
    await setUpIn(session, staying);
    // What is asked for behind the last answer.
    await expect.poll(async () => (await proxy.sessions()).map(({ pins }) => pins)).toEqual([[staying.pin]]);
    if (staying.before !== undefined) {
      await using never = await open(target.port, staying);
      await setUpIn(never, staying);
      const asked = commandOf(staying.before);
      expect(rowsIn(await session.askAlone(asked))).toEqual(rowsIn(await never.askAlone(asked)));
    }
    if (staying.held === undefined) return;
    const answer = await session.ask(commandOf(staying.held));
    expect(answer.map((packet) => packet.toString('latin1'))).toContain('\x011');
  });

  describe('moves', () => {
    const moving = cases.filter(({ pin }) => pin === undefined);
    const moved: RawClient[] = [];
    const stayed: RawClient[] = [];
    const answersBefore: string[][][] = [];

    beforeAll(async () => {
      const openAll = async (isOpenedAhead: boolean) => {
        for (const [index, one] of moving.entries()) {
          if ((one.isOpenedAhead ?? false) !== isOpenedAhead) continue;
          moved[index] = await open(proxy.port, one);
          stayed[index] = await open(target.port, one);
        }
      };
      await openAll(true);
      expect((await proxy.prepare('primary', 'target')).failures).toEqual([]);
      await openAll(false);
      for (const [index, one] of moving.entries()) {
        const pair = [moved[index], stayed[index]].filter((each) => each !== undefined);
        for (const each of pair) await setUpIn(each, one);
        const asked = one.before === undefined ? [] : [commandOf(one.before)];
        answersBefore.push(await Promise.all(pair.map(async (each) => askRows(each, asked))));
      }
      await proxy.switchTo('target', { prepare: false });
    });

    afterAll(async () => {
      for (const session of [...moved, ...stayed]) await session[Symbol.asyncDispose]();
    });

    for (const [index, { name, probe, isRewritten }] of moving.entries()) {
      test(name, async () => {
        const [answered, expectedBefore] = answersBefore[index] ?? [];
        expect(answered).toEqual(expectedBefore);
        for (const text of probe) {
          const expected = await stayed[index]?.askAlone(commandOf(text));
          const answer = await moved[index]?.askAlone(commandOf(text));
          if (isRewritten !== true) expect([text, answer]).toEqual([text, expected]);
          else expect(rowsIn(answer)).toEqual(rowsIn(expected));
        }
      });
    }
  });
});
