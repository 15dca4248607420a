import { expect, test } from 'vitest';
import { effectsOf, type StatementEffect } from './statement-effects.ts';
import { PLAIN_READING } from './statement-reading.ts';

const brief = (effect: StatementEffect): string => {
  const detail =
    'key' in effect
      ? effect.key
      : 'prefix' in effect
        ? effect.prefix
        : 'schema' in effect
          ? `${effect.schema ?? '?'}.${effect.name}`
          : 'names' in effect
            ? effect.names
                .map((named) => (typeof named === 'string' ? named : `${named.schema ?? '?'}.${named.name}`))
                .join()
            : 'name' in effect
              ? (effect.name ?? '?')
              : 'statement' in effect
                ? effect.statement
                : 'sql' in effect
                  ? effect.sql
                  : '';
  return `${effect.kind} ${detail}`.trim();
};

const CLOCK_KNOWN = 'unpin-prefix timestamp set by an expression';

test.each<[string, string[]]>([
  ['SELECT 1', []],
  ['  insert into t values (1)', []],
  ["SELECT 'get me @home; now'", []],
  ['/* app */ SELECT 1 -- @x', []],
  ['SELECT @x := 1, @`odd name` := @y, @@session.sql_mode', ['user-variable x', 'user-variable odd name']],
  [
    'SET @x = @y, @`odd name` = CONCAT(@z), @v := @y',
    ['sets-state', 'user-variable x', 'user-variable odd name', 'user-variable v'],
  ],
  ['SELECT @x INTO @y, @v', ['user-variable y', 'user-variable v']],
  [
    'SET STATEMENT sort_buffer_size = 5 FOR SET @x = @y',
    ['unscoped sort_buffer_size', 'sets-state', 'user-variable x'],
  ],
  ['IF @x = 1 THEN SET @y = @x', ['calls-routine', 'last-insert-id', 'user-variable y']],
  ['SET @X = 1', ['sets-state', 'user-variable x']],
  ['CREATE TEMPORARY TABLE scratch (a INT)', ['temporary-table ?.scratch']],
  ['create temporary table if not exists `app`.`Scratch` like t', ['temporary-table app.Scratch']],
  ['CREATE TEMPORARY TABLE x SELECT 1', ['temporary-table ?.x']],
  ['CREATE TEMPORARY TABLE `like` LIKE t', ['temporary-table ?.like']],
  ['CREATE TABLE temporary_things (a INT)', []],
  ['DROP TEMPORARY TABLE IF EXISTS a, app.b', ['drop-table ?.a', 'drop-table app.b']],
  ['DROP TABLE scratch', ['drop-table ?.scratch']],
  ["SELECT GET_LOCK('mine', 10)", ['user-lock mine']],
  ["SELECT GET_LOCK('a' 'b', 10)", ['user-lock ?']],
  [`SELECT GET_LOCK("a", 10) FROM t`, ['user-lock ?']],
  ["DO RELEASE_LOCK('mine')", ['releases-locks']],
  ['SELECT release_all_locks() AS n', ['unpin-prefix user lock']],
  ['SELECT RELEASE_ALL_LOCKS() FROM t', ['releases-locks']],
  ['SELECT IF(0, RELEASE_ALL_LOCKS(), 1)', ['releases-locks']],
  ['SELECT GET_LOCK(CONCAT(a, b), 1) FROM t', ['user-lock ?']],
  ['ALTER TABLE a RENAME COLUMN b TO c, RENAME AS d', ['rename-table ?.a']],
  ['ALTER TABLE a RENAME INDEX b TO c', []],
  ['RENAME TABLE a TO b, app.c TO d', ['rename-table ?.a', 'rename-table app.c']],
  ['LOCK TABLES t READ', ['pin LOCK TABLES']],
  ['UNLOCK TABLES', ['unpin-prefix LOCK TABLES', 'unpin-prefix FLUSH TABLES WITH READ LOCK']],
  ['FLUSH TABLES WITH READ LOCK', ['pin FLUSH TABLES WITH READ LOCK']],
  ['FLUSH TABLES t FOR EXPORT', ['pin FLUSH TABLES WITH READ LOCK']],
  ['LOCK INSTANCE FOR BACKUP', ['pin LOCK INSTANCE']],
  ['UNLOCK INSTANCE', ['unpin-prefix LOCK INSTANCE']],
  ['BACKUP STAGE START', ['pin BACKUP STAGE']],
  ['BACKUP STAGE END', ['unpin-prefix BACKUP STAGE']],
  ['FLUSH TABLES', []],
  ['HANDLER t OPEN', ['pin HANDLER t']],
  ['HANDLER app.t OPEN AS h', ['pin HANDLER h']],
  ['HANDLER h CLOSE', ['unpin HANDLER h']],
  ["XA START 'a'", ['pin XA transaction']],
  ["XA COMMIT 'a'", ['unpin-prefix XA transaction']],
  ["PREPARE s FROM 'SELECT ?'", ['text-prepare s']],
  ['PREPARE s FROM @sql', ['text-prepare-from s']],
  [
    'SET @a = 1; PREPARE s FROM @sql',
    ['sets-state', 'user-variable a', 'pin PREPARE s FROM a variable, among other statements', 'several'],
  ],
  ["PREPARE s FROM 'SELECT ''a'', @x := 1'", ['text-prepare s', 'user-variable x']],
  ['EXECUTE s USING @x', ['values', 'last-insert-id', 'text-execute s']],
  [`EXECUTE IMMEDIATE 'CREATE TEMPORARY TABLE a (b INT)'`, ['temporary-table ?.a', 'values', 'last-insert-id']],
  ['EXECUTE IMMEDIATE @sql', ['pin EXECUTE IMMEDIATE of a text that is not written out']],
  [
    'SET STATEMENT max_statement_time = 1 FOR CREATE TEMPORARY TABLE a (b INT)',
    ['unscoped max_statement_time', 'temporary-table ?.a'],
  ],
  ['SET @@session.last_insert_id = 5', ['sets-state', 'last-insert-id']],
  ['BEGIN NOT ATOMIC SET @f = 5', ['calls-routine', 'last-insert-id', 'sets-state', 'user-variable f']],
  ['INSERT INTO t (a) VALUES (1) RETURNING id', ['last-insert-id']],
  ['SET @Ü = 1', ['sets-state', 'user-variable Ü']],
  [
    'SET @a = f(1), @b = app.CONCAT(2)',
    ['sets-state', 'user-variable a', 'user-variable b', 'calls-functions ?.f,app.CONCAT'],
  ],
  ['SET @a = "f"(1)', ['sets-state', 'user-variable a', 'calls-functions ?.f']],
  ["PREPARE s FROM 'SELECT 1' more", []],
  ['USE app', ['use']],
  ['SELECT a INTO @x FROM t', ['user-variable x']],
  ['SELECT @x, @y + 1', []],
  ['DEALLOCATE PREPARE s', ['text-deallocate s', 'unpin PREPARE s FROM a variable, among other statements']],
  [
    'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    ['sets-state', 'next-transaction SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'],
  ],
  [
    `SET @@transaction_read_only = 1, sql_mode = ''`,
    ['sets-state', 'next-transaction SET @@transaction_read_only = 1', 'sets-several sql_mode'],
  ],
  [`SET transaction_isolation = 'SERIALIZABLE'`, ['sets-state']],
  [`SET @@SESSION.transaction_isolation = 'SERIALIZABLE'`, ['sets-state']],
  ['SET TRANSACTION READ ONLY; BEGIN', ['sets-state', 'pin SET TRANSACTION among other statements', 'several']],
  [
    `SET autocommit = 1, session_track_schema=1, @@session.sql_mode = CONCAT('a', 'b'), @x = 1`,
    [
      'sets-state',
      'trackers autocommit,sql_mode',
      'options autocommit',
      'sets-several autocommit,sql_mode',
      'user-variable x',
    ],
  ],
  [`SET GLOBAL session_track_schema = 1`, ['sets-state']],
  ['SET SESSION TRANSACTION READ ONLY', ['sets-state']],
  ['SET ROLE admin', ['sets-state', 'role SET ROLE admin']],
  ['SET timestamp = DEFAULT', ['sets-state', 'timestamp-default', CLOCK_KNOWN]],
  ['SET @@session.timestamp := 0', ['sets-state', 'timestamp-default', CLOCK_KNOWN]],
  ['SET timestamp = 0.0', ['sets-state', 'timestamp-default', CLOCK_KNOWN]],
  ['SET timestamp = 0.5', ['sets-state', CLOCK_KNOWN, 'options timestamp']],
  [
    'SET SESSION timestamp = 5, timestamp = DEFAULT',
    ['sets-state', CLOCK_KNOWN, 'timestamp-default', CLOCK_KNOWN, 'sets-several'],
  ],
  ['SET timestamp = ?', ['sets-state', 'pin timestamp set by an expression']],
  ['SET insert_id = 5', ['sets-state', 'pin a value for the next statement: insert_id']],
  ['SET last_insert_id = 5', ['sets-state', 'last-insert-id']],
  ['CALL p(@out)', ['calls-routine', 'last-insert-id', 'user-variable out']],
  ['SELECT LAST_INSERT_ID(5)', ['last-insert-id']],
  ['/*!50003 SET @old = 1 */', ['sets-state', 'user-variable old']],
  ["INSERT INTO t VALUES ('it''s; @a'); SET @b = 1", ['sets-state', 'user-variable b', 'several']],
  ['KILL QUERY 5', ['kill KILL QUERY']],
  ['kill /* it */ 7;', ['kill kill']],
  ['KILL QUERY ID 5', []],
  ['KILL CONNECTION_ID()', []],
  ['SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1', ['found-rows']],
])('%s', (sql, expected) => {
  expect(effectsOf(sql).map(brief)).toEqual(expected);
});

