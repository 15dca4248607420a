import { expect, test } from 'vitest';
import { effectsOf, type StatementEffect } from './statement-effects.ts';

const brief = (effect: StatementEffect): string => {
  const detail =
    'key' in effect ? effect.key : 'prefix' in effect ? effect.prefix : 'name' in effect ? effect.name : '';
  return `${effect.kind} ${detail}`.trim();
};

test.each<[string, string[]]>([
  ['SELECT 1', []],
  ['  insert into t values (1)', []],
  ["SELECT 'get me @home; now'", []],
  ['/* app */ SELECT 1 -- @x', []],
  ['SELECT @x := 1, @`odd name`, @@session.sql_mode', ['user-variable x', 'user-variable odd name']],
  ['SET @X = 1', ['sets-state', 'user-variable x']],
  ['CREATE TEMPORARY TABLE scratch (a INT)', ['pin temporary table scratch']],
  ['create temporary table if not exists `app`.`Scratch` like t', ['pin temporary table scratch']],
  ['CREATE TEMPORARY TABLE x SELECT 1', ['pin temporary table x']],
  ['CREATE TABLE temporary_things (a INT)', []],
  ['DROP TEMPORARY TABLE IF EXISTS a, app.b', ['unpin temporary table a', 'unpin temporary table b']],
  ['DROP TABLE scratch', ['unpin temporary table scratch']],
  ["SELECT GET_LOCK('mine', 10)", ['pin user lock mine']],
  ["DO RELEASE_LOCK('mine')", ['unpin user lock mine']],
  ['SELECT release_all_locks()', ['unpin-prefix user lock']],
  ['SELECT GET_LOCK(CONCAT(a, b), 1) FROM t', ['pin user lock (named by an expression)']],
  ['LOCK TABLES t READ', ['pin LOCK TABLES']],
  ['UNLOCK TABLES', ['unpin-prefix LOCK TABLES']],
  ['FLUSH TABLES WITH READ LOCK', ['pin LOCK TABLES']],
  ['FLUSH TABLES', []],
  ['HANDLER t OPEN', ['pin HANDLER t']],
  ['HANDLER t CLOSE', ['unpin HANDLER t']],
  ["XA START 'a'", ['pin XA transaction']],
  ["XA COMMIT 'a'", ['unpin-prefix XA transaction']],
  ["PREPARE s FROM 'SELECT ?'", ['text-prepare s']],
  ['PREPARE s FROM @sql', ['pin PREPARE s FROM a variable', 'sets-state']],
  ["PREPARE s FROM 'SELECT ''a'', @x := 1'", ['text-prepare s', 'user-variable x']],
  ['EXECUTE s USING @x', ['sets-state', 'values']],
  ['SELECT a INTO @x FROM t', ['user-variable x']],
  ['SELECT @x, @y + 1', []],
  ['DEALLOCATE PREPARE s', ['text-deallocate s']],
  ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', ['sets-state', 'next-transaction']],
  ['SET SESSION TRANSACTION READ ONLY', ['sets-state']],
  ['SET ROLE admin', ['sets-state', 'role']],
  ['SET timestamp = DEFAULT', ['sets-state', 'timestamp-default']],
  ['SET @@session.timestamp := 0', ['sets-state', 'timestamp-default']],
  ['CALL p(@out)', ['calls-routine', 'user-variable out']],
  ['SELECT LAST_INSERT_ID(5)', ['last-insert-id']],
  ['/*!50003 SET @old = 1 */', ['sets-state', 'user-variable old']],
  ["INSERT INTO t VALUES ('it''s; @a'); SET @b = 1", ['sets-state', 'user-variable b']],
  ['KILL QUERY 5', ['kill']],
  ['SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1', ['found-rows']],
])('%s', (sql, expected) => {
  expect(effectsOf(sql).map(brief)).toEqual(expected);
});

test('a name with a string literal that holds both quotes is written out again as it was', () => {
  expect(effectsOf(`PREPARE s FROM "SELECT 'a', ""b"""`)).toEqual([
    { kind: 'text-prepare', name: 's', text: `SELECT ''a'', "b"` },
  ]);
});

test('a text of megabytes is looked at in its beginning only', () => {
  const sql = `INSERT INTO t VALUES ${"('someone@example.org'),".repeat(200_000)}`;
  const startedAt = performance.now();
  expect(effectsOf(sql)).toEqual([]);
  expect(performance.now() - startedAt).toBeLessThan(500);
});
