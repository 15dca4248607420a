import { abortable, childController, isAbort } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { AppError, assert } from '../../core/errors.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition, ServerFacts, StrayWritesView } from '../api.ts';
import { batches } from '../apply/batches.ts';
import type { Table } from '../schema/table.ts';
import { ServerConnection } from '../server/connection.ts';
import { anchorOf, lastOf, type LastApplied } from '../replication/last-applied.ts';
import { StreamSchema } from '../ddl/stream-schema.ts';
import { createSidecar, lanesAhead, ProgressRow, takenOver, type Direction } from '../sidecar.ts';
import { collect, redefines, type Collected } from './collect.ts';
import { StrayAlarm, type AlarmLog } from './stray-alarm.ts';
import {
  countStrayWrites,
  insertStatements,
  STRAY_TABLES,
  strayRecords,
  type StrayCounts,
  type StrayRecord,
} from './stray-writes.ts';
import { rowsAsStatement } from './rows-as-statement.ts';
import { ChangeStream } from '../stream/change-stream.ts';
import { isSameName } from '../stream/stream-scope.ts';
import { gtidsOf, type StreamTransaction } from '../stream/transaction.ts';
import { coversBut } from '../stream/withheld.ts';

const STREAM_BUFFER_BYTES_MAX = 8 * 1024 * 1024;
/**
 * How often a position without strays is made durable. Not often: the row is a transaction on the new primary, which
 * the reverse stream answers with one on the old primary, which is read here again.
 */
const IDLE_PROGRESS_MS = 60_000;
const SKIPPED_MAX = 5000;
/** How long a look up to `until` waits for the next transaction: what is prepared may be all that is left of it. */
const LOOK_MS = 1000;

const STRAYED = 'writes reached the old primary past the fence (switchyard stray list)';

export interface StrayWatchOptions {
  importId: string;
  /** The stream whose place the watch takes: the one into the new primary. */
  direction: Direction;
  oldPrimary: ServerDefinition;
  newPrimary: ServerDefinition;
  /** Of the old primary. */
  flavor: ServerFacts['flavor'];
  database: string;
  /** See `ReplicationOptions`. */
  allTables: boolean;
  /** Those that are imported, whether they are there or not: a stray DROP TABLE names one that is gone by now. */
  tableNames: readonly string[];
  /** See `StreamScope`. */
  isOwnImport: (importId: string) => boolean;
  /** The imported tables as they are on the old primary now; read again after DDL. */
  loadTables: () => Promise<Table[]>;
  log: AlarmLog;
  /** See `ReplicationOptions`. */
  mayBegin: () => Promise<void>;
  /** Before strays are kept. */
  onDiverged: (reason: string) => Promise<void>;
  /** They cannot be looked for; told again with every attempt. */
  onUnwatched: () => Promise<void>;
  onChanged: () => void;
  /** What an earlier watch has counted: told until this one has read it itself. */
  known?: StrayCounts | null;
  /** Looks no further, since behind it applications write there; then it ends, and rejects with whatever keeps it from that. */
  until?: StreamPosition;
}

/**
 * Reads the old primary's log while the new one is primary, and keeps every transaction that is not ours (a stray write)
 * row by row in `_switchyard.stray_writes` on the new primary.
 *
 * Where it begins. Lost is what is on the old primary and was not applied to the new one; so it begins where the stream
 * into the new primary ended, and nowhere else: it goes on with that stream's own progress row. That row says exactly
 * what was applied, since both were committed together (I3), and so needs no step of its own in the switch, is durable
 * whenever the engine dies, and has neither a gap nor an overlap:
 * - Every write acknowledged before the fence is in it: the switch waits for the position that it reads behind the fence.
 *   Transactions without changes may be missing from the durable row, and are read again and passed over.
 * - A stray write that came while the switch waited was either applied by that stream, and then is on both sides, or is
 *   behind the row and is found here.
 * - A switch that is undone lets the stream go on from the same row; the watch starts after the decision alone, when the
 *   stream has been stopped, and takes the row over (`claim`), so that an engine thought dead cannot apply from it.
 * The earlier idea, F = `gtid_executed` read behind the fence and stored, is wrong in both ways: strays between F and
 * the end of the stream would be applied and reported too, and storing it is one more step to crash around.
 *
 * Exactly once: records and row change in one transaction, and an unknown COMMIT is settled by reading the row again.
 *
 * The way back. What the watch has not looked at when a switch back ends it is not for the stream that then goes on from the row:
 * that passes over what the reverse stream has brought, and would write a stray over it on the new primary's copy alone. So another
 * watch looks at it first, up to where the reverse stream ended (`until`, ADR 34).
 *
 * But for that one it never ends by itself: what it cannot read is an alarm too, and it tries again.
 */
