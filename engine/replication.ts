import { abortable, childController } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import { parsePosition, type StreamPosition } from '../core/gtid.ts';
import type { ServerDefinition, ServerFacts, StreamView } from './api.ts';
import { Applier } from './apply/applier.ts';
import { isBehind } from './apply/backlog.ts';
import { Cascades } from './apply/cascades.ts';
import type { ApplyMode } from './apply/table-statements.ts';
import { WindowCollector, type TransactionSource } from './apply/window-collector.ts';
import { ApplyWindow, type TableWindow } from './apply/window.ts';
import { checkDdlDuringCopy } from './ddl-during-copy.ts';
import { reconnecting } from './reconnecting.ts';
import { withAddedKeys } from './schema/added-keys.ts';
import { withPartitions } from './schema/partitioned.ts';
import type { Table } from './schema/table.ts';
import { ServerConnection } from './server/connection.ts';
import { lanesAhead, ProgressRow, type Direction } from './sidecar.ts';
import { definitionsAfter, StreamSchema, type Definitions } from './stream-schema.ts';
import { ChangeStream } from './stream/change-stream.ts';
import { isSameName, type OwnTables } from './stream/stream-scope.ts';
import { gtidsOf, type LoggedDdl, type StreamTransaction } from './stream/transaction.ts';
import { JudgedSource, type WriteBackTally } from './write-back/judged-source.ts';

/** Of final states in a window; another window of as much is collected while one is written. */
const WINDOW_BYTES_MAX = 16 * 1024 * 1024;
/** Behind, a window is not begun with less while more arrives: the larger it is, the more changes fall on the same rows. */
const CATCH_UP_BYTES_MIN = 4 * 1024 * 1024;
/** Nothing came for so long, or it has been waited for that long: what there is is applied. */
const PAUSE_MS = 20;
const GATHER_MS_MAX = 250;
const STREAM_BUFFER_BYTES_MAX = 16 * 1024 * 1024;
/** A stream whose oldest waiting transaction is younger follows its origin, though it is never without one. */
const FOLLOWING_LAG_MS = 1000;
/** How often a position without changes is made durable. */
const IDLE_PROGRESS_MS = 1000;

/** Does what the policy says with a DDL statement on an imported table; answers whether the destination has executed it. */
export type DdlHandler = (transaction: StreamTransaction & { ddl: LoggedDdl }) => Promise<'applied' | 'skipped'>;

export interface ReplicationOptions {
  importId: string;
  direction: Direction;
  origin: ServerDefinition;
  destination: ServerDefinition;
  flavor: ServerFacts['flavor'];
  database: string;
  /** The import is of the whole database: what is created in it is imported too. */
  allTables?: boolean;
  /**
   * From this position on the destination is what the origin was, but for this stream: then every change must find the
   * rows that it expects, and stops the stream where it does not. Left out: rows may be of another time or of somebody
   * else (the copy, stray writes), and the origin wins.
   */
  exactFrom?: string;
  /**
   * Until this position rows that were copied are of different, later times: see `checkDdlDuringCopy`. Foreign keys whose doings the
   * origin does not log are followed behind it only (`Cascades`). Left out: nothing was copied.
   */
  copiedUntil?: string;
  /** At `copiedUntil`, what foreign keys should have taken away until then is removed once. */
  cascades?: { settled: boolean; onSettled: () => Promise<void> };
  /** The imported tables as they are on the origin now; asked when the stream begins, from then on it keeps track itself. */
  loadTables: () => Promise<Table[]>;
  /** Hears the names of the imported tables that there are, in each session and after each DDL statement. */
  onTables?: (names: string[]) => Promise<void>;
  /** At the beginning of every session, before anything is applied; what it rejects with ends the session. */
  beforeSession?: () => Promise<void>;
  onDdl: DdlHandler;
  /** Hears the tables and keys of each window after the attempt to commit it, failed or not: it may have happened. */
  onApplied?: (tables: Iterable<TableWindow>) => void;
  /** The same for a transaction in parts, whose keys are too many to be remembered: any key of these tables. */
  onAppliedLarge?: (tables: Iterable<string>) => void;
  /** Foreign keys may have changed rows of these tables with those of which `onApplied` told: any of them, or none. */
  onCascaded?: (tables: Iterable<string>) => void;
  /** The write-back runs in the other direction: what it does on the origin is judged before it is applied (ADR 19). */
  writeBack?: WriteBackSide;
  onRetry?: (error: AppError) => void;
  /** After so long without a sign of life a server is taken for gone: the origin, which sends heartbeats, and the destination. */
  silence?: { originMs: number; destinationMs: number };
}

