import { childController } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import type { StreamView } from '../api.ts';
import { AppliedProgress } from './applied-progress.ts';
import { Applier } from '../apply/applier.ts';
import { Cascades } from '../apply/cascades.ts';
import { WindowCollector } from '../apply/window-collector.ts';
import { anchored, type SessionStart } from './anchored.ts';
import { anchorOf } from './last-applied.ts';
import { reconnecting } from '../reconnecting.ts';
import type { ReplicationOptions } from './replication-options.ts';
import { ReplicationSession } from './replication-session.ts';
import { withAddedKeys } from '../schema/added-keys.ts';
import { withPartitions } from '../schema/partitioned.ts';
import { ServerConnection } from '../server/connection.ts';
import { lanesAhead, ProgressRow } from '../sidecar.ts';
import { PreparedSchema } from '../ddl/prepared-schema.ts';
import { StreamSchema, type Definitions } from '../ddl/stream-schema.ts';
import { tablesAt } from '../ddl/tables-at.ts';
import { ChangeStream } from '../stream/change-stream.ts';
import { isSameName } from '../stream/stream-scope.ts';
import { JudgedSource } from '../write-back/judged-source.ts';

const STREAM_BUFFER_BYTES_MAX = 16 * 1024 * 1024;

/** One direction: reads the origin's stream and applies it to the destination, until stopped; reconnects by itself. */
export class Replication {
  readonly #options: ReplicationOptions;
  readonly #controller: AbortController;
  readonly #row: ProgressRow;
  readonly #schema: StreamSchema;
  readonly #progress = new AppliedProgress();
  readonly done: Promise<void>;
  #session: ReplicationSession | undefined;
  #areCascadesSettled: boolean;

