import { AppError } from '../../core/errors.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import type { AppliedProgress } from './applied-progress.ts';
import type { Applier } from '../apply/applier.ts';
import { isBehind } from '../apply/backlog.ts';
import type { Cascades } from '../apply/cascades.ts';
import type { Orphans } from '../apply/orphans.ts';
import type { ApplyMode } from '../apply/table-statements.ts';
import type { TransactionSource, WindowCollector } from '../apply/window-collector.ts';
import { ApplyWindow } from '../apply/window.ts';
import { foreignTables } from '../ddl/foreign-tables.ts';
import { numberedOtherwise } from '../ddl/ddl-numbering.ts';
import { checkDdlDuringCopy } from '../ddl/ddl-during-copy.ts';
import { lastOf, type LastApplied } from './last-applied.ts';
import type { ReplicationOptions } from './replication-options.ts';
import { ServerConnection } from '../server/connection.ts';
import { executedPosition, holdsSoon, settledPosition, visiblePosition } from '../server/position.ts';
import type { DurablePosition } from '../sidecar.ts';
import { definitionsAfter, type Definitions, type StreamSchema } from '../ddl/stream-schema.ts';
import type { ChangeStream } from '../stream/change-stream.ts';
import { gtidsOf, type LoggedDdl, type StreamTransaction } from '../stream/transaction.ts';

/** Of final states in a window; another window of as much is collected while one is written. */
const WINDOW_BYTES_MAX = 16 * 1024 * 1024;
/** Behind, a window is not begun with less while more arrives: the larger it is, the more changes fall on the same rows. */
const CATCH_UP_BYTES_MIN = 4 * 1024 * 1024;
/** Nothing came for so long, or it has been waited for that long: what there is is applied. */
const PAUSE_MS = 20;
const GATHER_MS_MAX = 250;
/** A stream whose oldest waiting transaction is younger follows its origin, though it is never without one. */
const FOLLOWING_LAG_MS = 1000;
/** How often a position without changes is made durable. */
const IDLE_PROGRESS_MS = 1000;

export interface SessionParts {
  options: ReplicationOptions;
  progress: AppliedProgress;
  stream: ChangeStream;
  /** Its transactions as they are to be applied. */
  source: TransactionSource;
  collector: WindowCollector;
  applier: Applier;
  /** `progress.position`. */
  applied: StreamPosition;
  /** Where the stream began to be read, if not there: `DurablePosition`. */
  readFrom: string | undefined;
  /** Of those in `applied`. */
  last: LastApplied | undefined;
  schema: StreamSchema;
  /** Of the imported tables, at `applied`. */
  definitions: Definitions;
  /** Null: nothing has to be done about them. */
  cascades: Cascades | null;
  onCascadesSettled: () => Promise<void>;
  exactFrom: StreamPosition | undefined;
  signal: AbortSignal;
}

/** What is durable beside the position behind a transaction. */
type Behind = Pick<DurablePosition, 'readFrom' | 'last'>;

