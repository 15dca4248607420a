import { abortable, childController } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { parsePosition, type Flavor, type StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition, StreamView } from '../api.ts';
import { keyValues, rowKey } from '../apply/window.ts';
import type { DdlDecision } from '../ddl/ddl-policy.ts';
import { reconnecting } from '../reconnecting.ts';
import { anchored, type SessionStart } from '../replication/anchored.ts';
import { anchorOf, lastOf, type LastApplied } from '../replication/last-applied.ts';
import { inspectTables } from '../schema/inspect.ts';
import type { Table } from '../schema/table.ts';
import { ServerConnection } from '../server/connection.ts';
import {
  createSidecar,
  ProgressRow,
  readDurable,
  SIDECAR_SCHEMA,
  takenOver,
  type DurablePosition,
} from '../sidecar.ts';
import { ChangeStream } from '../stream/change-stream.ts';
import { isSameName, type OwnTables } from '../stream/stream-scope.ts';
import { statementEffect } from '../stream/statement-effect.ts';
import { coversBut } from '../stream/withheld.ts';
import { gtidsOf, type LoggedDdl, type RowChange, type StreamTransaction } from '../stream/transaction.ts';
import type { TouchListener } from '../verify/follower.ts';
import { MESSAGES_DDL } from './message.ts';
import { ReturningTransactions } from './return-transaction.ts';

const STREAM_BUFFER_BYTES_MAX = 8 * 1024 * 1024;
/** Of one tester's transaction: it is judged as a whole. */
const TRANSACTION_BYTES_MAX = 64 * 1024 * 1024;
/**
 * How often a position without testers' writes is made durable. Not often: it is a transaction on the source, which the
 * stream to the target answers with one there, which is read here again.
 */
const IDLE_PROGRESS_MS = 60_000;
const SKIPPED_MAX = 5000;

export interface WriteBackOptions {
  importId: string;
  target: ServerDefinition;
  source: ServerDefinition;
  /** Of the target. */
  flavor: Flavor;
  database: string;
  /** Names of the imported tables as of now. */
  tables: () => readonly string[];
  /** Every table of the source is imported, also one that is not among `tables` yet. */
  allTables: boolean;
  ddlDecisionOn: (gtid: string) => DdlDecision | undefined;
  /** See `ReplicationOptions`. */
  mayBegin: () => Promise<void>;
  /** Hears the keys of every tester's transaction before it counts as read. */
  onTouched: TouchListener;
  onChanged: () => void;
  onRetry: (error: AppError) => void;
  log: (level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>) => void;
}

/**
 * The stream from the target to the source while the source is primary: what testers write on the target arrives on the
 * source, unless the source has something else there (ADR 19). It reads the target's log, passes over what the stream to
 * the target writes there, and remembers from it how far that stream was applied.
 *
 * It has the progress row `reverse` on the source. When the primaries are switched, the reverse stream goes on from that
 * row: see `settleWriteBack`.
 */
export class WriteBack {
  readonly done: Promise<void>;
  readonly #options: WriteBackOptions;
  readonly #controller: AbortController;
  readonly #progress: ProgressRow;
  #state: StreamView['state'] = 'catching_up';
  #stream: ChangeStream | undefined;
  #applied: StreamPosition | undefined;
  #moved = Promise.withResolvers<void>();
  #failure: unknown;
  #transactions = 0;
  #rowChanges = 0;
  #writingSinceMs: number | undefined;
  /** A transaction is on its way to the source. */
  #isJudging = false;
  /** On the target, as of the place that was judged; undefined behind DDL: they are read anew. */
  #definitions: WriteBackDefinitions | undefined;
  /** It judges nothing behind this place until `released`. */
  #halt: { position: StreamPosition; released: PromiseWithResolvers<void> } | undefined;

  /** `done` rejects with what stopped it, and resolves when `stop` did. */
  constructor(options: WriteBackOptions, signal: AbortSignal) {
    this.#options = options;
    this.#controller = childController(signal);
    this.#progress = new ProgressRow(options.importId, 'reverse');
    this.done = this.#run(this.#controller.signal);
    this.done.catch(() => {});
  }