export class StrayWatch {
  readonly done: Promise<void>;
  readonly #options: StrayWatchOptions;
  readonly #controller: AbortController;
  readonly #progress: ProgressRow;
  readonly #alarm: StrayAlarm;
  #counts: StrayCounts | undefined;
  #state: StrayWritesView['watch'] = 'catching_up';
  #seen: StreamPosition | undefined;
  #stream: ChangeStream | undefined;
  #moved = Promise.withResolvers<void>();
  /** The last transaction that was looked at is not to be had any more: see `AnchorCheck`. */
  #isAnchorPurged = false;
  /** Everything up to `until` was looked at. */
  #isAtEnd = false;
  /** As of the place that was looked at; undefined behind DDL: they are read anew. */
  #tables: ReadonlyMap<string, Table> | undefined;

  constructor(options: StrayWatchOptions, signal: AbortSignal) {
    this.#options = options;
    this.#controller = childController(signal);
    this.#progress = new ProgressRow(options.importId, options.direction);
    this.#alarm = new StrayAlarm(options.log);
    this.#counts = options.known ?? undefined;
    this.done = this.#run(this.#controller.signal);
  }

  /** Null until it has read what was found before. */
  view(): StrayWritesView | null {
    return this.#counts === undefined ? null : { ...this.#counts, watch: this.#state };
  }

  get counts(): StrayCounts | null {
    return this.#counts ?? null;
  }

  /** False when the log of the old primary cannot be read on from the progress row. */
  get readable(): boolean {
    return this.#state !== 'failed';
  }

  get ended(): boolean {
    return this.#controller.signal.aborted;
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await this.done.catch(() => {});
  }

  /** Counts again, after records were applied. */
  async recount(connection: ServerConnection): Promise<void> {
    this.#counts = await countStrayWrites(connection, this.#options.importId);
    this.#options.onChanged();
  }

