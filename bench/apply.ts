import { ApplyStage, type Run } from './apply/stage.ts';
import type { BenchOptions, BenchResult } from './bench.ts';
import { percentile } from './percentile.ts';

const TABLES = { tables: 4, rowsPerTable: 250_000 };
const TRANSACTIONS = 60_000;
const CHANGES_PER_TRANSACTION = 4;

/** A backlog of transactions, applied by ours and by MySQL's own replica from equal copies; then the steady lag of ours. */
export async function benchApply({ quick, onProgress }: BenchOptions): Promise<BenchResult> {
  const scale = quick ? 5 : 1;
  const tables = { ...TABLES, rowsPerTable: TABLES.rowsPerTable / scale };
  const transactions = TRANSACTIONS / scale;
  const rounds = Number(process.env['SWITCHYARD_BENCH_ROUNDS'] ?? (quick ? 1 : 3));
  await using stage = await ApplyStage.make(onProgress, tables, transactions);
  const runs: Run[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const run = await stage.round();
    runs.push(run);
    onProgress(`round ${round}: ours ${Math.round(run.oursMs)} ms, replica ${Math.round(run.replicaMs ?? 0)} ms`);
  }
  const { samples, load } = await stage.lag(quick ? 10 : 60);
  const oursMs = percentile(
    runs.map((run) => run.oursMs),
    0.5,
  );
  const ratios = runs.flatMap(({ replicaMs, oursMs: ours }) => (replicaMs === null ? [] : [replicaMs / ours]));
  const changes = transactions * CHANGES_PER_TRANSACTION;
  return {
    peers: { 'mysql replica, 4 workers': stage.version },
    figures: {
      speedupReplica: round2(percentile(ratios, 0.5)),
      rowChangesPerSecond: Math.round(changes / (oursMs / 1000)),
      lagP50Ms: round2(percentile(samples.fromSentMs, 0.5)),
      lagP99Ms: round2(percentile(samples.fromSentMs, 0.99)),
      lagMaxMs: round2(percentile(samples.fromSentMs, 1)),
      lagFromAnswerP99Ms: round2(percentile(samples.fromAnsweredMs, 0.99)),
      lagTransactionsPerSecond: Math.round(load.transactions / load.seconds),
    },
    raw: {
      server: stage.version,
      transactions,
      changes,
      distribution: 'special',
      tables,
      lagSamples: samples.fromSentMs.length,
      runs,
    },
  };
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
