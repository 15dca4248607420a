import { expect, it } from 'vitest';
import { valueOfServer } from './ddl-values.ts';

it.each([
  ['ALTER TABLE t ADD COLUMN u CHAR(36) DEFAULT (UUID())', 'UUID'],
  ['ALTER TABLE t ADD COLUMN u CHAR(36) DEFAULT uuid ( )', 'UUID'],
  ['ALTER TABLE t ADD COLUMN u BIGINT DEFAULT (CONNECTION_ID())', 'CONNECTION_ID'],
  ['ALTER TABLE t ADD COLUMN u DATETIME(6) DEFAULT (SYSDATE(6))', 'SYSDATE'],
  ['ALTER TABLE t ADD COLUMN u VARCHAR(99) DEFAULT (CURRENT_USER)', 'CURRENT_USER'],
  ['ALTER TABLE t ADD COLUMN u DATETIME(6) DEFAULT (NOW(6))', undefined],
  ['ALTER TABLE t ADD INDEX user (user), ADD INDEX rand (version)', undefined],
  ["ALTER TABLE t ADD COLUMN `uuid` INT COMMENT 'UUID()'", undefined],
  ['CREATE TABLE t (u CHAR(36) DEFAULT (UUID()))', undefined],
])('%s: %s', (sql, name) => expect(valueOfServer(sql)).toBe(name));
