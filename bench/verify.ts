import type { BenchOptions, BenchResult } from './bench.ts';
import { percentile } from './percentile.ts';
import { ptTableChecksum } from './peers/pt-table-checksum.ts';
import { findAll } from './verify/needles.ts';
import { SteadyWrites } from './verify/steady-writes.ts';
import { VerifyStage } from './verify/verify-stage.ts';

const WRITES_PER_SECOND = 200;

interface Round {
  oursMs: number;
  /** `CHECKSUM TABLE` of both sides at the same time, each as one statement over all tables. */
  checksumTableMs: number;
  rows: number;
}

/** Verification of the whole import under writes, beside `CHECKSUM TABLE` under the same writes, in turn. */
export async function benchVerify({ quick, onProgress }: BenchOptions): Promise<BenchResult> {
  const rounds = quick ? 2 : 5;
  await using stage = await VerifyStage.start({ tables: 4, rowsPerTable: quick ? 50_000 : 250_000, onProgress });
  const samples: Round[] = [];
  const writes = new SteadyWrites(stage.source, WRITES_PER_SECOND);
  for (let round = 1; round <= rounds; round += 1) {
    const checksumTableMs = await stage.checksumTables();
    const { wallMs, rows } = await stage.verify();
    samples.push({ oursMs: wallMs, checksumTableMs, rows });
    onProgress(`round ${round}: ours ${Math.round(wallMs)} ms, CHECKSUM TABLE ${Math.round(checksumTableMs)} ms`);
  }
  const written = await writes.stop();
  if (!quick) await stage.growFirstTable();
  const needles = await findAll(stage, onProgress);
  // Last: it logs statements that read the imported tables, at which replication stops.
  const peer = await ptTableChecksum(stage.source);
  const oursMs = percentile(
    samples.map((sample) => sample.oursMs),
    0.5,
  );
  const ratios = samples.map((sample) => sample.oursMs / sample.checksumTableMs);
  const rows = samples[0]?.rows ?? 0;
  return {
    peers: { 'CHECKSUM TABLE': stage.source.flavor, 'pt-table-checksum': peer.version },
    figures: {
      wallRatioChecksumTable: Number(percentile(ratios, 0.5).toFixed(3)),
      rowsPerSecond: Math.round((rows / oursMs) * 1000),
      writesPerSecond: Math.round(written.perSecond),
      needlesFound: needles.filter(({ found }) => found).length,
      needlesHidden: needles.length,
    },
    raw: { samples, ptTableChecksumMs: peer.ms, needles },
  };
}
