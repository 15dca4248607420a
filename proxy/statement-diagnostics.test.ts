import { expect, test } from 'vitest';
import { StatementDiagnostics } from './statement-diagnostics.ts';

function overwritten(): StatementDiagnostics {
  const diagnostics = new StatementDiagnostics();
  diagnostics.onStatement({ failed: false, warnings: 1, affectedRows: 3n, countsFoundRows: true });
  diagnostics.onRead([{ level: 'Warning', code: '1292', message: Buffer.from('é') }], '7');
  diagnostics.onOverwritten();
  return diagnostics;
}

test.each([
  ['SHOW WARNINGS', `SELECT 'Warning' AS \`Level\`, 1292 AS \`Code\`, _utf8mb4 X'c3a9' AS \`Message\``],
  ['show errors limit 1', `SELECT '' AS \`Level\`, 0 AS \`Code\`, '' AS \`Message\` FROM DUAL WHERE FALSE limit 1`],
  ['SHOW COUNT(*) WARNINGS', 'SELECT 1 AS `@@session.warning_count`'],
  ['SELECT @@error_count', 'SELECT 0 AS `@@error_count`'],
  ['select Row_Count() as n;', 'SELECT 3 AS n'],
  ['SELECT FOUND_ROWS()', 'SELECT 7 AS `FOUND_ROWS()`'],
  ['SELECT ROW_COUNT(), 1', null],
  ['SELECT ROW_COUNT() FROM t', null],
  ['SHOW WARNINGS; DROP TABLE t', null],
  ['SELECT 1', null],
])('%s', (sql, expected) => {
  expect(overwritten().rewrite(sql)).toBe(expected);
});

test('as long as the server knows, nothing is rewritten; nor after the answer was asked for', () => {
  const diagnostics = overwritten();
  expect(diagnostics.rewrite('SELECT ROW_COUNT()')).not.toBeNull();
  expect(diagnostics.rewrite('SELECT ROW_COUNT()')).toBeNull();
  diagnostics.onStatement({ failed: true, warnings: 0, affectedRows: null, countsFoundRows: false });
  expect(diagnostics.needsReading).toBe(true);
  expect(diagnostics.rewrite('SHOW WARNINGS')).toBeNull();
});
