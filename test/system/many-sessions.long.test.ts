import mysql from 'mysql2/promise';
import { expect, test } from 'vitest';
import { residentBytes } from '../../bench/proxy/resident-memory.ts';
import { checkLedger } from '../../bench/workload/check-ledger.ts';
import { percentile } from '../../bench/percentile.ts';
import type { TrafficEndpoint } from '../../bench/workload/traffic-connection.ts';
import { Workload } from '../../bench/workload/workload.ts';
import { SHOP_DATABASE } from '../../demo/accounts.ts';
import { ImportDriver } from '../../demo/drive-import.ts';
import { startStage } from '../../demo/stage.ts';

const IDLE = 5000;
const BUSY = 200;
const LOGINS_AT_A_TIME = 32;
const LAG_MS = 1000;
/** Each of them has a variable of its own, which has to come along. */
const WITH_STATE_EVERY = 10;
/** Why idle sessions ended. */
const LOST: string[] = [];

interface IdleSession {
  connection: mysql.Connection;
  mark: string | null;
}

async function openIdle(endpoint: TrafficEndpoint): Promise<IdleSession[]> {
  const { host, port, user, password, database } = endpoint;
  const sessions: IdleSession[] = [];
  let left = IDLE;
  const open = async () => {
    while (left > 0) {
      left -= 1;
      const mark = left % WITH_STATE_EVERY === 0 ? `mark ${left}` : null;
      const connection = await mysql.createConnection({ host, port, user, password, database });
      connection.on('error', (error: Error) => LOST.push(error.message));
      if (mark !== null) await connection.query('SET @mark = ?', [mark]);
      sessions.push({ connection, mark });
    }
  };
  await Promise.all(Array.from({ length: LOGINS_AT_A_TIME }, open));
  return sessions;
}

/** Where every idle session is now; rejects when one of them lost its state, or its connection. */
async function portsOf(sessions: readonly IdleSession[]): Promise<Set<number>> {
  const ports = new Set<number>();
  const wrongMarks: unknown[] = [];
  const left = [...sessions];
  const ask = async () => {
    for (let session = left.pop(); session !== undefined; session = left.pop()) {
      const [rows] = await session.connection.query<mysql.RowDataPacket[]>('SELECT @@port AS port, @mark AS mark');
      if (rows[0]?.['mark'] !== session.mark) wrongMarks.push(rows[0]);
      ports.add(Number(rows[0]?.['port']));
    }
  };
  await Promise.all(Array.from({ length: LOGINS_AT_A_TIME }, ask));
  expect(wrongMarks).toEqual([]);
  return ports;
}

test(`${IDLE} idle and ${BUSY} busy sessions on one proxy are switched, there and back, without an error`, async () => {
  await using stage = await startStage({
    source: 'mysql-9.7',
    target: 'mysql-9.7',
    rows: 20_000,
    sessions: BUSY,
    serverOptions: ['--max-connections=12000'],
  });
  // What is told is how long it takes; what is asserted is that nobody notices more than that, on a loaded machine too.
  stage.importRequest.options = { pauseDeadlineMs: 60_000, drainBudgetMs: 20_000 };
  const driver = new ImportDriver(stage);
  await driver.create();
  const proxies = stage.switchyard.pids('proxy');
  const idle = await openIdle(stage.primary);
  const bytes = await residentBytes(proxies);
  const workload = Workload.start({
    primary: stage.primary,
    replica: stage.replica,
    shop: stage.shop,
    sessions: BUSY,
    operationsPerSecond: 400,
  });
  try {
    await driver.untilRunning();
    for (const back of [false, true]) {
      // Else the switch is refused: some thousands of logins may have kept the stream from its work.
      await driver.until(({ streams }) => streams.some(({ lagMs }) => lagMs !== null && lagMs < LAG_MS));
      const { report, allMs } = await driver.switchTraffic(workload, { kind: 'primaries', back });
      expect(report).toMatchObject({ switched: true });
      const [p50, max] = [0.5, 1].map((fraction) => Math.round(percentile(allMs, fraction)));
      console.log(
        `${back ? 'back' : 'forth'}: ${report.pauseMs} ms from hold to release, busy clients waited ${p50} (median) to ${max} ms; ` +
          `proxy ${Math.round(bytes / 2 ** 20)} MiB with ${IDLE} idle sessions`,
      );
      expect(LOST).toEqual([]);
      expect(await portsOf(idle)).toEqual(new Set([back ? stage.source.port : stage.target.port]));
    }
    await workload.stop();
    expect(workload.errors).toEqual([]);
    const connection = await mysql.createConnection({ uri: stage.source.dsn, database: SHOP_DATABASE });
    const ledger = await checkLedger(connection, workload.ledger);
    await connection.end();
    expect(ledger).toMatchObject({ lost: 0, duplicated: 0, foreign: 0, unknown: 0 });
  } finally {
    await workload.stop();
    for (const { connection } of idle) connection.destroy();
  }
});
