import { expect, test } from 'vitest';
import { ROWS, StatementDiagnostics, type CommandOutcome } from './statement-diagnostics.ts';
import { PLAIN_READING } from './statement-reading.ts';

const NOTHING: CommandOutcome = {
  isStatement: true,
  countsAnew: true,
  error: null,
  warnings: 0,
  rowCount: ROWS,
  countsFoundRows: false,
  kept: { list: false, rowCount: false, foundRows: false },
};

function overwritten({ listNeedsTables = false } = {}): StatementDiagnostics {
  const diagnostics = new StatementDiagnostics();
  diagnostics.listNeedsTables = listNeedsTables;
  diagnostics.onOutcome({ ...NOTHING, warnings: 1, rowCount: 3n, countsFoundRows: true });
  diagnostics.onRead([{ level: 'Warning', code: '1292', message: Buffer.from('é') }], '7');
  diagnostics.onOverwritten();
  return diagnostics;
}

function rewritten(diagnostics: StatementDiagnostics, sql: string): string | null {
  return diagnostics.look(sql, PLAIN_READING, null).rewritten?.text ?? null;
}

const ALL = 'LIMIT 18446744073709551615';
const SHOWN = `SELECT 'Warning' AS \`Level\`, 1292 AS \`Code\`, _utf8mb4 X'c3a9' AS \`Message\``;
const NONE = `SELECT '' AS \`Level\`, 0 AS \`Code\`, '' AS \`Message\` FROM DUAL WHERE FALSE`;

test.each([
  ['SHOW WARNINGS', `${SHOWN} ${ALL}`],
  ['/* a */ show warnings -- b', `/* a */ ${SHOWN} ${ALL} -- b`],
  ['show errors limit 1', `${NONE} limit 1`],
  ['SHOW COUNT(*) WARNINGS', 'SELECT 1 AS `@@session.warning_count`'],
  ['SELECT @@error_count', 'SELECT (@@error_count * 0 + 0) AS `@@error_count`'],
  ['select Row_Count() as n;', 'select (Row_Count() * 0 + 3) as n;'],
  ['SELECT row_count () n', 'SELECT (row_count () * 0 + 3) n'],
  ['SELECT FOUND_ROWS()', 'SELECT (FOUND_ROWS() * 0 + 7) AS `FOUND_ROWS()`'],
  ['SELECT ROW_COUNT() + 0, 1', 'SELECT (ROW_COUNT() * 0 + 3) + 0 AS `ROW_COUNT() + 0`, 1'],
  [
    'SELECT `a`, IF(ROW_COUNT(), `b`, 1) FROM t',
    'SELECT `a`, IF((ROW_COUNT() * 0 + 3), `b`, 1) AS `IF(ROW_COUNT(), ``b``, 1)` FROM t',
  ],
  ['SELECT ROW_COUNT() IS NULL', 'SELECT (ROW_COUNT() * 0 + 3) IS NULL AS `ROW_COUNT() IS NULL`'],
  ['INSERT INTO log SELECT ROW_COUNT()', 'INSERT INTO log SELECT (ROW_COUNT() * 0 + 3)'],
  ['SET @a = 1; SELECT ROW_COUNT()', null],
  ['SET @a = 1; SELECT FOUND_ROWS()', 'SET @a = 1; SELECT (FOUND_ROWS() * 0 + 7) AS `FOUND_ROWS()`'],
  ['SHOW WARNINGS; SHOW WARNINGS', `${SHOWN} ${ALL}; ${SHOWN} ${ALL}`],
  ['DO 1; SHOW WARNINGS', null],
  [`SELECT 'ROW_COUNT()', row_count`, null],
  ['SELECT 1', null],
])('%s', (sql, expected) => {
  expect(rewritten(overwritten(), sql)).toBe(expected);
});

test('MariaDB keeps its list behind a statement without tables', () => {
  const diagnostics = overwritten({ listNeedsTables: true });
  expect(rewritten(diagnostics, 'DO 1; SHOW WARNINGS')).toBe(`DO 1; ${SHOWN} ${ALL}`);
  expect(rewritten(diagnostics, 'SELECT 1 FROM t; SHOW WARNINGS')).toBeNull();
});

test('as long as the server knows, nothing is rewritten; nor after the next statement', () => {
  const diagnostics = overwritten();
  diagnostics.onOutcome(NOTHING);
  expect(rewritten(diagnostics, 'SELECT ROW_COUNT()')).toBeNull();
  expect(diagnostics.needsReading).toBe(false);
  diagnostics.onOutcome({ ...NOTHING, error: { code: '1064', message: Buffer.from('no') } });
  expect(diagnostics.needsReading).toBe(true);
  expect(rewritten(diagnostics, 'SHOW WARNINGS')).toBeNull();
});