/** What is done with one pair of connections: transactions are read, gathered into windows, applied, told of. */
export class ReplicationSession {
  readonly #parts: SessionParts;
  /** Behind `applied`. */
  #readFrom: string | undefined;
  /** The last one in `applied`. */
  #last: LastApplied | undefined;
  /** Children without a parent were dealt with, as the origin was here: see `Orphans`. */
  #settledAt: StreamPosition | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#readFrom = parts.readFrom;
    this.#last = parts.last;
  }

  /** From commit at the origin to now, of the oldest transaction that is not applied; 0 when there is none. */
  get lagMs(): number {
    const { stream, collector, progress } = this.#parts;
    const oldestMs = progress.writingSinceMs ?? collector.oldestCommittedAtMs;
    if (oldestMs !== undefined) return Math.max(0, Date.now() - oldestMs);
    return Math.max(0, Date.now() - stream.lastHeardAtMs - 2000);
  }

  /**
   * Applies window after window, each while the next one is collected. `applied` moves only after the commit (I3): whoever
   * waits for a position must not be told of transactions that are merely collected. Transactions without changes move it
   * in memory at once, and are made durable with the next window, or when they have waited for `IDLE_PROGRESS_MS`.
   */
  async run(): Promise<void> {
    const { collector, progress } = this.#parts;
    let durable = true;
    for (;;) {
      await this.#settleCascades();
      await this.#gather(durable ? undefined : IDLE_PROGRESS_MS);
      const { window, alone } = collector.take();
      progress.writingSinceMs = window.oldestCommittedAtMs ?? alone?.committedAtMs;
      const idle = window.transactions === 0 && alone === undefined;
      if (!window.isEmpty || (idle && !durable)) {
        await this.#applyWindow(window, alone === undefined);
        durable = true;
      } else if (window.transactions > 0) {
        durable = false;
      }
      this.#advance(window.gtids, this.#behind(window));
      if (alone !== undefined && (alone.partial || alone.ddl === null)) {
        // It may be the first one behind the copy.
        await this.#settleCascades();
        const { isDurable, behind } = await this.#applyLarge(alone);
        durable &&= isDurable;
        if (behind !== undefined) collector.giveBack(behind);
      } else if (alone !== undefined) {
        try {
          await this.#handleDdl(alone);
        } catch (error) {
          throw atStatement(error, alone.gtid);
        }
        return;
      }
    }
  }

  /** Until there is a window to apply: whatever waits, and while catching up as much as is worth it. */
  async #gather(waitMs: number | undefined): Promise<void> {
    const { stream, applier, collector, progress, signal } = this.#parts;
    let hasRoom = collector.drain(WINDOW_BYTES_MAX);
    if (collector.isEmpty) {
      progress.state = 'running';
      progress.isBehind = false;
      await applier.endLanes();
      if (!(await collector.wait(waitMs, signal))) return;
      hasRoom = collector.drain(WINDOW_BYTES_MAX);
    }
    progress.isBehind = isBehind(progress.isBehind, {
      transactions: collector.transactions + stream.buffered,
      bytes: collector.bytes + stream.bufferedBytes,
    });
    if (!progress.isBehind) {
      await applier.endLanes();
      if (hasRoom && this.lagMs < FOLLOWING_LAG_MS) progress.state = 'running';
      return;
    }
    progress.state = 'catching_up';
    const enoughAtMs = performance.now() + GATHER_MS_MAX;
    while (hasRoom && collector.bytes < CATCH_UP_BYTES_MIN && performance.now() < enoughAtMs) {
      if (!(await collector.wait(PAUSE_MS, signal))) return;
      hasRoom = collector.drain(WINDOW_BYTES_MAX);
    }
  }

  /** Collecting goes on meanwhile, where that is allowed. */
  async #applyWindow(window: ApplyWindow, mayCollect: boolean): Promise<void> {
    const { applier, applied, collector, progress } = this.#parts;
    const next = applied.clone();
    for (const gtid of window.gtids) next.advance(gtid);
    const durable = { position: next.toString(), ...this.#behind(window) };
    const mode = this.#modeOf();
    const committing = progress.telling(
      () => applier.apply(window, { ...durable, mode, inLanes: progress.isBehind }),
      () => this.#parts.options.onApplied?.(window.tables.values()),
    );
    const collecting = mayCollect ? collector.drainWhile(committing, WINDOW_BYTES_MAX) : undefined;
    for (const result of await Promise.allSettled([committing, collecting]))
      if (result.status === 'rejected') throw result.reason;
    progress.transactions += window.transactions;
    progress.rowChanges += window.rowChanges;
    if (window.lost.length > 0) this.#parts.options.writeBack?.onLost(window.lost);
  }

  #modeOf(): ApplyMode {
    const { exactFrom, progress } = this.#parts;
    const isOfOneTime = !progress.hasLanesAhead && !progress.awaitsCascades;
    const isExact = exactFrom !== undefined && isOfOneTime && progress.reaches(exactFrom);
    return isExact ? 'exact' : 'replay';
  }

  #advance(gtids: readonly string[], { readFrom, last }: Behind): void {
    this.#readFrom = readFrom;
    this.#last = last;
    this.#parts.progress.advance(gtids);
  }

  /** Once, when every row is of the time of the stream; over when the stream is where the origin was asked. */
  async #settleCascades(): Promise<void> {
    const { cascades, progress, onCascadesSettled } = this.#parts;
    if (!progress.awaitsCascades || cascades === null || this.#isWithinCopy()) return;
    this.#settledAt ??= await this.#removeOrphans(cascades);
    if (!progress.reaches(this.#settledAt)) return;
    await onCascadesSettled();
    progress.cascadesSettled();
  }

  /** Resolves to where the origin was when it was asked, or to where the stream is. */
  async #removeOrphans(cascades: Cascades): Promise<StreamPosition> {
    const { applier, applied, definitions, options, signal } = this.#parts;
    const durable = { position: applied.toString(), readFrom: this.#readFrom, last: this.#last };
    await using origin = await ServerConnection.open(this.#parts.options.origin);
    await this.#untilVisible(origin);
    let orphans: Orphans | undefined;
    await applier.repeat(durable, async (destination) => {
      orphans ??= cascades.orphans({ destination, origin, tables: definitions });
      return await orphans.remove();
    });
    if (orphans?.hasAsked !== true) return applied.clone();
    return (await settledPosition(origin, options.flavor, signal)) ?? (await executedPosition(origin, options.flavor));
  }

  /** A semi-synchronous origin gives us transactions before it shows them: a row of such a one is not gone. Tried again in another session. */
  async #untilVisible(origin: ServerConnection): Promise<void> {
    const { applied, options, signal } = this.#parts;
    const isVisible = async () => (await visiblePosition(origin, options.flavor)).covers(applied);
    if (await holdsSoon(isVisible, signal)) return;
    const message = `the origin does not show yet what is in its log up to ${applied.toString()}`;
    throw new AppError('SERVER_GONE', message, { details: { errno: 0 } });
  }

  /**
   * A transaction that comes in parts, or that foreign keys follow, inside one of the destination. Parts may turn out to be void
   * (see `StreamTransaction`); `behind` is the transaction that has shown it by following them.
   */
  async #applyLarge(first: StreamTransaction): Promise<{ isDurable: boolean; behind: StreamTransaction | undefined }> {
    const { source, applier, applied, cascades, progress, signal } = this.#parts;
    const { gtid, committedAtMs } = first;
    progress.writingSinceMs = committedAtMs;
    const position = applied.clone();
    for (const moved of gtidsOf(first)) position.advance(moved);
    const behind = this.#behindAlone(first);
    const durable = { position: position.toString(), ...behind };
    const large = await applier.beginLarge(durable, committedAtMs, this.#modeOf());
    const isFollowed = !this.#isWithinCopy();
    const tables = new Set<string>();
    let rowChanges = 0;
    let part = first;
    for (;;) {
      if (!isFollowed) cascades?.refuseWhileCopying(part.changes);
      for (const changed of await large.add(part, isFollowed ? cascades : null)) tables.add(changed);
      rowChanges += part.changes.length;
      if (!part.partial) break;
      part = await source.next(signal);
      if (part.gtid === gtid && !part.ours) continue;
      await large.rollback();
      if (part.gtid !== gtid) return { isDurable: true, behind: part };
      this.#advance(gtidsOf(part), { ...this.#behindAlone(first), readFrom: part.readFrom });
      return { isDurable: false, behind: undefined };
    }
    await progress.telling(
      () => large.commit(),
      () => this.#tellAlone(first, tables),
    );
    progress.transactions += 1;
    progress.rowChanges += rowChanges;
    this.#advance(gtidsOf(first), behind);
    return { isDurable: true, behind: undefined };
  }

  #tellAlone(first: StreamTransaction, tables: Set<string>): void {
    const { onApplied, onAppliedLarge, onCascaded } = this.#parts.options;
    if (first.partial) {
      onAppliedLarge?.(tables);
      return;
    }
    const window = new ApplyWindow();
    window.add(first);
    onApplied?.(window.tables.values());
    for (const { name } of window.tables.keys()) tables.delete(name);
    onCascaded?.(tables);
  }

  /** Position and definitions behind the statement become durable together; the next session reads on with those. */
  async #handleDdl(transaction: StreamTransaction): Promise<void> {
    const { applier, applied, definitions, schema } = this.#parts;
    const { gtid, ddl, committedAtMs } = transaction;
    if (ddl === null) return;
    const outcome = await this.#parts.options.onDdl({ ...transaction, ddl, ...(await this.#seenThere(ddl)) });
    const changed = await this.#definitionsAfter(definitions, ddl, outcome);
    if (this.#isWithinCopy()) checkDdlDuringCopy(definitions, changed, ddl);
    // Not behind `note`: where that has no answer, the next session may begin behind the statement.
    await this.#parts.options.onRedefined?.(changed);
    const position = applied.clone();
    position.advance(gtid);
    const behind = this.#behindAlone(transaction);
    const durable = { position: position.toString(), ...behind };
    await applier.note(durable, committedAtMs, schema.keepStatements(changed));
    this.#advance([gtid], behind);
  }

  /** Rows that were copied may be of a later time than the stream: what DDL does is looked at, foreign keys are not followed. */
  #isWithinCopy(): boolean {
    const { copiedUntil, flavor } = this.#parts.options;
    return copiedUntil !== undefined && !this.#parts.progress.reaches(parsePosition(flavor, copiedUntil));
  }

  /** What the policy has to know of the destination. */
  async #seenThere(ddl: LoggedDdl): Promise<{ foreign: string[]; numbered: string | undefined }> {
    const { definitions, options } = this.#parts;
    const { flavor, database } = options;
    await using destination = await ServerConnection.open(options.destination);
    return {
      foreign: await foreignTables(destination, { ddl, database, imported: definitions }),
      numbered: await numberedOtherwise({ ddl, destination, database, definitions, flavor }),
    };
  }

  async #definitionsAfter(before: Definitions, ddl: LoggedDdl, outcome: 'applied' | 'skipped'): Promise<Definitions> {
    const { flavor, database, allTables = false } = this.#parts.options;
    await using origin = await ServerConnection.open(this.#parts.options.origin);
    await using destination = await ServerConnection.open(this.#parts.options.destination);
    return await definitionsAfter(before, { ddl, outcome, origin, destination, flavor, database, allTables });
  }

  /** An empty one moves nothing. Before `applied` is moved. */
  #behind({ transactions, gtids, readFrom, stamp }: ApplyWindow): Behind {
    if (transactions === 0) return { readFrom: this.#readFrom, last: this.#last };
    return { readFrom, last: lastOf(this.#parts.applied, gtids, stamp) };
  }

  /** The same of one transaction. A large one is not read again for a look at it. */
  #behindAlone(transaction: StreamTransaction): Behind {
    const { readFrom, partial, stamp } = transaction;
    return { readFrom, last: lastOf(this.#parts.applied, gtidsOf(transaction), partial ? undefined : stamp) };
  }
}

/** What the operator decides of the statement is decided of this one. */
function atStatement(error: unknown, gtid: string): unknown {
  if (!(error instanceof AppError)) return error;
  return new AppError(error.code, error.message, { cause: error.cause, details: { gtid, ...error.details } });
}
