import { expect, test } from 'vitest';
import { makesWritable } from './read-only-replica.ts';
import { PLAIN_READING } from './statement-reading.ts';

test.each([
  'START TRANSACTION READ WRITE',
  'start transaction with consistent snapshot, read /* */ write',
  'START TRANSACTION /*!50605 READ WRITE */',
  'SET TRANSACTION READ WRITE',
  'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE',
  'SET @@transaction_read_only = 0',
  'SET @a = 1, @@tx_read_only := OFF',
  'SET SESSION TRANSACTION READ WRITE; INSERT INTO t VALUES (1)',
  'SET tx_read_only = 0; INSERT INTO t VALUES (1)',
  'SET STATEMENT tx_read_only = 0 FOR INSERT INTO t VALUES (1)',
  `PREPARE s FROM 'START TRANSACTION READ WRITE'`,
  `EXECUTE IMMEDIATE "START TRANSACTION READ WRITE"`,
  'BEGIN NOT ATOMIC START TRANSACTION READ WRITE; COMMIT; END',
  'BEGIN NOT ATOMIC IF 1 THEN START TRANSACTION READ WRITE; END IF; END',
  'SELECT 1; START TRANSACTION READ WRITE',
])('makes a transaction writable: %s', (sql) => {
  expect(makesWritable(sql, PLAIN_READING)).toBe(true);
});

test.each([
  'START TRANSACTION',
  'START TRANSACTION READ ONLY',
  'SET TRANSACTION ISOLATION LEVEL READ COMMITTED',
  'SET SESSION TRANSACTION READ WRITE',
  'SET SESSION transaction_read_only = 0',
  'SET transaction_read_only = 0, @a = 1',
  'SET @@session.tx_read_only = OFF',
  `SELECT 'READ WRITE', '@@transaction_read_only = 0'`,
  'SELECT @@transaction_read_only = 0',
  'SELECT can_read, can_write, is_read_only FROM t; SELECT 1',
  `PREPARE s FROM 'SELECT can_read, can_write FROM t WHERE is_read_only = 1'`,
  'LOCK TABLES t READ, u WRITE',
  '/* READ WRITE */ SELECT 1',
])('makes none writable that something could run in: %s', (sql) => {
  expect(makesWritable(sql, PLAIN_READING)).toBe(false);
});
