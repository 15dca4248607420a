import { AppError } from '../../core/errors.ts';
import type { ServerDefinition, VerifyView } from '../api.ts';
import { VerifiedChunks, type VerifiedChunk } from './verified-chunks.ts';

export interface PassStart {
  /** Tells it from others of the import. */
  startedAtMs: number;
  rowsPerSecond: number | null;
  chunks: VerifiedChunks;
  /** By table: what was found equal before. */
  done: ReadonlyMap<string, readonly VerifiedChunk[]>;
}

export interface PassPlace {
  target: ServerDefinition;
  importId: string;
}

export function newPass({ target, importId }: PassPlace, rowsPerSecond: number | null): PassStart {
  const startedAtMs = Date.now();
  return { startedAtMs, rowsPerSecond, chunks: new VerifiedChunks(target, importId, startedAtMs), done: new Map() };
}

export interface EarlierPassOptions {
  /** Looks up what was written since a position; see `touchedSince`. */
  heardSince: (position: string) => Promise<void>;
  log: (message: string) => void;
}

/** A pass that has stopped on its way; undefined where what was written in between cannot be known. */
export async function earlierPass(
  { target, importId }: PassPlace,
  { startedAtMs, rowsPerSecond, position, tables }: VerifyView,
  { heardSince, log }: EarlierPassOptions,
): Promise<PassStart | undefined> {
  if (position === null) return undefined;
  try {
    await heardSince(position);
  } catch (error) {
    if (!(error instanceof AppError) || error.entry.kind === 'retryable') throw error;
    log(`the verification begins anew: ${error.message}`);
    return undefined;
  }
  const chunks = new VerifiedChunks(target, importId, startedAtMs);
  const done = await chunks.load();
  for (const { name, differencesTotal, anew, state, rows } of tables) {
    // What differs is known by its text alone, and looked for again; what is noted of a table that DDL has touched is of before it.
    if ((differencesTotal > 0 || anew) && done.delete(name)) await chunks.forget(name);
    if (anew && state === 'equal') {
      const whole = { seq: 0, lower: null, upper: null, rows };
      done.set(name, [whole]);
      chunks.add(name, whole);
    }
  }
  return { startedAtMs, rowsPerSecond, chunks, done };
}