  get isRunning(): boolean {
    return this.#failure === undefined;
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await this.done.catch(() => {});
  }

  /** Resolves when every transaction in `position` has been judged; none is then until `goOn`, not to be called twice before it. */
  async halt(position: StreamPosition, signal: AbortSignal): Promise<void> {
    this.#halt = { position, released: Promise.withResolvers() };
    for (;;) {
      // In a session: after a lost connection a COMMIT may still be on its way, which the next one waits for (`claim`).
      // What is prepared is waited for: it would be judged when it is committed, halted or not.
      await this.#until((applied) => applied.covers(position), signal);
      // One behind the place may have been begun before.
      if (!this.#isJudging) return;
      await abortable(this.#moved.promise, signal);
    }
  }

  goOn(): void {
    this.#halt?.released.resolve();
    this.#halt = undefined;
  }

  view(): StreamView {
    return {
      direction: 'reverse',
      state: this.#state,
      lagMs: this.#lagMs,
      position: this.#applied?.toString() ?? null,
      transactionsApplied: this.#transactions,
      rowChangesApplied: this.#rowChanges,
    };
  }

  /**
   * Resolves when every transaction in `position` has been judged; rejects when it stops first or `signal` aborts. What a tester has
   * prepared (XA) is on neither side, and may stay so for ever: it is not waited for.
   */
  async waitFor(position: StreamPosition, signal: AbortSignal): Promise<void> {
    const withheld = () => this.#stream?.withheld() ?? [];
    await this.#until((applied) => coversBut(applied, position, withheld), signal);
  }

  async #until(isReached: (applied: StreamPosition) => boolean, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#applied !== undefined && isReached(this.#applied)) return;
      await abortable(this.#moved.promise, signal);
    }
  }

  get #lagMs(): number | null {
    if (this.#writingSinceMs !== undefined) return Math.max(0, Date.now() - this.#writingSinceMs);
    return this.#stream === undefined ? null : Math.max(0, Date.now() - this.#stream.lastHeardAtMs - 2000);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const onRetry = (error: AppError) => {
      this.#state = 'catching_up';
      this.#options.onRetry(error);
    };
    try {
      await reconnecting((onOpen) => anchored((isAnchorPurged) => this.#session({ signal, onOpen, isAnchorPurged })), {
        signal,
        onRetry,
      });
      this.#state = 'stopped';
      this.#failure = new AppError('SERVER_GONE', 'the write-back was stopped');
    } catch (error) {
      this.#state = 'failed';
      this.#failure = error;
      throw error;
    } finally {
      this.#notify();
    }
  }

  /** One pair of connections, from the durable position on; ends after DDL too, since tables are then read anew. */
  async #session({ signal, onOpen, isAnchorPurged }: SessionStart): Promise<void> {
    const { source, target, flavor, database, tables, allTables } = this.#options;
    await this.#options.mayBegin();
    // Not asked for by name: one may be missing for now on the side that DDL has not come to.
    const onSource = (all: Table[]) => (allTables ? all : all.filter(({ name }) => tables().includes(name)));
    // Unlike other streams this one has foreign keys checked: the source is the applications'.
    await using connection = await ServerConnection.open(source, {
      multiStatements: true,
      session: [
        "SET SESSION foreign_key_checks=1, unique_checks=1, sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
      ],
    });
    await createSidecar(connection, [MESSAGES_DDL]);
    const { owner, position, last } = await this.#progress.claim(connection);
    // The stream that goes on from this row has to look at the tables anew.
    await this.#progress.forgetSchema(connection);
    const sourceTables = onSource(await inspectTables(connection, database, 'all'));
    const names = new Set([...tables(), ...sourceTables.map(({ name }) => name)]);
    const definitions = (this.#definitions ??= await this.#readDefinitions(names));
    const judged = new ReturningTransactions(
      {
        connection,
        progress: this.#progress,
        owner,
        loadTables: async (on) => onSource(await inspectTables(on, database, 'all')),
      },
      sourceTables,
    );
    const from = parsePosition(flavor, position);
    const controller = childController(signal);
    try {
      const stream = await ChangeStream.open({
        server: target,
        flavor,
        from,
        anchor: isAnchorPurged ? undefined : anchorOf(flavor, from, last),
        tableOf: (schema, name) => (schema === database ? definitions.tables.get(name) : undefined),
        namesImported: (schema, name) =>
          isSameName(schema, database) && definitions.tables.keys().some((known) => isSameName(name, known)),
        takesNew: (schema) => allTables && isSameName(schema, database),
        inScope: (schema) => isSameName(schema, database),
        ownTables: definitions.own,
        isOwnImport: (id) => id === this.#options.importId,
        onWithheld: () => this.#notify(),
        signal: controller.signal,
        bufferBytesMax: STREAM_BUFFER_BYTES_MAX,
      });
      this.#stream = stream;
      this.#applied = from;
      this.#notify();
      onOpen();
      const concerns = (name: string) => definitions.tables.keys().some((known) => isSameName(name, known));
      await this.#follow({ stream, connection, owner, at: from, last, judged, concerns }, controller.signal);
    } finally {
      this.#stream = undefined;
      this.#applied = undefined;
      this.#writingSinceMs = undefined;
      this.#isJudging = false;
      this.#notify();
      controller.abort();
    }
  }

