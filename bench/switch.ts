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
  /** From hold to release, as the engine measures it. */
  engineMs: number;
  /** The waits of all commands that were outstanding at any moment of the hold. */
  heldMs: number[];
  /** The longest wait for anything from before the switch until half a second after it, preparations included. */
  longestMs: number;
  steps: Record<string, number>;
}

/** 64 clients of mixed work while primary traffic goes forth and back; the pause is that of the unluckiest command. */
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
  const isAlways = process.env['SWITCHYARD_BENCH_REVERSE'] === 'always';
  if (isAlways) stage.importRequest.options = { reverse: 'always' };
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
      if ((done + 1) % 10 === 0) onProgress(`${done + 1} switches; the last: ${Math.round(pauseOf(sample))} ms`);
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
  const { report, heldMs, allMs } = await driver.switchTraffic(workload, { kind: 'primaries', back });
  return {
    engineMs: report.pauseMs ?? Number.NaN,
    heldMs,
    longestMs: percentile(allMs, 1),
    steps: report.hold?.steps ?? {},
  };
}

/** The pause of a switch: the longest wait of any command of any client that met the hold. */
function pauseOf({ heldMs }: SwitchSample): number {
  return percentile(heldMs, 1);
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
    const pauses = samples.map(pauseOf);
    const engine = samples.map(({ engineMs }) => engineMs);
    const held = samples.flatMap(({ heldMs }) => heldMs);
    const longest = samples.map(({ longestMs }) => longestMs);
    return {
      peers: {},
      figures: {
        switches: samples.length,
        pauseP50Ms: round(percentile(pauses, 0.5)),
        pauseP99Ms: round(percentile(pauses, 0.99)),
        pauseMaxMs: round(percentile(pauses, 1)),
        enginePauseP50Ms: round(percentile(engine, 0.5)),
        enginePauseP99Ms: round(percentile(engine, 0.99)),
        heldCommands: held.length,
        heldCommandP50Ms: round(percentile(held, 0.5)),
        heldCommandP99Ms: round(percentile(held, 0.99)),
        aroundP50Ms: round(percentile(longest, 0.5)),
        aroundP99Ms: round(percentile(longest, 0.99)),
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
        reverse: stage.importRequest.options?.reverse ?? 'from_switch',
        sessions: SESSIONS,
        operationsPerSecond: OPERATIONS_PER_SECOND,
        operations: workload.stats.operations,
        balanceOff: String(ledger.balanceOff),
        samples: samples.map((sample) =>
          [sample.engineMs, pauseOf(sample), percentile(sample.heldMs, 0.5), sample.longestMs].map(round),
        ),
        stepsP50Ms: stepMedians(samples),
        errors: workload.errors.slice(0, 10).map(({ operation, message }) => `${operation}: ${message}`),
      },
    };
  } finally {
    await connection.end();
  }
}

/** When each step was done, ms after the hold, separately for switches forth (even) and back. */
function stepMedians(samples: SwitchSample[]): Record<string, number>[] {
  return [0, 1].map((parity) => {
    const some = samples.filter((_, index) => index % 2 === parity);
    const names = Object.keys(some[0]?.steps ?? {});
    const median = (name: string) =>
      percentile(
        some.map(({ steps }) => steps[name] ?? 0),
        0.5,
      );
    return Object.fromEntries(names.map((name) => [name, round(median(name))]));
  });
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
