import { systemClock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import type { ServerConnection } from '../server/connection.ts';
import { executedPosition } from '../server/position.ts';
import { ProgressRow } from '../sidecar.ts';
import type { SwitchWorld } from '../switch/switch-world.ts';

const ROUNDS_MAX = 5;

/**
 * Behind the fence of the source, when the stream to the target has caught up: halts the write-back at a place from where on
 * the target's log can be followed with the target as primary. That is a place behind which the stream to the target has
 * written nothing there: its writes are passed over by the reverse stream, so no tester's transaction before one may be
 * left to it.
 *
 * The write-back judges all that the target has now, and halts. Where that brought neither a conflict nor a row that the
 * stream to the target has to write again, all that it brought is on both sides, and what testers write from now on is
 * followed by nothing else. Otherwise once more.
 *
 * What gets past the fence of the source meanwhile and is written to the target would be such a write all the same: the
 * caller has to look at `tally.all` once that stream has been stopped, and to make the place durable up to where it was
 * applied (`keepForwardPosition`). The write-back goes on by `followSource`.
 */
export async function settleWriteBack(
  { streams, record, signal: ending }: SwitchWorld,
  { source, target, deadlineAtMs }: { source: ServerConnection; target: ServerConnection; deadlineAtMs: number },
): Promise<StreamPosition | undefined> {
  const { options, sourceFacts, targetFacts } = record.document;
  if (options.reverse !== 'always') return undefined;
  // Past it the switch is undone, and the write-back goes on: it must not be halted from here then.
  const signal = AbortSignal.any([
    ending,
    AbortSignal.timeout(Math.max(1, Math.round(deadlineAtMs - systemClock.monotonicMs()))),
  ]);
  const { writeBack, writeBackTally: tally } = streams;
  const stream = streams.replicationTo('target');
  if (stream === undefined || writeBack === undefined)
    throw new AppError('SWITCH_ROLLED_BACK', 'replication is not running in both directions');
  for (let round = 1; round <= ROUNDS_MAX; round += 1) {
    const before = tally.returned;
    const position = await executedPosition(target, targetFacts.flavor);
    signal.throwIfAborted();
    writeBack.goOn();
    await writeBack.halt(position, signal);
    const applied = await executedPosition(source, sourceFacts.flavor);
    await stream.waitFor(applied, signal);
    if (tally.returned === before) return applied;
  }
  throw new AppError(
    'SWITCH_ROLLED_BACK',
    'the target is being written to, and what is written there goes on meeting other rows on the source',
  );
}

/**
 * What the stream to the target has passed over is durable only with the next row that it writes. After the way back it would
 * read such a transaction of the write-back again, know nothing of that time any more, and write its rows over newer ones
 * (found by test/model). Only when that stream has been stopped.
 */
export async function keepForwardPosition(
  { record }: SwitchWorld,
  target: ServerConnection,
  applied: StreamPosition,
): Promise<void> {
  const { id, sourceFacts } = record.document;
  const row = new ProgressRow(id, 'forward');
  const durable = await row.read(target);
  if (durable !== undefined && parsePosition(sourceFacts.flavor, durable).covers(applied)) return;
  await row.moveTo(target, applied.toString());
}

/** Ahead of the pause: DDL of ours on the target (counters, events) makes the write-back begin a session anew. */
export async function writeBackPassed({ streams, record }: SwitchWorld, target: ServerConnection): Promise<void> {
  const { options, targetFacts } = record.document;
  if (options.reverse !== 'always') return;
  const position = await executedPosition(target, targetFacts.flavor);
  // What is not judged in time is judged within the pause.
  await streams.writeBack?.waitFor(position, AbortSignal.timeout(options.maxLagMs)).catch(() => {});
}
