import { abortable } from '../../core/abort.ts';
import { systemClock } from '../../core/clock.ts';
import { parsePosition } from '../../core/gtid.ts';
import type { VerifyView } from '../api.ts';
import type { ImportWorld } from '../import-world.ts';
import type { KeptVerification } from './kept-verification.ts';
import { STILL, type VerificationRecord } from './verification-record.ts';
import { earlierPass, newPass, type PassStart } from '../verify/pass-start.ts';
import { RowRate } from '../verify/row-rate.ts';
import { runVerify } from '../verify/run-verify.ts';

const CONNECTIONS_MAX = 2;

export const NOTHING_YET: VerifyView = {
  ...STILL,
  state: 'failed',
  reason: null,
  startedAtMs: 0,
  finishedAtMs: null,
  rows: 0,
  tables: [],
  rowsPerSecond: null,
  primary: 'source',
  position: null,
};

/** Whether a pass has stopped on its way and can go on. */
export function canGoOn(view: VerifyView | null): boolean {
  const hasStopped = view?.state === 'paused' || view?.state === 'failed' || view?.state === 'running';
  return hasStopped && view.position !== null;
}

export interface VerificationPassOptions {
  world: ImportWorld;
  record: VerificationRecord;
  kept: KeptVerification;
  /** Null: as fast as it may. */
  rowsPerSecond: number | null;
  /** What it goes on with; null: a new one. */
  former: VerifyView | null;
  signal: AbortSignal;
  /** The first row is about to be compared. */
  onBegun: () => void;
}

/** The pass over all rows: the other side is compared with the primary. */
export class VerificationPass {
  readonly #options: VerificationPassOptions;

  constructor(options: VerificationPassOptions) {
    this.#options = options;
  }

  /** Resolves with its verdict, which is neither shown nor stored yet. Rejects as `runVerify`. */
  async run(): Promise<VerifyView> {
    const { world, record, kept, signal, onBegun } = this.#options;
    const { document } = world.record;
    const { source, target, mirrored, follower } = kept.options;
    await abortable(kept.pairTables(), signal);
    const { startedAtMs, rowsPerSecond, chunks, done } = await this.#begin();
    const rate = rowsPerSecond === null ? undefined : new RowRate(rowsPerSecond, systemClock);
    try {
      const view = await runVerify({
        flavors: kept.options.flavors,
        source,
        target,
        mirrored,
        // The largest first: its chunks are those that several connections share.
        tables: kept.tables.toCompare().sort((a, b) => b.source.table.bytes - a.source.table.bytes),
        isPaired: (table) => kept.tables.isPaired(table),
        follower,
        connections: Math.min(CONNECTIONS_MAX, document.options.connections),
        signal,
        startedAtMs,
        done,
        onProgress: (view) => {
          // A verdict is shown when it is stored; what it fails of is put into words then.
          if (view.state === 'running') record.view = { ...view, rowsPerSecond };
          world.changed();
        },
        onTables: (verifications) => {
          kept.begin(verifications, rate);
          onBegun();
        },
        onEqual: (table, chunk) => chunks.add(table, chunk),
        onRows: (rows) => rate?.spent(rows),
        pace: async (waiting) => {
          await kept.pace(waiting);
          await rate?.pass(waiting);
        },
        beforeVerdict: (deciding) => kept.settle(deciding),
      });
      return { ...view, rowsPerSecond, position: kept.position?.toString() ?? null };
    } finally {
      await world.tolerating('chunks will be compared once more', () => chunks.flush());
    }
  }

  /** Stored before the first row is compared, so that it can go on from there. */
  async #begin(): Promise<PassStart> {
    const { world, record, kept, rowsPerSecond, former, signal } = this.#options;
    // Noted on the target whoever is primary: less is written on the source.
    const place = { target: world.credentials.target, importId: world.record.document.id };
    const earlier =
      former === null
        ? undefined
        : await earlierPass(place, former, {
            heardSince: (position) =>
              abortable(kept.heardSince(parsePosition(kept.options.flavors.source, position)), signal),
            log: (message) => world.log('warn', message),
          });
    const start = earlier ?? newPass(place, rowsPerSecond);
    const position = earlier === undefined ? await abortable(kept.begins(), signal) : kept.position;
    await start.chunks.begin();
    const view: VerifyView = {
      ...NOTHING_YET,
      state: 'running',
      startedAtMs: start.startedAtMs,
      primary: kept.options.mirrored ? 'target' : 'source',
      rowsPerSecond: start.rowsPerSecond,
      position: position?.toString() ?? null,
    };
    const begun =
      earlier === undefined || former === null
        ? view
        : { ...former, ...view, rows: former.rows, tables: former.tables };
    record.view = begun;
    await world.record.update(() => ({ verify: begun }));
    return start;
  }
}