  /** Resolves when everything in `position` was looked at, but for what is prepared (XA); rejects when `signal` aborts first. */
  async waitFor(position: StreamPosition, signal: AbortSignal): Promise<void> {
    while (this.#seen === undefined || !this.#isLookedAt(this.#seen, position))
      await abortable(this.#moved.promise, signal);
  }

  #isLookedAt(seen: StreamPosition, position: StreamPosition): boolean {
    return coversBut(seen, position, () => this.#stream?.withheld() ?? []);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const retry = new Backoff({ initialMs: 100, maxMs: 30_000 });
    let isUnreadable = false;
    while (!signal.aborted && !this.#isAtEnd) {
      try {
        // What a log has cannot be had from it for the asking: an alarm now and then, not ten in a second.
        await this.#session(signal, () => {
          if (!isUnreadable) retry.reset();
        });
        isUnreadable = false;
      } catch (error) {
        if (signal.aborted || isAbort(error)) break;
        const { code, message, entry } =
          error instanceof AppError ? error : new AppError('INTERNAL', String(error), { cause: error });
        // The import says so, and ends this watch with everything else.
        if (code === 'STATE_OUTDATED' && this.#options.until === undefined) return;
        if (code === 'STREAM_PURGED' && !this.#isAnchorPurged) {
          this.#isAnchorPurged = true;
          continue;
        }
        this.#state = entry.kind === 'retryable' ? 'catching_up' : 'failed';
        isUnreadable = this.#state === 'failed';
        // They may be other ones by now, by a statement that is not in the log.
        if (isUnreadable) this.#tables = undefined;
        if (this.#options.until !== undefined) {
          this.#controller.abort();
          throw error;
        }
        this.#options.log(
          this.#state === 'failed' ? 'error' : 'warn',
          `the old primary is not watched for stray writes: ${code}: ${message}`,
        );
        if (this.#state === 'failed') await this.#options.onUnwatched();
        this.#options.onChanged();
        // Another engine has the import; that one watches.
        if (code === 'STREAM_TAKEN_OVER') return;
        await retry.wait(signal).catch(() => {});
      }
    }
    if (this.#state === 'watching') this.#state = 'stopped';
    this.#controller.abort();
    this.#alarm.close();
    if (this.#options.until !== undefined && !this.#isAtEnd)
      throw new AppError('SERVER_GONE', 'the look at the log of the old primary was cut short');
  }

  /** Until something fails, or after DDL, since tables are then read anew. */
  async #session(signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { importId, newPrimary, oldPrimary, flavor, database, allTables, tableNames, loadTables, onChanged, until } =
      this.#options;
    await this.#options.mayBegin();
    await using connection = await ServerConnection.open(newPrimary, { multiStatements: true });
    await createSidecar(connection, STRAY_TABLES);
    const { owner, position, last, lanePositions } = await this.#progress.claim(connection);
    const tables = (this.#tables ??= await this.#tablesOf(connection, loadTables));
    // This watch passes over DDL; a stream that goes on from here has to look at the tables anew.
    await this.#progress.forgetSchema(connection);
    this.#counts = await countStrayWrites(connection, importId);
    const seen = parsePosition(flavor, position);
    this.#isAtEnd = until !== undefined && seen.covers(until);
    if (this.#isAtEnd) return;
    // The switch makes sure of it before it decides.
    assert(lanesAhead(flavor, seen, lanePositions).length === 0, 'no lane is ahead of the row where the watch begins');
    const controller = childController(signal);
    try {
      const stream = await ChangeStream.open({
        server: oldPrimary,
        flavor,
        from: seen,
        anchor: this.#isAnchorPurged ? undefined : anchorOf(flavor, seen, last),
        tableOf: (schema, name) => (schema === database ? tables.get(name) : undefined),
        namesImported: (schema, name) =>
          isSameName(schema, database) && [...tables.keys(), ...tableNames].some((known) => isSameName(name, known)),
        takesNew: (schema) => allTables && isSameName(schema, database),
        inScope: (schema) => isSameName(schema, database),
        isOwnImport: this.#options.isOwnImport,
        onWithheld: () => this.#notify(),
        signal: controller.signal,
        bufferBytesMax: STREAM_BUFFER_BYTES_MAX,
      });
      this.#stream = stream;
      this.#seen = seen;
      this.#state = 'watching';
      // Nothing may come for a long time, and whoever waits for a position may be waiting for this one.
      this.#notify();
      onChanged();
      onOpen();
      await this.#watch({ stream, connection, owner, seen, last }, controller.signal);
    } finally {
      this.#stream = undefined;
      controller.abort();
    }
  }

  /** As the stream whose place this is has known them there; else as they are now. */
  async #tablesOf(connection: ServerConnection, loadTables: () => Promise<Table[]>): Promise<Map<string, Table>> {
    const { importId, direction } = this.#options;
    const kept = await new StreamSchema(importId, direction).read(connection);
    const tables = kept === undefined ? await loadTables() : [...kept.values()].filter((table) => table !== null);
    return new Map(tables.map((table) => [table.name, table]));
  }

  async #watch(session: WatchSession, signal: AbortSignal): Promise<void> {
    const { stream, seen } = session;
    const { until } = this.#options;
    let skipped = 0;
    let behind: StreamTransaction | undefined;
    for (;;) {
      if (until !== undefined && this.#isLookedAt(seen, until)) return await this.#end(session);
      const waitMs = until !== undefined ? LOOK_MS : skipped === 0 ? undefined : IDLE_PROGRESS_MS;
      let collected: Collected;
      try {
        collected = await collect(stream, { first: behind, waitMs, until, signal });
      } catch (error) {
        const unreadable = rowsAsStatement(error);
        if (unreadable !== undefined && until?.coversGtid(unreadable.gtid) === false) return await this.#end(session);
        if (unreadable !== undefined) await this.#options.onDiverged(STRAYED);
        if (unreadable !== undefined) return await this.#keep(session, [unreadable.gtid], undefined, [[unreadable]]);
        // Within the pause of a switch back: only where reading it again would take longer than the commit.
        if (skipped > SKIPPED_MAX / 5 && signal.aborted) await this.#keep(session, [], undefined, []).catch(() => {});
        throw error;
      }
      this.#isAnchorPurged = false;
      const { transactions, large, isPast } = collected;
      const strays = transactions
        .filter(({ ours }) => !ours)
        .map(strayRecords)
        .filter((records) => records.length > 0);
      const gtids = transactions.flatMap(gtidsOf);
      const stamp = transactions.at(-1)?.stamp;
      const idle = transactions.length === 0 && large === undefined && !isPast;
      const isRedefined = transactions.some(redefines);
      if (strays.length > 0) await this.#options.onDiverged(STRAYED);
      // The next session reads the tables anew, so it must not begin before the statement.
      if (strays.length > 0 || isRedefined || (idle && skipped > 0) || skipped > SKIPPED_MAX) {
        await this.#keep(session, gtids, stamp, strays);
        skipped = 0;
      } else {
        advance(session, gtids, stamp);
        this.#notify();
        skipped += transactions.length;
      }
      if (isPast) return await this.#end(session);
      if (isRedefined) {
        this.#tables = undefined;
        return;
      }
      behind = large === undefined ? undefined : await this.#keepLarge(session, large, signal);
    }
  }

  /** Everything up to `until` was looked at, which becomes durable. What is prepared the stream behind it reads again. */
  async #end(session: WatchSession): Promise<void> {
    await this.#keep(session, [], undefined, []);
    this.#isAtEnd = true;
  }

  /** Records and position in one transaction; `seen` moves behind it. */
  async #keep(
    session: WatchSession,
    gtids: string[],
    stamp: string | undefined,
    transactions: StrayRecord[][],
  ): Promise<void> {
    const records = transactions.flat();
    const lastAtMs = records.at(-1)?.committedAtMs ?? 0;
    await this.#begin(session, gtids, stamp, lastAtMs);
    await this.#insert(session, records);
    await session.connection.write('COMMIT');
    advance(session, gtids, stamp);
    for (const transaction of transactions) this.#alarm.raise(transaction);
    this.#kept(records.length, lastAtMs);
  }

  /**
   * A transaction in parts: each is recorded as it comes, all within one transaction. They may turn out to be void (see
   * `StreamTransaction`); answers the transaction that has shown it by following them.
   */
  async #keepLarge(
    session: WatchSession,
    first: StreamTransaction,
    signal: AbortSignal,
  ): Promise<StreamTransaction | undefined> {
    const { connection, stream } = session;
    const { gtid, committedAtMs } = first;
    // A large one is not read again for a look at it.
    await this.#begin(session, gtidsOf(first), undefined, committedAtMs);
    let count = 0;
    for (let part = first; ;) {
      const records = strayRecords(part);
      await this.#insert(session, records);
      count += records.length;
      if (!part.partial) break;
      try {
        part = await stream.next(signal);
      } catch (error) {
        // Kept with the rows before it; the stream has ended, and begins again behind this transaction.
        const unreadable = rowsAsStatement(error);
        if (unreadable?.gtid !== gtid) throw error;
        await this.#insert(session, [unreadable]);
        count += 1;
        break;
      }
      if (part.gtid === gtid && !part.ours) continue;
      await connection.write('ROLLBACK');
      if (part.gtid !== gtid) return part;
      advance(session, gtidsOf(part), undefined);
      this.#notify();
      return undefined;
    }
    if (count > 0) await this.#options.onDiverged(STRAYED);
    await connection.write('COMMIT');
    advance(session, gtidsOf(first), undefined);
    this.#alarm.raise(strayRecords(first), count);
    this.#kept(count, committedAtMs);
    return undefined;
  }

