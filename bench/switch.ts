import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { SHOP_DATABASE } from '../demo/accounts.ts';
import { ImportDriver } from '../demo/drive-import.ts';
import { startStage, type Stage } from '../demo/stage.ts';
import type { BenchOptions, BenchResult } from './bench.ts';
import { percentile } from './percentile.ts';
import { checkLedger } from './workload/check-ledger.ts';
import { Workload } from './workload/workload.ts';

const SESSIONS = 64;
const OPERATIONS_PER_SECOND = 800;
/** The same clients over as long a time without a switch: what the machine itself makes them wait. */
const BASELINE_WINDOWS = 10;
const BASELINE_WINDOW_MS = 600;

interface SwitchSample {
  apiPauseMs: number;
  /** The longest wait of any client. */
  longestMs: number;
  /** The median over the clients of each one's longest wait. */
  medianMs: number;
}

/** 64 clients of mixed work while primary traffic goes forth and back; the pause is what the unluckiest client saw. */
export async function benchSwitch({ quick, onProgress }: BenchOptions): Promise<BenchResult> {
  const switches = quick ? 10 : 100;
  const rows = quick ? 20_000 : 100_000;
  await using stage = await startStage({
    source: 'mysql-9.7',
    target: 'mysql-9.7',
    rows,
    sessions: SESSIONS,
    onProgress,
  });
  const driver = new ImportDriver(stage, onProgress);
  await driver.create();
  const { primary, replica, shop } = stage;
  const workload = Workload.start({
    primary,
    replica,
    shop,
    sessions: SESSIONS,
    operationsPerSecond: OPERATIONS_PER_SECOND,
  });
  try {
    await driver.untilRunning();
    const baselineMs = await measureBaseline(workload);
    const samples: SwitchSample[] = [];
    for (let done = 0; done < switches; done += 1) {
      const sample = await oneSwitch(driver, workload, done % 2 === 1);
      samples.push(sample);
      if ((done + 1) % 10 === 0) onProgress(`${done + 1} switches; the last: ${Math.round(sample.longestMs)} ms`);
    }
    await workload.stop();
    return await resultOf(stage, { workload, samples, baselineMs, isOnTarget: switches % 2 === 1 });
  } finally {
    await workload.stop();
  }
}

async function oneSwitch(driver: ImportDriver, workload: Workload, back: boolean): Promise<SwitchSample> {
  const direction = back ? 'reverse' : 'forward';
  // Not before the stream that the switch drains is at work: otherwise the switch is rightly refused.
  await driver.until(({ streams }) =>
    streams.some(
      (stream) => stream.direction === direction && stream.state === 'running' && (stream.lagMs ?? 0) < 1000,
    ),
  );
  const { report, clientPausesMs } = await driver.switchTraffic(workload, { kind: 'primaries', back });
  return {
    apiPauseMs: report.pauseMs ?? Number.NaN,
    longestMs: percentile(clientPausesMs, 1),
    medianMs: percentile(clientPausesMs, 0.5),
  };
}

async function measureBaseline(workload: Workload): Promise<number[]> {
  const longestMs: number[] = [];
  for (let window = 0; window < BASELINE_WINDOWS; window += 1) {
    workload.meter.beginWindow();
    await delay(BASELINE_WINDOW_MS);
    longestMs.push(percentile(workload.meter.endWindow().longestMs, 1));
  }
  return longestMs;
}

interface Measured {
  workload: Workload;
  samples: SwitchSample[];
  baselineMs: number[];
  isOnTarget: boolean;
}

async function resultOf(stage: Stage, { workload, samples, baselineMs, isOnTarget }: Measured): Promise<BenchResult> {
  const primary = isOnTarget ? stage.target : stage.source;
  const connection = await mysql.createConnection({ uri: primary.dsn, database: SHOP_DATABASE });
  try {
    const ledger = await checkLedger(connection, workload.ledger);
    const [versions] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
    const longest = samples.map(({ longestMs }) => longestMs);
    const api = samples.map(({ apiPauseMs }) => apiPauseMs);
    return {
      peers: {},
      figures: {
        switches: samples.length,
        pauseP50Ms: round(percentile(longest, 0.5)),
        pauseP99Ms: round(percentile(longest, 0.99)),
        pauseMaxMs: round(percentile(longest, 1)),
        apiPauseP50Ms: round(percentile(api, 0.5)),
        apiPauseP99Ms: round(percentile(api, 0.99)),
        baselineP50Ms: round(percentile(baselineMs, 0.5)),
        baselineMaxMs: round(percentile(baselineMs, 1)),
        clientErrors: workload.stats.clientErrors,
        lostWrites: ledger.lost,
        duplicatedWrites: ledger.duplicated,
        foreignWrites: ledger.foreign,
        unknownWrites: ledger.unknown,
        acknowledgedWrites: ledger.acknowledged,
      },
      raw: {
        server: versions[0]?.['version'],
        sessions: SESSIONS,
        operationsPerSecond: OPERATIONS_PER_SECOND,
        operations: workload.stats.operations,
        balanceOff: String(ledger.balanceOff),
        samples: samples.map(({ apiPauseMs, longestMs, medianMs }) => [apiPauseMs, longestMs, medianMs].map(round)),
        errors: workload.errors.slice(0, 10).map(({ operation, message }) => `${operation}: ${message}`),
      },
    };
  } finally {
    await connection.end();
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