export interface WriteBackSide {
  tally: WriteBackTally;
  /** Of the origin. */
  ownTables: () => Promise<OwnTables | undefined>;
  /** After they were stored on the destination. */
  onLost: (lost: ApplyWindow['lost']) => void;
}

/** One direction: reads the origin's stream and applies it to the destination, until stopped; reconnects by itself. */
export class Replication {
  readonly #options: ReplicationOptions;
  readonly #controller: AbortController;
  readonly #progress: ProgressRow;
  readonly #schema: StreamSchema;
  readonly done: Promise<void>;
  #applied: StreamPosition | undefined;
  /** Where lanes stood when the session began, as long as `#applied` does not cover them. */
  #lanesAhead: StreamPosition[] = [];
  #isBehind = false;
  #appliedChanged = Promise.withResolvers<void>();
  #state: StreamView['state'] = 'catching_up';
  #failure: unknown;
  #stream: ChangeStream | undefined;
  #collector: WindowCollector | undefined;
  #writingSinceMs: number | undefined;
  #committing: Promise<void> = Promise.resolve();
  #areCascadesSettled: boolean;
  /** The rows are not those of `#applied` yet: children without a parent are left. */
  #awaitsCascades = false;
  #transactions = 0;
  #rowChanges = 0;

  /** Starts at the durable progress row; `done` rejects with what stopped it, and resolves when `stop` did. */
  constructor(options: ReplicationOptions, signal: AbortSignal) {
    this.#options = options;
    this.#areCascadesSettled = options.cascades?.settled ?? true;
    this.#controller = childController(signal);
    this.#progress = new ProgressRow(options.importId, options.direction);
    this.#schema = new StreamSchema(options.importId, options.direction);
    this.done = this.#run(this.#controller.signal);
    this.done.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await this.done.catch(() => {});
  }

  /**
   * Everything up to here is applied and, but for transactions without changes, durable. Undefined while that is unknown:
   * without a session, until it is past where lanes stood before it, and while `#awaitsCascades`.
   */
  get applied(): StreamPosition | undefined {
    return this.#lanesAhead.length === 0 && !this.#awaitsCascades ? this.#applied : undefined;
  }

  /** From commit at the origin to now, of the oldest transaction that is not applied; 0 when there is none; undefined while unknown. */
  get lagMs(): number | undefined {
    const stream = this.#stream;
    if (stream === undefined) return undefined;
    const oldestMs = this.#writingSinceMs ?? this.#collector?.oldestCommittedAtMs;
    if (oldestMs !== undefined) return Math.max(0, Date.now() - oldestMs);
    return Math.max(0, Date.now() - stream.lastHeardAtMs - 2000);
  }

  view(): StreamView {
    return {
      direction: this.#options.direction,
      state: this.#state,
      lagMs: this.lagMs ?? null,
      position: this.#applied?.toString() ?? null,
      transactionsApplied: this.#transactions,
      rowChangesApplied: this.#rowChanges,
    };
  }

  /** Resolves when a window that is being committed at the time of the call, if any, has been told to `onApplied`. */
  async reported(): Promise<void> {
    await this.#committing;
  }

