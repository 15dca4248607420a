import { AppError } from '../core/errors.ts';
import { parsePosition, type StreamPosition } from '../core/gtid.ts';
import { otherSide, type Side } from '../core/phase.ts';
import type { ConflictsView, StrayWritesView, StreamView } from './api.ts';
import { rowKey, type TableWindow } from './apply/window.ts';
import { DdlJournal } from './ddl/ddl-journal.ts';
import { ddlHandler, type DdlDecision, type DecidedDdl } from './ddl/ddl-policy.ts';
import { hasMovedPrimaries, type ImportDocument } from './import-document.ts';
import type { ImportWorld } from './import-world.ts';
import { removeTriggers } from './objects/active-objects.ts';
import type { ReplicationOptions, WriteBackSide } from './replication/replication-options.ts';
import { Replication } from './replication/replication.ts';
import type { Definitions } from './ddl/stream-schema.ts';
import { existingTables } from './schema/existing-tables.ts';
import { inspectTables } from './schema/inspect.ts';
import type { ServerConnection } from './server/connection.ts';
import { executedPosition } from './server/position.ts';
import { createSidecar, ProgressRow, SIDECAR_SCHEMA } from './sidecar.ts';
import { isLogLost } from './stray/is-log-lost.ts';
import { forgetStrayEnd, readStrayEnd } from './stray/stray-end.ts';
import type { OwnTables } from './stream/stream-scope.ts';
import { StrayWatch, type StrayWatchOptions } from './stray/stray-watch.ts';
import type { DdlListener, Follower, TouchListener } from './verify/follower.ts';
import { ConflictWatch } from './write-back/conflict-watch.ts';
import type { WriteBackTally } from './write-back/judged-source.ts';
import { MESSAGES_DDL, MESSAGES_TABLE } from './write-back/message.ts';
import { WriteBack } from './write-back/write-back.ts';

export interface StreamEvents {
  /** Before anything reads from a server or claims a place on one; rejects where the state may be too old for that (ADR 27). */
  mayBegin: () => Promise<void>;
  /** A stream stopped with a reason; `isWanted`: nobody has ended it since, as a switch does with the one that it makes needless. */
  onFailed: (error: unknown, isWanted: () => boolean) => void;
  /** What is on the source alone from now on; told before it is noted. */
  onDiverged: (reason: string) => Promise<void>;
  /** Nobody sees by now what is on the source alone: see `strayWatchReads`. */
  onUnwatched: () => Promise<void>;
  /** A stream lost a connection. */
  onReconnect: () => void;
}

const BEGINNING_CONNECT_MS = 3000;
const TESTERS_MS_MAX = 10_000;

/** The streams of one import: at most one into each side, and the watch for stray writes while the target is primary. */
export class ImportStreams {
  readonly #world: ImportWorld;
  readonly #events: StreamEvents;
  readonly #running = new Map<Side, Replication>();
  readonly #touchListeners = new Set<TouchListener>();
  readonly #ddlListeners = new Set<DdlListener>();
  #strayWatch: StrayWatch | undefined;
  #writeBack: WriteBack | undefined;
  readonly #tally: WriteBackTally = { all: 0, returned: 0 };
  readonly #conflicts: ConflictWatch;
  #decidedDdl: DecidedDdl | undefined;
  #redefinitions = 0;

  constructor(world: ImportWorld, events: StreamEvents) {
    this.#world = world;
    this.#events = events;
    this.#conflicts = new ConflictWatch(world);
  }

  views(): StreamView[] {
    return [...this.#running.values(), ...(this.#writeBack === undefined ? [] : [this.#writeBack])].map((stream) =>
      stream.view(),
    );
  }

  /** Testers' writes that lost; null where there can be none. */
  conflicts(): ConflictsView | null {
    return this.#isWrittenBack ? this.#conflicts.view() : null;
  }