  /** On the target: those that are imported. */
  async #readDefinitions(names: ReadonlySet<string>): Promise<WriteBackDefinitions> {
    const { target, database } = this.#options;
    await using connection = await ServerConnection.open(target);
    const all = await inspectTables(connection, database, 'all');
    const imported = new Map(all.filter(({ name }) => names.has(name)).map((table) => [table.name, table]));
    const [progress] = await inspectTables(connection, SIDECAR_SCHEMA, ['progress']);
    const own: OwnTables = new Map(
      progress === undefined ? [] : [[progress.name, { table: progress, keepsRows: false }]],
    );
    return { tables: imported, own };
  }

  async #follow(session: WriteBackSession, signal: AbortSignal): Promise<void> {
    const { stream, at } = session;
    const { importId } = this.#options;
    let seen: string | null = null;
    let skipped = 0;
    for (;;) {
      if (stream.buffered === 0) this.#state = 'running';
      const transaction = await stream.nextWithin(skipped === 0 ? undefined : IDLE_PROGRESS_MS, signal);
      if (transaction === undefined || skipped > SKIPPED_MAX) {
        await this.#keepPosition(session);
        skipped = 0;
      }
      if (transaction === undefined) continue;
      while (this.#halt !== undefined && at.covers(this.#halt.position))
        await abortable(this.#halt.released.promise, signal);
      this.#isJudging = true;
      const whole = transaction.partial ? await wholeOf(transaction, stream, signal) : transaction;
      if (whole.ours) seen = forwardPosition(whole.own ?? [], importId) ?? seen;
      const { ddl, ours, changes } = whole;
      if (ddl !== null && !ours) this.#skipDdl(session, ddl, whole.gtid);
      // A large one is not read again for a look at it.
      const last = lastOf(at, gtidsOf(whole), transaction.partial ? undefined : whole.stamp);
      if (ours || changes.length === 0) skipped += 1;
      else {
        await this.#bring(session, whole, { seen, last });
        skipped = 0;
      }
      session.last = last;
      for (const gtid of gtidsOf(whole)) at.advance(gtid);
      this.#isJudging = false;
      this.#notify();
      if (ddl === null) continue;
      await this.#keepPosition(session);
      this.#definitions = undefined;
      return;
    }
  }

  async #bring(
    { judged, at }: WriteBackSession,
    whole: StreamTransaction,
    { seen, last }: { seen: string | null; last: LastApplied | undefined },
  ): Promise<void> {
    const { gtid, committedAtMs, changes } = whole;
    this.#writingSinceMs = committedAtMs;
    // `at` itself moves behind the commit: whoever waits for a place must not be told of what is merely read.
    const next = at.clone();
    for (const moved of gtidsOf(whole)) next.advance(moved);
    const durable = { position: next.toString(), last };
    let reason: string | null;
    try {
      reason = await judged.bring({ gtid, committedAtMs, changes, durable, seen });
    } finally {
      // A COMMIT without an answer may have happened, and is not judged again then.
      for (const change of changes) this.#options.onTouched(change.table.name, touchedBy(change));
    }
    if (reason === null) {
      this.#transactions += 1;
      this.#rowChanges += changes.length;
    }
    this.#writingSinceMs = undefined;
    this.#options.onChanged();
  }

  async #keepPosition({ connection, owner, at, last }: WriteBackSession): Promise<void> {
    const durable: DurablePosition = { position: at.toString(), last };
    const { affectedRows } = await connection.write(this.#progress.updateStatement(owner, durable, Date.now()));
    if (affectedRows !== 1) throw takenOver();
  }

  /** Only where the operator has said so, or no imported table is concerned. */
  #skipDdl({ concerns }: WriteBackSession, ddl: LoggedDdl, gtid: string): void {
    const shown = ddl.sql.slice(0, 500);
    const effect = statementEffect(ddl);
    // A tester's own table: nothing of it is imported.
    if (effect.kind === 'tables' && !effect.tables.some(({ name }) => concerns(name))) return;
    if (this.#options.ddlDecisionOn(gtid) !== 'skip') {
      throw new AppError('WRITE_BACK_DDL', `DDL on the target at ${gtid}, which is not the source's: ${shown}`, {
        details: { gtid, sql: shown },
      });
    }
    this.#options.log('warn', `DDL of the target is not brought to the source: ${shown}`, { gtid });
  }

  #notify(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers<void>();
  }
}