  /** Starts at the durable progress row; `done` rejects with what stopped it, and resolves when `stop` did. */
  constructor(options: ReplicationOptions, signal: AbortSignal) {
    this.#options = options;
    this.#areCascadesSettled = options.cascades?.settled ?? true;
    this.#controller = childController(signal);
    this.#row = new ProgressRow(options.importId, options.direction);
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
   * without a session, until it is past where lanes stood before it, and while children without a parent are left.
   */
  get applied(): StreamPosition | undefined {
    return this.#progress.applied;
  }

  /** See `ReplicationSession`; undefined while unknown. */
  get lagMs(): number | undefined {
    return this.#session?.lagMs;
  }

  view(): StreamView {
    const { state, position, transactions, rowChanges } = this.#progress;
    return {
      direction: this.#options.direction,
      state,
      lagMs: this.lagMs ?? null,
      position: position?.toString() ?? null,
      transactionsApplied: transactions,
      rowChangesApplied: rowChanges,
    };
  }

  /** Resolves when a window that is being committed at the time of the call, if any, has been told to `onApplied`. */
  async reported(): Promise<void> {
    await this.#progress.reported();
  }

  /** Resolves when everything in `position` is applied; rejects when the stream stops first or `signal` aborts. */
  async waitFor(position: StreamPosition, signal: AbortSignal): Promise<void> {
    await this.#progress.waitFor(position, signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const onRetry = (error: AppError) => {
      this.#progress.state = 'catching_up';
      this.#options.onRetry?.(error);
    };
    try {
      await reconnecting(
        (onOpen) => anchored((isAnchorPurged) => this.#runSession({ signal, onOpen, isAnchorPurged })),
        { signal, onRetry },
      );
      this.#progress.end('stopped', new AppError('SERVER_GONE', 'the stream was stopped'));
    } catch (error) {
      this.#progress.end('failed', error);
      throw error;
    }
  }

  /** One pair of connections, from the durable position on; ends after DDL too, since what follows is decoded with other definitions. */
  async #runSession({ signal, onOpen, isAnchorPurged }: SessionStart): Promise<void> {
    const { origin, destination, flavor, database, allTables = false, exactFrom, silence } = this.#options;
    const silenceMs = silence?.destinationMs;
    await this.#options.mayBegin?.(signal);
    await using applier = await Applier.open({
      origin,
      destination,
      progress: this.#row,
      silenceMs,
      othersWrite: this.#options.writeBack !== undefined,
    });
    await this.#options.beforeSession?.();
    const { position, readFrom, last } = applier.start;
    const from = parsePosition(flavor, position);
    const { definitions, cascades } = await this.#readDestination(from, signal);
    const { writeBack, importId } = this.#options;
    const ownTables = await writeBack?.ownTables();
    const controller = childController(signal);
    try {
      const stream = await ChangeStream.open({
        server: origin,
        flavor,
        from,
        readFrom: readFrom === undefined ? undefined : parsePosition(flavor, readFrom),
        anchor: isAnchorPurged ? undefined : anchorOf(flavor, from, last),
        tableOf: (schema, name) => (schema === database ? (definitions.get(name) ?? undefined) : undefined),
        isImported: (schema, name) => schema === database && definitions.has(name),
        namesImported: (schema, name) =>
          isSameName(schema, database) && definitions.keys().some((known) => isSameName(name, known)),
        takesNew: (schema) => allTables && isSameName(schema, database),
        inScope: (schema) => isSameName(schema, database),
        isOwnImport: this.#options.isOwnImport ?? ((id) => id === importId),
        onWithheld: () => this.#progress.withheldMore(),
        signal: controller.signal,
        bufferBytesMax: STREAM_BUFFER_BYTES_MAX,
        ...(ownTables === undefined ? {} : { ownTables }),
        ...(silence === undefined ? {} : { silenceMaxMs: silence.originMs }),
      });
      const source =
        writeBack === undefined
          ? stream
          : new JudgedSource({ stream, from, flavor, importId, definitions, tally: writeBack.tally });
      this.#session = new ReplicationSession({
        options: this.#options,
        progress: this.#progress,
        stream,
        source,
        collector: new WindowCollector(source, (transaction) => cascades?.concerns(transaction) === true),
        applier,
        applied: from,
        readFrom,
        last,
        schema: this.#schema,
        definitions,
        cascades,
        onCascadesSettled: async () => {
          await this.#options.cascades?.onSettled();
          this.#areCascadesSettled = true;
        },
        exactFrom: exactFrom === undefined ? undefined : parsePosition(flavor, exactFrom),
        signal: controller.signal,
      });
      this.#progress.begin(from, {
        lanesAhead: lanesAhead(flavor, from, applier.lanePositions),
        awaitsCascades: cascades !== null && !this.#areCascadesSettled,
        withheld: () => stream.withheld(),
      });
      onOpen();
      await this.#session.run();
    } finally {
      this.#session = undefined;
      this.#progress.endSession();
      controller.abort();
    }
  }

  /** What has to be known of the tables at `from`, and which of them are imported. */
  async #readDestination(
    from: StreamPosition,
    signal: AbortSignal,
  ): Promise<{ definitions: Definitions; cascades: Cascades | null }> {
    const { origin, destination, importId, flavor, database, allTables = false, loadTables, onTables } = this.#options;
    const tableNames = this.#options.tableNames?.() ?? [];
    await using connection = await ServerConnection.open(destination);
    const tables = async () => {
      const prepared = await new PreparedSchema(importId).read(connection);
      return await tablesAt({ origin, flavor, from, database, allTables, prepared, loadTables, tableNames, signal });
    };
    const kept = await this.#schema.load(connection, tables, tableNames);
    await onTables?.([...kept].flatMap(([name, table]) => (table === null ? [] : [name])));
    const withKeys = await withAddedKeys(connection, database, kept);
    return {
      definitions: await withPartitions(connection, database, withKeys),
      cascades: await Cascades.read(connection, async () => ServerConnection.open(origin), database),
    };
  }
}