  get #isWrittenBack(): boolean {
    return this.#world.record.document.options.reverse === 'always';
  }

  /** While the source is primary: the stream to the target, and the write-back from it. */
  followSource(): void {
    this.startReplicationTo('target');
    this.#startWriteBack();
  }

  get writeBack(): WriteBack | undefined {
    return this.#writeBack;
  }

  get writeBackTally(): WriteBackTally {
    return this.#tally;
  }

  #startWriteBack(): void {
    // A switch that is undone has halted it.
    this.#writeBack?.goOn();
    if (!this.#isWrittenBack || this.#writeBack !== undefined) return;
    const world = this.#world;
    const { id, database, targetFacts } = world.record.document;
    const writeBack = new WriteBack(
      {
        importId: id,
        target: world.credentialsOf('target'),
        source: world.credentialsOf('source'),
        flavor: targetFacts.flavor,
        database,
        tables: () => world.record.document.tables,
        allTables: world.record.document.allTables,
        ddlDecisionOn: (gtid) => this.#decisionOn(gtid),
        mayBegin: () => this.#events.mayBegin(),
        onTouched: (table, keys) => {
          for (const listener of this.#touchListeners) listener(table, keys);
        },
        onChanged: () => world.changed(),
        onRetry: (error) => {
          world.log('warn', `the write-back to the source reconnects: ${error.message}`);
          this.#events.onReconnect();
        },
        log: (level, message, details) => world.log(level, message, details),
      },
      world.signal,
    );
    this.#writeBack = writeBack;
    writeBack.done.catch((error: unknown) => this.#events.onFailed(error, () => this.#writeBack === writeBack));
    world.log('info', 'what testers write on the target is brought to the source');
  }

  async stopWriteBack(): Promise<void> {
    const writeBack = this.#writeBack;
    this.#writeBack = undefined;
    await writeBack?.stop();
  }

  strayWrites(): StrayWritesView | null {
    return this.#strayWatch?.view() ?? null;
  }

  /** Until the next one is decided: a stream that loses a connection meets the statement again. */
  decideDdl(decided: DecidedDdl | undefined): void {
    this.#decidedDdl = decided;
  }

  /** The running stream that is applied to `side`. */
  replicationTo(side: Side): Replication | undefined {
    return this.#running.get(side);
  }

  /**
   * Starts the stream applied to `side` from its progress row; nothing to do where it runs, and none to a source that must
   * not be written to.
   */
  startReplicationTo(side: Side): void {
    if (side === 'source') this.watchStrays();
    const world = this.#world;
    const { document } = world.record;
    if (this.#running.has(side) || (side === 'source' && document.options.reverse === 'off')) return;
    const origin = otherSide(side);
    const onDdl = ddlHandler({
      world,
      journal: new DdlJournal({
        origin: world.credentialsOf(origin),
        destination: world.credentialsOf(side),
        importId: document.id,
        direction: side === 'target' ? 'forward' : 'reverse',
      }),
      destination: side,
      policy: document.options.ddl,
      decisionOn: (gtid) => this.#decisionOn(gtid),
    });
    const stream = new Replication(
      {
        importId: document.id,
        direction: side === 'target' ? 'forward' : 'reverse',
        origin: world.credentialsOf(origin),
        destination: world.credentialsOf(side),
        flavor: origin === 'source' ? document.sourceFacts.flavor : document.targetFacts.flavor,
        database: document.database,
        allTables: document.allTables,
        isOwnImport: this.isOwnImportOn(origin),
        ...exactFrom(document, side),
        ...this.#copied(side),
        loadTables: async () => {
          await using connection = await world.connect(origin);
          const { tables } = world.record.document;
          const there = await existingTables(connection, document.database, tables);
          const gone = tables.filter((name) => !there.some((table) => table.name === name));
          if (gone.length > 0)
            world.log('error', `not on the ${origin} any more, and not replicated from there: ${gone.join(', ')}`);
          return there;
        },
        tableNames: () => world.record.document.tables,
        onTables: async (names) => {
          await this.#keepTables(side, names);
          for (const { imported } of this.#ddlListeners) imported(names);
        },
        mayBegin: async (signal) => {
          await this.#events.mayBegin();
          if (side === 'target') await this.#lookAtTheRest(signal);
        },
        beforeSession: async () => {
          await this.#clearTriggers(side);
          if (side === 'target' && this.#isWrittenBack) await this.#conflicts.prepare();
        },
        ...(side === 'target' && this.#isWrittenBack ? { writeBack: this.#writeBackSide() } : {}),
        onDdl: async (transaction) => {
          for (const { begins } of this.#ddlListeners) begins(transaction.ddl);
          if (side === 'target') await this.#testersHeardSoon();
          return await onDdl(transaction);
        },
        onRedefined: async (changed) => await this.#onRedefined(side, changed),
        onApplied: (tables) => this.#onApplied(tables),
        onAppliedLarge: (tables) => {
          for (const name of tables) for (const listener of this.#touchListeners) listener(name, 'every');
          world.changed();
        },
        onCascaded: (tables) => {
          for (const name of tables) for (const listener of this.#touchListeners) listener(name, 'some');
        },
        onRetry: (error) => {
          world.log('warn', `replication to the ${side} reconnects: ${error.message}`);
          this.#events.onReconnect();
        },
      },
      world.signal,
    );
    this.#running.set(side, stream);
    stream.done.catch((error: unknown) => this.#events.onFailed(error, () => this.#running.get(side) === stream));
    world.log('info', `replication to the ${side} started`);
  }

  /** Where that stream begins, while it does not run. Rejects where there is none. */
  async beginningTo(side: Side): Promise<string> {
    const { id, options } = this.#world.record.document;
    if (side === 'source' && options.reverse === 'off')
      throw new AppError('VERIFY_STALE', 'the import has reverse: off, so nothing is brought to the source');
    // Asked at the end of a switch, which does not wait long for a server that has just gone.
    await using connection = await this.#world.connect(side, { connectTimeoutMs: BEGINNING_CONNECT_MS });
    const position = await new ProgressRow(id, side === 'target' ? 'forward' : 'reverse').read(connection);
    if (position === undefined) throw new AppError('INTERNAL', `the stream to the ${side} has no progress row`);
    return position;
  }

  async stopReplicationTo(side: Side): Promise<void> {
    const stream = this.#running.get(side);
    this.#running.delete(side);
    await Promise.all([stream?.stop(), side === 'source' ? this.#strayWatch?.stop() : undefined]);
  }

  /** All streams; stray writes are watched for on. */
  async stopReplication(): Promise<void> {
    await Promise.all([this.stopWriteBack(), ...[...this.#running.values()].map((stream) => stream.stop())]);
    this.#running.clear();
  }

  async stop(): Promise<void> {
    await this.stopReplication();
    await this.#strayWatch?.stop();
  }

  /** Only while the target is primary: begins where the stream to the target ended, which must have been stopped. */
  watchStrays(): void {
    if (this.#strayWatch !== undefined && !this.#strayWatch.ended) return;
    this.#strayWatch = this.#openStrayWatch(this.#world.signal);
  }

  /**
   * Before the stream to the target goes on where a stray watch has ended: see `noteStrayEnd`. What cannot be read of the old log there is
   * passed over, and said: applications have written nothing of it.
   */
  async #lookAtTheRest(signal: AbortSignal): Promise<void> {
    const world = this.#world;
    const { id, sourceFacts } = world.record.document;
    await using target = await world.connect('target');
    const end = await readStrayEnd(target, id);
    if (end === undefined) return;
    const watch = this.#openStrayWatch(signal, { until: parsePosition(sourceFacts.flavor, end) });
    this.#strayWatch = watch;
    try {
      await watch.done;
    } catch (error) {
      if (!isLogLost(error)) throw error;
      world.log(
        'error',
        `the old log of the source cannot be read: replication to the target begins at its end, stray writes before it stay on the source alone: ${error.message}`,
      );
      await this.#events.onDiverged('what was written on the old primary past the fence cannot be read');
      await new ProgressRow(id, 'forward').reset(target, end);
    }
    signal.throwIfAborted();
    await forgetStrayEnd(target, id);
  }

  #openStrayWatch(signal: AbortSignal, only: Pick<StrayWatchOptions, 'until'> = {}): StrayWatch {
    const world = this.#world;
    const { id, database, tables, allTables, sourceFacts } = world.record.document;
    return new StrayWatch(
      {
        ...only,
        known: this.#strayWatch?.counts ?? null,
        importId: id,
        direction: 'forward',
        oldPrimary: world.credentialsOf('source'),
        newPrimary: world.credentialsOf('target'),
        flavor: sourceFacts.flavor,
        database,
        allTables,
        tableNames: tables,
        // Behind the decision, of which `switches` does not tell before the end of the switch.
        isOwnImport: this.isOwnImportOn('source', { hasMoved: true }),
        loadTables: async () => {
          await using connection = await world.connect('source');
          // A stray DDL may have dropped one.
          return await existingTables(connection, database, tables);
        },
        log: (level, message, details) => world.log(level, message, details),
        mayBegin: () => this.#events.mayBegin(),
        onDiverged: (reason) => this.#events.onDiverged(reason),
        onUnwatched: () => this.#events.onUnwatched(),
        onChanged: () => world.changed(),
      },
      signal,
    );
  }

  /** Whether the stray watch has looked at everything in `position`, or does within `timeoutMs`. */
  async strayWatchReached(position: StreamPosition, timeoutMs: number): Promise<boolean> {
    const reached =
      this.#strayWatch?.waitFor(position, AbortSignal.timeout(timeoutMs)) ?? Promise.reject(new Error('no watch'));
    return await reached.then(
      () => true,
      () => false,
    );
  }

  /** False while the target is primary and the stray watch cannot read on: once it can, nothing has been missed. */
  get strayWatchReads(): boolean {
    return this.#strayWatch === undefined || this.#strayWatch.ended || this.#strayWatch.readable;
  }

  /** After stray writes were applied. */
  async recountStrays(connection: ServerConnection): Promise<void> {
    await this.#strayWatch?.recount(connection);
  }

  /** The stream to that side, as a verification needs it. */
  follower(side: Side): Follower {
    const stream = () => {
      const running = this.#running.get(side);
      if (running === undefined) throw new AppError('SERVER_GONE', `replication to the ${side} is not running`);
      return running;
    };
    return {
      get applied() {
        return stream().applied;
      },
      waitFor: (position, signal) => stream().waitFor(position, signal),
      reported: async (signal) => {
        await stream().reported();
        if (side === 'target') await this.#testersHeard(signal);
      },
      onTouched: (listener) => {
        this.#touchListeners.add(listener);
        return { [Symbol.dispose]: () => void this.#touchListeners.delete(listener) };
      },
      onDdl: (listener) => {
        this.#ddlListeners.add(listener);
        return { [Symbol.dispose]: () => void this.#ddlListeners.delete(listener) };
      },
    };
  }

  /**
   * What testers had written on the target by now has been judged, and told of: their rows are on one side alone until then,
   * and are no difference.
   */
  async #testersHeard(signal: AbortSignal): Promise<void> {
    const writeBack = this.#writeBack;
    if (writeBack === undefined) return;
    const world = this.#world;
    await using target = await world.connect('target');
    const position = await executedPosition(target, world.record.document.targetFacts.flavor);
    await writeBack.waitFor(position, signal);
  }

  /**
   * Before DDL on the target: the write-back reads tables as they are when it comes to a statement, so it should not have another one
   * before it.
   */
  async #testersHeardSoon(): Promise<void> {
    const soon = AbortSignal.any([this.#world.signal, AbortSignal.timeout(TESTERS_MS_MAX)]);
    // What is not judged by then may never be (a tester's XA transaction, a write-back that waits for the operator).
    await this.#testersHeard(soon).catch(() => {});
  }

  /**
   * Whether what an import of that name has written to that side is ours: only once this one has written there, since an import of
   * the same name, of another installation, may have before. `hasMoved`: primary traffic was on the target at some time.
   */
  isOwnImportOn(side: Side, { hasMoved = hasMovedPrimaries(this.#world.record.document) } = {}) {
    const { id, options } = this.#world.record.document;
    const isWrittenTo = side === 'target' || (options.reverse !== 'off' && (hasMoved || options.reverse === 'always'));
    return (importId: string): boolean => isWrittenTo && importId === id;
  }

  /** Of the source, to be read in its log; undefined where there is no write-back. */
  async ownTables(): Promise<OwnTables | undefined> {
    if (!this.#isWrittenBack) return undefined;
    await using source = await this.#world.connect('source');
    await createSidecar(source, [MESSAGES_DDL]);
    const [messages] = await inspectTables(source, SIDECAR_SCHEMA, [MESSAGES_TABLE]);
    return new Map(messages === undefined ? [] : [[messages.name, { table: messages, keepsRows: true }]]);
  }

  #writeBackSide(): WriteBackSide {
    return {
      tally: this.#tally,
      ownTables: () => this.ownTables(),
      onLost: (lost) => this.#conflicts.raise(lost),
    };
  }

  /** Before anything is applied to a side: what its triggers would do is in the rows already. */
  async #clearTriggers(side: Side): Promise<void> {
    const { database, tables, activeObjects } = this.#world.record.document;
    await using connection = await this.#world.connect(side);
    await removeTriggers({ connection, database, tables }, activeObjects);
  }

  /** The copy alone brings rows of different times; the stream to the source never meets any. */
  #copied(side: Side): Pick<ReplicationOptions, 'copiedUntil' | 'cascades'> {
    const { record } = this.#world;
    const { copiedPosition, cascadesSettled } = record.document;
    if (side === 'source' || copiedPosition === null) return {};
    const onSettled = async () => void (await record.update(() => ({ cascadesSettled: true })));
    return { copiedUntil: copiedPosition, cascades: { settled: cascadesSettled, onSettled } };
  }

  #onApplied(tables: Iterable<TableWindow>): void {
    for (const { table, rows } of tables) {
      for (const listener of this.#touchListeners) {
        listener(
          table.name,
          [...rows.values()].map(({ key }) => ({ key: rowKey(key), values: key })),
        );
      }
    }
    this.#world.changed();
  }

  /** How many DDL statements on imported tables streams have met so far. */
  get redefinitions(): number {
    return this.#redefinitions;
  }

  async #onRedefined(side: Side, changed: Definitions): Promise<void> {
    this.#redefinitions += 1;
    const named = (isThere: boolean) =>
      [...changed].filter(([, table]) => (table !== null) === isThere).map(([name]) => name);
    const [there, gone] = [named(true), named(false)];
    for (const { ends } of this.#ddlListeners) ends({ there, gone });
    // A switch that waits for the position goes on with the tables that it finds here.
    const others = this.#world.record.document.tables.filter((name) => !changed.has(name));
    await this.#keepTables(side, [...others, ...there]);
  }

  /** DDL that was replicated may have renamed, dropped or made again imported tables. */
  async #keepTables(side: Side, names: string[]): Promise<void> {
    const { record } = this.#world;
    const { tables } = record.document;
    if (names.length === tables.length && names.every((name) => tables.includes(name))) return;
    await record.update(({ created }) => ({
      tables: names,
      // What the stream to the target makes there is ours to drop, too.
      ...(side === 'target' ? { created: { ...created, tables: [...new Set([...created.tables, ...names])] } } : {}),
    }));
  }

  #decisionOn(gtid: string): DdlDecision | undefined {
    return this.#decidedDdl?.gtid === gtid ? this.#decidedDdl.decision : undefined;
  }
}

/**
 * Where the target begins to be what the source is. Never, after traffic has been on the target: stray writes on the old
 * primary are kept aside, and the new one wins. Nor where DDL may be left out: the operator has said that the two may differ.
 */
function exactFrom(document: ImportDocument, side: Side): { exactFrom?: string } {
  const { copiedPosition, options } = document;
  const mayDiffer = options.ddl === 'IGNORE' || options.ddl === 'EXEC_IGNORE';
  // Testers' rows: what they find is judged by the write-back.
  const isWrittenBack = options.reverse === 'always';
  return side === 'source' || hasMovedPrimaries(document) || mayDiffer || isWrittenBack || copiedPosition === null
    ? {}
    : { exactFrom: copiedPosition };
}
