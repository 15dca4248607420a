import { expect, test } from 'vitest';
import { typesForMysql } from './mariadb-types.ts';

const TEXT = 'LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';

test.each([
  ['ALTER TABLE t ADD j JSON', `ALTER TABLE t ADD j ${TEXT} CHECK (JSON_VALID(j))`],
  [
    'CREATE TABLE `t` (`a``b` json NOT NULL, b INT)',
    `CREATE TABLE \`t\` (\`a\`\`b\` ${TEXT} CHECK (JSON_VALID(\`a\`\`b\`)) NOT NULL, b INT)`,
  ],
  ['ALTER TABLE t ADD COLUMN json JSON', `ALTER TABLE t ADD COLUMN json ${TEXT} CHECK (JSON_VALID(json))`],
  ['ALTER TABLE t CHANGE COLUMN a json JSON', `ALTER TABLE t CHANGE COLUMN a json ${TEXT} CHECK (JSON_VALID(json))`],
  ['ALTER TABLE t MODIFY j JSON AS (a)', `ALTER TABLE t MODIFY j ${TEXT} AS (a)`],
  [
    'ALTER TABLE t ADD u UUID DEFAULT UUID()',
    'ALTER TABLE t ADD u char(36) CHARACTER SET ascii COLLATE ascii_bin DEFAULT UUID()',
  ],
])('%s', (sql, expected) => {
  expect(typesForMysql(sql, { backslashEscapes: true })).toBe(expected);
});

test.each([
  'CREATE TABLE json (uuid CHAR(36), json INT, PRIMARY KEY (json), KEY json (uuid))',
  'ALTER TABLE t CHANGE json uuid INT, DROP COLUMN json, RENAME COLUMN uuid TO json, MODIFY json TEXT AFTER uuid',
  "ALTER TABLE t ADD c VARCHAR(9) DEFAULT 'a JSON' COMMENT 'b JSON' /* c JSON */",
  "ALTER TABLE t ADD c INT AS (JSON_VALUE(x, '$.a')) STORED",
  'DROP INDEX json ON uuid',
])('left as it is: %s', (sql) => {
  expect(typesForMysql(sql, { backslashEscapes: true })).toBe(sql);
});
