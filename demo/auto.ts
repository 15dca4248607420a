import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { checkLedger, type LedgerReport } from '../bench/workload/check-ledger.ts';
import { Workload, type WorkloadStats, type ClientError } from '../bench/workload/workload.ts';
import type { ImportView, SwitchRequest, VerifyView } from '../engine/api.ts';
import { SHOP_DATABASE } from './accounts.ts';
import { ImportDriver } from './drive-import.ts';
import type { Stage } from './stage.ts';

export interface SwitchOutcome {
  name: string;
  switched: boolean;
  /** From the hold to the release, as the API reports it. */
  pauseMs: number | null;
  /** The longest that any client waited for an answer around the switch. */
  clientPauseMs: number;
  fence: string;
}

export interface DemoResult {
  copy: ImportView['copy'];
  lagsMs: number[];
  verify: VerifyView | null;
  switches: SwitchOutcome[];
  finalPhase: ImportView['phase'];
  stats: WorkloadStats;
  errors: readonly ClientError[];
  ledger: LedgerReport;
}

const STEPS: readonly (SwitchRequest & { name: string })[] = [
  { name: 'replicas to the target', kind: 'replicas', back: false, dryRun: false, force: false },
  { name: 'primaries to the target', kind: 'primaries', back: false, dryRun: false, force: false },
  { name: 'primaries back to the source', kind: 'primaries', back: true, dryRun: false, force: false },
  { name: 'primaries to the target again', kind: 'primaries', back: false, dryRun: false, force: false },
];

/** How long traffic runs between two steps, so that each side is written to for a while. */
const BETWEEN_MS = 2000;

/** An import from validation to completion, with a way back in between, under live traffic that keeps count. */
export async function runAuto(
  stage: Stage,
  traffic: { sessions: number; operationsPerSecond: number },
  onProgress: (message: string) => void,
): Promise<DemoResult> {
  const driver = new ImportDriver(stage, onProgress);
  await driver.create();
  onProgress(`import created; ${traffic.sessions} clients start to work through the proxy`);
  const { primary, replica, shop } = stage;
  const workload = Workload.start({ primary, replica, shop, ...traffic });
  try {
    const running = await driver.untilRunning();
    await delay(BETWEEN_MS);
    const verified = await driver.verify();
    onProgress(`verification: ${verified.verify?.state ?? 'missing'}`);
    for (const line of differenceLines(verified.verify)) onProgress(line);
    const switches: SwitchOutcome[] = [];
    for (const { name, ...request } of STEPS) {
      const { report, heldMs } = await driver.switchTraffic(workload, request);
      const { switched, pauseMs, fence } = report;
      const clientPauseMs = Math.max(0, ...heldMs);
      switches.push({ name, switched, pauseMs, clientPauseMs, fence });
      onProgress(
        `switched ${name}: pause ${pauseMs === null ? '?' : Math.round(pauseMs)} ms, longest wait of a client ${Math.round(clientPauseMs)} ms`,
      );
      await delay(BETWEEN_MS);
    }
    const { phase } = await driver.complete();
    onProgress(`import ${phase}`);
    await delay(BETWEEN_MS / 2);
    await workload.stop();
    return {
      copy: running.copy,
      lagsMs: driver.lagsMs,
      verify: verified.verify,
      switches,
      finalPhase: phase,
      stats: workload.stats,
      errors: workload.errors,
      ledger: await checkOn(stage.target.dsn, workload),
    };
  } finally {
    await workload.stop();
  }
}

function differenceLines(verify: VerifyView | null): string[] {
  const tables = verify?.tables.filter(({ state }) => state === 'different') ?? [];
  return tables.map(({ name, differences, differencesTotal }) => {
    const rows = differences.slice(0, 5).map(({ key, kind, columns }) => `${key} ${kind} ${columns.join(',')}`);
    return `${name}: ${differencesTotal} differing rows: ${rows.join('; ')}`;
  });
}

/** Past the proxy: the server that is primary now must itself have every acknowledged write. */
async function checkOn(dsn: string, workload: Workload): Promise<LedgerReport> {
  const connection = await mysql.createConnection({ uri: dsn, database: SHOP_DATABASE });
  try {
    return await checkLedger(connection, workload.ledger);
  } finally {
    await connection.end();
  }
}
