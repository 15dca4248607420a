import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../../bench/workload/check-ledger.ts';
import { createLedgerTables } from '../../bench/workload/ledger-tables.ts';
import { Workload } from '../../bench/workload/workload.ts';
import { createShop } from '../../demo/shop.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { connect } from '../support/query.ts';

const SESSIONS = 4;
let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ flavor: 'mysql-9.7' });
});
afterAll(async () => server[Symbol.asyncDispose]());

async function runTraffic(
  database: string,
  options: { rows?: number; during?: () => Promise<void> } = {},
): Promise<Workload> {
  await using admin = await connect(server);
  await admin.query(`CREATE DATABASE ${database}`);
  await admin.changeUser({ database });
  const shop = options.rows === undefined ? undefined : await createShop(admin, options.rows);
  await createLedgerTables(admin, SESSIONS);
  const { host, port, adminUser: user, adminPassword: password } = server;
  const workload = Workload.start({
    primary: { host, port, user, password, database },
    sessions: SESSIONS,
    operationsPerSecond: 300,
    ...(shop === undefined ? {} : { shop }),
  });
  await until(() => workload.stats.acknowledgedWrites > 150);
  await options.during?.();
  await workload.stop();
  return workload;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10);
}

test('traffic on the shop leaves an exact ledger', async () => {
  const workload = await runTraffic('exact', { rows: 2000 });
  await using connection = await connect(server, 'exact');
  expect(workload.errors).toEqual([]);
  expect(workload.stats).toMatchObject({ clientErrors: 0, wrongAnswers: 0, unknownWrites: 0 });
  const report = await checkLedger(connection, workload.ledger);
  expect(report).toMatchObject({ exact: true, lost: 0, duplicated: 0, foreign: 0, unknown: 0 });
  expect(report.acknowledged).toBe(workload.stats.acknowledgedWrites);
});

test('a lost write, a lost increment, a repeated one, a foreign row and missing money are each found', async () => {
  const workload = await runTraffic('damaged');
  await using connection = await connect(server, 'damaged');
  const check = () => checkLedger(connection, workload.ledger);
  expect(await check()).toMatchObject({ exact: true });

  const [sequence] = workload.ledger.of(2).acknowledged;
  await connection.query(`DELETE FROM traffic_ledger WHERE session = 2 AND sequence = ${sequence}`);
  expect(await check()).toMatchObject({
    exact: false,
    lost: 1,
    duplicated: 0,
    foreign: 0,
    lostExamples: [`2:${sequence}`],
  });

  await connection.query('UPDATE traffic_counters SET value = value - 1 WHERE session = 0');
  await connection.query('UPDATE traffic_counters SET value = value + 1 WHERE session = 1');
  expect(await check()).toMatchObject({ lost: 2, duplicated: 1 });

  await connection.query(
    "INSERT INTO traffic_ledger (session, sequence, kind, note) VALUES (3, 99999999, 'order', '')",
  );
  await connection.query('UPDATE traffic_accounts SET balance = balance - 5 WHERE id = 1');
  expect(await check()).toMatchObject({ lost: 2, duplicated: 1, foreign: 1, balanceOff: -5n });
});

test('a crash of the server is seen as errors and a pause, and no acknowledged write is missing', async () => {
  let longestMs = 0;
  const workload: Workload = await runTraffic('crashed', {
    during: async () => {
      await server.kill();
      await server.start();
    },
  });
  longestMs = Math.max(...workload.meter.endWindow().longestMs);
  expect(workload.stats.clientErrors).toBeGreaterThan(0);
  expect(workload.errors[0]?.message).not.toBe('');
  expect(longestMs).toBeGreaterThan(100);
  await using connection = await connect(server, 'crashed');
  const report = await checkLedger(connection, workload.ledger);
  expect(report).toMatchObject({ lost: 0, duplicated: 0, foreign: 0, balanceOff: 0n });
});
