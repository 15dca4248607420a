import { expect, test } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { importRequestSchema, serverSchema } from '../../engine/api.ts';
import { validateImport } from '../../engine/preflight/validate-import.ts';
import { startOldMysql } from '../../servers/old-mysql.ts';
import { startServer } from '../../servers/start-server.ts';

test('MySQL 5.6 is refused by the validation, with the reason', async ({ skip }) => {
  const old = await startOldMysql([
    'CREATE DATABASE old;',
    'CREATE TABLE old.t (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET latin1);',
  ]).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'SERVER_NOT_STARTED') return skip(error.message);
    throw error;
  });
  await using source = old;
  await using target = await startServer({ flavor: 'mysql-9.7', role: 'target' });
  const server = (port: number, user: string, password: string) =>
    serverSchema.parse({ host: '127.0.0.1', port, user, password });
  const request = importRequestSchema.parse({
    id: 'old',
    database: 'old',
    source: server(source.port, source.user, source.password),
    options: { skipValidationErrors: true },
  });
  const report = await validateImport({
    ...request,
    target: server(target.port, target.adminUser, target.adminPassword),
  });
  expect(report.ok).toBe(false);
  expect(report.source?.version).toMatch(/^5\.6\./);
  expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([
    expect.objectContaining({
      code: 'VERSION_TOO_OLD',
      side: 'source',
      skippable: false,
      message: expect.stringContaining('5.6'),
    }),
  ]);
});