  /** Opens the transaction in which everything in `gtids` is taken for seen. */
  async #begin(
    { connection, owner, seen, last }: WatchSession,
    gtids: string[],
    stamp: string | undefined,
    lastAtMs: number,
  ): Promise<void> {
    const next = { seen: seen.clone(), last };
    advance(next, gtids, stamp);
    const results = await connection.batch([
      'BEGIN',
      this.#progress.updateStatement(owner, { position: next.seen.toString(), last: next.last }, lastAtMs),
    ]);
    if (results.at(-1)?.affectedRows !== 1) throw takenOver();
  }

  async #insert({ connection }: WatchSession, records: StrayRecord[]): Promise<void> {
    for (const batch of batches(insertStatements(this.#options.importId, records))) await connection.batch(batch);
  }

  #kept(records: number, lastAtMs: number): void {
    if (records > 0) {
      const { count = 0, unapplied = 0 } = this.#counts ?? {};
      this.#counts = { count: count + records, unapplied: unapplied + records, lastAtMs };
      this.#options.onChanged();
    }
    this.#notify();
  }

  #notify(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers<void>();
  }
}

interface WatchSession {
  stream: ChangeStream;
  connection: ServerConnection;
  owner: string;
  /** Everything that was looked at. */
  seen: StreamPosition;
  /** The last one in it. */
  last: LastApplied | undefined;
}

/** Of the last one of `gtids`; none: nothing changes. */
function advance(place: Pick<WatchSession, 'seen' | 'last'>, gtids: string[], stamp: string | undefined): void {
  if (gtids.length === 0) return;
  place.last = lastOf(place.seen, gtids, stamp);
  for (const gtid of gtids) place.seen.advance(gtid);
}