  /** Resolves when everything in `position` is applied; rejects when the stream stops first or `signal` aborts. */
  async waitFor(position: StreamPosition, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.applied?.covers(position) === true) return;
      await abortable(this.#appliedChanged.promise, signal);
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const onRetry = (error: AppError) => {
      this.#state = 'catching_up';
      this.#options.onRetry?.(error);
    };
    try {
      await reconnecting((onOpen) => this.#session(signal, onOpen), { signal, onRetry });
      this.#state = 'stopped';
      this.#failure = new AppError('SERVER_GONE', 'the stream was stopped');
    } catch (error) {
      this.#state = 'failed';
      this.#failure = error;
      throw error;
    } finally {
      this.#stream = undefined;
      this.#notify();
    }
  }

  /** One pair of connections, from the durable position on; ends after DDL too, since what follows is decoded with other definitions. */
  async #session(signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { origin, destination, flavor, database, allTables = false, exactFrom, silence } = this.#options;
    const silenceMs = silence?.destinationMs;
    await using applier = await Applier.open({
      origin,
      destination,
      progress: this.#progress,
      silenceMs,
      othersWrite: this.#options.writeBack !== undefined,
    });
    await this.#options.beforeSession?.();
    const definitions = await this.#loadDefinitions();
    const cascades = await this.#readCascades();
    this.#awaitsCascades = cascades !== null && !this.#areCascadesSettled;
    const { writeBack, importId } = this.#options;
    const ownTables = await writeBack?.ownTables();
    const { position, readFrom } = applier.start;
    const from = parsePosition(flavor, position);
    const controller = childController(signal);
    try {
      const stream = await ChangeStream.open({
        server: origin,
        flavor,
        from,
        readFrom: readFrom === undefined ? undefined : parsePosition(flavor, readFrom),
        tableOf: (schema, name) => (schema === database ? (definitions.get(name) ?? undefined) : undefined),
        isImported: (schema, name) => schema === database && definitions.has(name),
        namesImported: (schema, name) =>
          isSameName(schema, database) && definitions.keys().some((known) => isSameName(name, known)),
        takesNew: (schema) => allTables && isSameName(schema, database),
        inScope: (schema) => isSameName(schema, database),
        signal: controller.signal,
        bufferBytesMax: STREAM_BUFFER_BYTES_MAX,
        ...(ownTables === undefined ? {} : { ownTables }),
        ...(silence === undefined ? {} : { silenceMaxMs: silence.originMs }),
      });
      this.#stream = stream;
      const source =
        writeBack === undefined
          ? stream
          : new JudgedSource({ stream, from, flavor, importId, definitions, tally: writeBack.tally });
      this.#collector = new WindowCollector(source, (transaction) => cascades?.concerns(transaction) === true);
      this.#lanesAhead = lanesAhead(flavor, from, applier.lanePositions);
      this.#applied = from;
      this.#notify();
      onOpen();
      await this.#applyUntilDdl({
        stream,
        source,
        applier,
        applied: from,
        readFrom,
        definitions,
        cascades,
        collector: this.#collector,
        exactFrom: exactFrom === undefined ? undefined : parsePosition(flavor, exactFrom),
        signal: controller.signal,
      });
    } finally {
      this.#stream = undefined;
      this.#collector = undefined;
      this.#writingSinceMs = undefined;
      // A COMMIT without an answer may have happened: what is applied is known again when the progress row was read.
      this.#applied = undefined;
      controller.abort();
    }
  }

  /**
   * Applies window after window, each while the next one is collected. `applied` moves only after the commit (I3): whoever
   * waits for a position must not be told of transactions that are merely collected. Transactions without changes move it
   * in memory at once, and are made durable with the next window, or when they have waited for `IDLE_PROGRESS_MS`.
   */
  async #applyUntilDdl(session: Session): Promise<void> {
    const { collector } = session;
    let durable = true;
    for (;;) {
      await this.#settleCascades(session);
      await this.#gather(session, durable ? undefined : IDLE_PROGRESS_MS);
      const { window, alone } = collector.take();
      this.#writingSinceMs = window.oldestCommittedAtMs ?? alone?.committedAtMs;
      const idle = window.transactions === 0 && alone === undefined;
      if (!window.isEmpty || (idle && !durable)) {
        await this.#applyWindow(session, window, alone === undefined);
        durable = true;
      } else if (window.transactions > 0) {
        durable = false;
      }
      this.#advanceOver(session, window);
      if (alone !== undefined && (alone.partial || alone.ddl === null)) {
        // It may be the first one behind the copy.
        await this.#settleCascades(session);
        const { isDurable, behind } = await this.#applyLarge(alone, session);
        durable &&= isDurable;
        if (behind !== undefined) collector.giveBack(behind);
      } else if (alone !== undefined) {
        await this.#handleDdl(alone, session);
        return;
      }
    }
  }

  /** Until there is a window to apply: whatever waits, and while catching up as much as is worth it. */
  async #gather({ stream, applier, collector, signal }: Session, waitMs: number | undefined): Promise<void> {
    let hasRoom = collector.drain(WINDOW_BYTES_MAX);
    if (collector.isEmpty) {
      this.#state = 'running';
      this.#isBehind = false;
      await applier.endLanes();
      if (!(await collector.wait(waitMs, signal))) return;
      hasRoom = collector.drain(WINDOW_BYTES_MAX);
    }
    this.#isBehind = isBehind(this.#isBehind, {
      transactions: collector.transactions + stream.buffered,
      bytes: collector.bytes + stream.bufferedBytes,
    });
    if (!this.#isBehind) {
      await applier.endLanes();
      if (hasRoom && (this.lagMs ?? Infinity) < FOLLOWING_LAG_MS) this.#state = 'running';
      return;
    }
    this.#state = 'catching_up';
    const enoughAtMs = performance.now() + GATHER_MS_MAX;
    while (hasRoom && collector.bytes < CATCH_UP_BYTES_MIN && performance.now() < enoughAtMs) {
      if (!(await collector.wait(PAUSE_MS, signal))) return;
      hasRoom = collector.drain(WINDOW_BYTES_MAX);
    }
  }

  /** Collecting goes on meanwhile, where that is allowed. */
  async #applyWindow(session: Session, window: ApplyWindow, mayCollect: boolean): Promise<void> {
    const { applier, applied, collector } = session;
    const next = applied.clone();
    for (const gtid of window.gtids) next.advance(gtid);
    const durable = { position: next.toString(), readFrom: readFromBehind(session, window) };
    const mode = this.#modeOf(session);
    const committing = this.#telling(
      () => applier.apply(window, { ...durable, mode, inLanes: this.#isBehind }),
      () => this.#options.onApplied?.(window.tables.values()),
    );
    const collecting = mayCollect ? collector.drainWhile(committing, WINDOW_BYTES_MAX) : undefined;
    for (const result of await Promise.allSettled([committing, collecting]))
      if (result.status === 'rejected') throw result.reason;
    this.#transactions += window.transactions;
    this.#rowChanges += window.rowChanges;
    if (window.lost.length > 0) this.#options.writeBack?.onLost(window.lost);
  }

  #modeOf({ applied, exactFrom }: Session): ApplyMode {
    const isExact = exactFrom !== undefined && this.#lanesAhead.length === 0 && applied.covers(exactFrom);
    return isExact ? 'exact' : 'replay';
  }

  #advanceOver(session: Session, window: ApplyWindow): void {
    this.#advance(session, window.gtids, readFromBehind(session, window));
  }

  #advance(session: Session, gtids: readonly string[], readFrom: string | undefined): void {
    const { applied } = session;
    for (const gtid of gtids) applied.advance(gtid);
    session.readFrom = readFrom;
    if (this.#lanesAhead.length > 0) this.#lanesAhead = this.#lanesAhead.filter((ahead) => !applied.covers(ahead));
    this.#writingSinceMs = undefined;
    this.#notify();
  }

  async #readCascades(): Promise<Cascades | null> {
    const { origin, destination, database } = this.#options;
    await using connection = await ServerConnection.open(destination);
    return await Cascades.read(connection, async () => ServerConnection.open(origin), database);
  }

  /** Whether foreign keys are followed at the position of the session. */
  #followsCascades({ applied }: Session): boolean {
    return !this.#isOverCopy(applied);
  }

  /** Once, when every row is of the time of the stream. */
  async #settleCascades(session: Session): Promise<void> {
    const { applier, applied, readFrom, cascades } = session;
    if (!this.#awaitsCascades || cascades === null || !this.#followsCascades(session)) return;
    await applier.repeat({ position: applied.toString(), readFrom }, cascades.orphanStatements());
    await this.#options.cascades?.onSettled();
    this.#areCascadesSettled = true;
    this.#awaitsCascades = false;
    this.#notify();
  }

  /**
   * A transaction that comes in parts, or that foreign keys follow, inside one of the destination. Parts may turn out to be void
   * (see `StreamTransaction`); `behind` is the transaction that has shown it by following them.
   */
  async #applyLarge(
    first: StreamTransaction,
    session: Session,
  ): Promise<{ isDurable: boolean; behind: StreamTransaction | undefined }> {
    const { source, applier, applied, signal } = session;
    const { gtid, committedAtMs, readFrom } = first;
    this.#writingSinceMs = committedAtMs;
    const position = applied.clone();
    for (const moved of gtidsOf(first)) position.advance(moved);
    const durable = { position: position.toString(), readFrom };
    const large = await applier.beginLarge(durable, committedAtMs, this.#modeOf(session));
    const isFollowed = this.#followsCascades(session);
    const tables = new Set<string>();
    let rowChanges = 0;
    let part = first;
    for (;;) {
      if (!isFollowed) session.cascades?.refuseWhileCopying(part.changes);
      for (const changed of await large.add(part, isFollowed ? session.cascades : null)) tables.add(changed);
      rowChanges += part.changes.length;
      if (!part.partial) break;
      part = await source.next(signal);
      if (part.gtid === gtid && !part.ours) continue;
      await large.rollback();
      if (part.gtid !== gtid) return { isDurable: true, behind: part };
      this.#advance(session, gtidsOf(part), part.readFrom);
      return { isDurable: false, behind: undefined };
    }
    await this.#telling(
      () => large.commit(),
      () => this.#tellAlone(first, tables),
    );
    this.#transactions += 1;
    this.#rowChanges += rowChanges;
    this.#advance(session, gtidsOf(first), readFrom);
    return { isDurable: true, behind: undefined };
  }

  #tellAlone(first: StreamTransaction, tables: Set<string>): void {
    const { onApplied, onAppliedLarge, onCascaded } = this.#options;
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

  async #telling(commit: () => Promise<void>, tell: () => void): Promise<void> {
    const told = Promise.withResolvers<void>();
    this.#committing = told.promise;
    try {
      await commit();
    } finally {
      tell();
      told.resolve();
    }
  }

  /** Position and definitions behind the statement become durable together; the next session reads on with those. */
  async #handleDdl(transaction: StreamTransaction, session: Session): Promise<void> {
    const { applier, applied, definitions } = session;
    const { gtid, ddl, committedAtMs, readFrom } = transaction;
    if (ddl === null) return;
    const outcome = await this.#options.onDdl({ ...transaction, ddl });
    const changed = await this.#definitionsAfter(definitions, ddl, outcome);
    if (this.#isOverCopy(applied)) checkDdlDuringCopy(definitions, changed, ddl);
    const position = applied.clone();
    position.advance(gtid);
    const durable = { position: position.toString(), readFrom };
    await applier.note(durable, committedAtMs, this.#schema.keepStatements(changed));
    this.#advance(session, [gtid], readFrom);
  }

  #isOverCopy(applied: StreamPosition): boolean {
    const { copiedUntil, flavor } = this.#options;
    return copiedUntil !== undefined && !applied.covers(parsePosition(flavor, copiedUntil));
  }

  async #loadDefinitions(): Promise<Definitions> {
    const { destination, database, loadTables, onTables } = this.#options;
    await using connection = await ServerConnection.open(destination);
    const definitions = await this.#schema.load(connection, loadTables);
    await onTables?.([...definitions].flatMap(([name, table]) => (table === null ? [] : [name])));
    const withKeys = await withAddedKeys(connection, database, definitions);
    return await withPartitions(connection, database, withKeys);
  }

  async #definitionsAfter(before: Definitions, ddl: LoggedDdl, outcome: 'applied' | 'skipped'): Promise<Definitions> {
    const { flavor, database, allTables = false } = this.#options;
    await using origin = await ServerConnection.open(this.#options.origin);
    await using destination = await ServerConnection.open(this.#options.destination);
    return await definitionsAfter(before, { ddl, outcome, origin, destination, flavor, database, allTables });
  }

  #notify(): void {
    this.#appliedChanged.resolve();
    this.#appliedChanged = Promise.withResolvers<void>();
  }
}

/** An empty one moves nothing. */
function readFromBehind(session: Session, window: ApplyWindow): string | undefined {
  return window.transactions === 0 ? session.readFrom : window.readFrom;
}

/** What one pair of connections has. */
interface Session {
  stream: ChangeStream;
  /** Its transactions as they are to be applied. */
  source: TransactionSource;
  applier: Applier;
  applied: StreamPosition;
  /** Where a session that goes on from `applied` has to read from: see `StreamTransaction`. */
  readFrom: string | undefined;
  /** Of the imported tables, at `applied`. */
  definitions: Definitions;
  /** Null: nothing has to be done about them. */
  cascades: Cascades | null;
  collector: WindowCollector;
  exactFrom: StreamPosition | undefined;
  signal: AbortSignal;
}