test('a name with a string literal that holds both quotes is written out again as it was', () => {
  expect(effectsOf(`PREPARE s FROM "SELECT 'a', ""b"""`)).toEqual([
    { kind: 'text-prepare', name: 's', text: `SELECT ''a'', "b"`, inner: [] },
  ]);
});

test('where a backslash does not escape, it does not hide what follows', () => {
  const reading = { ...PLAIN_READING, escapesByBackslash: false };
  const sql = String.raw`SELECT 'C:\', GET_LOCK('a', 1)`;
  expect(effectsOf(sql, reading).map(brief)).toEqual(['user-lock a']);
  expect(effectsOf(sql).map(brief)).toEqual([]);
});

test('where the second byte of a character looks like a backslash, it does not hide what follows', () => {
  const reading = { ...PLAIN_READING, hasWideCharacters: true };
  expect(effectsOf(`SET @a = '\x95\x5c', @b = 1`, reading).map(brief)).toEqual([
    'sets-state',
    'user-variable a',
    'user-variable b',
  ]);
  const wideText = 'pin a text in a character set whose bytes cannot be told from quotes';
  expect(effectsOf(`PREPARE s FROM 'SELECT ''\x95\x5c'''`, reading).map(brief)).toEqual([wideText]);
});

test('a text of megabytes is looked at in its beginning only', () => {
  const sql = `INSERT INTO t VALUES ${"('someone@example.org'),".repeat(200_000)}`;
  const startedAt = performance.now();
  expect(effectsOf(sql)).toEqual([]);
  expect(performance.now() - startedAt).toBeLessThan(500);
});
