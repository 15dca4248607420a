import sqlParser from 'node-sql-parser';
import { expect, test } from 'vitest';
import { statementEffect } from './statement-effect.ts';

/**
 * node-sql-parser as the oracle: whatever tables it finds in a statement that changes tables, our lexer must find too. It
 * cannot be the judge itself, since it does not know much of what MySQL 9 and MariaDB log, and names no table of CREATE INDEX.
 */
const STATEMENTS = [
  'ALTER TABLE t ADD COLUMN a INT',
  'ALTER TABLE `s`.`t` DROP COLUMN a, ADD KEY k (b)',
  'ALTER TABLE t RENAME TO u',
  'DROP TABLE t',
  'DROP TABLE a, b',
  'DROP TABLE IF EXISTS `x`.`a`',
  'TRUNCATE TABLE t',
  'RENAME TABLE a TO b, c TO d',
  'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))',
  'CREATE TABLE IF NOT EXISTS s.t (id INT)',
  'INSERT INTO t VALUES (1)',
  'UPDATE a SET x = 1 WHERE y = 2',
  'DELETE FROM t WHERE a = 1',
];

const parser = new sqlParser.Parser();

test.each(STATEMENTS)('%s', (sql) => {
  const expected = parser.tableList(sql, { database: 'MySQL' }).map((entry) => entry.split('::').slice(1));
  const effect = statementEffect({ schema: 'current', sql });
  expect(['tables', 'rows']).toContain(effect.kind);
  const found = 'tables' in effect ? effect.tables.map(({ schema, name }) => `${schema}.${name}`) : [];
  for (const [schema, name] of expected) {
    expect(found).toContain(`${schema === 'null' || schema === undefined ? 'current' : schema}.${name}`);
  }
  expect(expected.length).toBeGreaterThan(0);
});