interface WriteBackDefinitions {
  tables: ReadonlyMap<string, Table>;
  own: OwnTables;
}

interface WriteBackSession {
  stream: ChangeStream;
  connection: ServerConnection;
  owner: string;
  judged: ReturningTransactions;
  /** Whether a table of this name is imported. */
  concerns: (name: string) => boolean;
  /** Everything that was judged. It is live. */
  at: StreamPosition;
  /** Of those in `at`. */
  last: LastApplied | undefined;
}

/** Parts put together. Of ours there are none: their rows are not kept. */
async function wholeOf(
  first: StreamTransaction,
  stream: ChangeStream,
  signal: AbortSignal,
): Promise<StreamTransaction> {
  const changes: RowChange[] = [];
  let bytes = 0;
  for (let part = first; ;) {
    changes.push(...part.changes);
    bytes += part.bytes;
    if (part.gtid !== first.gtid) throw cutOff(first.gtid);
    if (!part.partial) return { ...part, changes };
    if (bytes > TRANSACTION_BYTES_MAX) {
      throw new AppError(
        'WRITE_BACK_TOO_LARGE',
        `transaction ${first.gtid} of the target has more than ${TRANSACTION_BYTES_MAX} bytes of rows`,
        { details: { gtid: first.gtid } },
      );
    }
    part = await stream.next(signal);
  }
}

/** A crash of the target cut its log off there: what follows is read again. */
function cutOff(gtid: string): AppError {
  return new AppError('SERVER_GONE', `transaction ${gtid} was cut off in the log of the target`);
}

/** How far the stream to the target is, if this transaction says so. */
function forwardPosition(own: readonly RowChange[], importId: string): string | null {
  const last = own.findLast((change) => change.kind !== 'delete');
  if (last === undefined) return null;
  const value = (name: string) => last.after[last.table.columns.findIndex((column) => column.name === name)];
  const durable = value('position');
  if (durable == null || value('import_id') !== importId || value('direction') !== 'forward') return null;
  return readDurable(durable).position;
}

function touchedBy(change: RowChange) {
  const images = [
    ...(change.kind === 'insert' ? [] : [change.before]),
    ...(change.kind === 'delete' ? [] : [change.after]),
  ];
  return images.map((image) => {
    const values = keyValues(change.table, image);
    return { key: rowKey(values), values };
  });
}
