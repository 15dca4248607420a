import { AppError } from '../../core/errors.ts';
import { stampIn } from './anchor.ts';
import { AnnouncedTables } from './announced-tables.ts';
import { EVENT, malformed, type BinlogEvent } from './event.ts';
import { readTransactionStart, type TransactionStart } from './gtid-event.ts';
import { HeldEvents } from './held-events.ts';
import {
  cutPart,
  isOurs,
  openTransaction,
  rollBack,
  rollBackTo,
  setSavepoint,
  type OpenTransaction,
} from './open-transaction.ts';
import { isBegin, readQuery, readXaPrepare, readXaStatement, type LoggedQuery } from './query-event.ts';
import type { RowDecoder } from './row-image.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import { isRowsEvent, readRows } from './rows-event.ts';
import { judgeStatement, type StreamScope } from './stream-scope.ts';
import { readTableName } from './table-map.ts';
import { payloadEvents, payloadEventsInPieces, readPayload, type Payload } from './transaction-payload.ts';
import type { StreamTransaction } from './transaction.ts';

interface PreparedTransaction {
  /** Of the XA PREPARE, where that was withheld. */
  gtid: string | null;
  ours: boolean;
  held: HeldEvents;
}

/** At once, or one after the other as they are asked for. */
export type Fed = StreamTransaction | AsyncGenerator<StreamTransaction, void, void> | undefined;

export interface AssemblerHooks {
  /** Applied before, and read again: see `ReadAgain`. */
  isRepeated?: ((gtid: string) => boolean) | undefined;
  /** One more GTID is withheld. */
  onWithheld?: (() => void) | undefined;
}

/** What a change and a value occupy in memory beside their bytes, about. */
const CHANGE_BYTES = 128;
const VALUE_BYTES = 32;
/** Compressed transactions up to this size are decompressed at once. */
const PAYLOAD_AT_ONCE_BYTES_MAX = 1024 * 1024;

/**
 * Puts events together to transactions, or parts of large ones, without any input or output of its own but the files of
 * `HeldEvents`. An event that cannot be understood and may concern an imported table throws (I4); the caller ends the
 * stream with that error.
 */
export class TransactionAssembler implements Disposable {
  readonly #scope: StreamScope;
  readonly #partBytesMax: number;
  readonly #hooks: AssemblerHooks;
  readonly #tables: AnnouncedTables;
  readonly #prepared = new Map<string, PreparedTransaction>();
  #open: OpenTransaction | null = null;
  /** Of the server whose log is read. */
  #logServerId = 0;

  constructor(scope: StreamScope, partBytesMax: number, hooks: AssemblerHooks = {}) {
    this.#scope = scope;
    this.#partBytesMax = partBytesMax;
    this.#hooks = hooks;
    this.#tables = new AnnouncedTables(scope);
  }

  /** Bytes in memory that no transaction has been made of yet. */
  get bytesHeld(): number {
    let bytes = (this.#open?.bytes ?? 0) + (this.#open?.held?.bytesInMemory ?? 0);
    for (const { held } of this.#prepared.values()) bytes += held.bytesInMemory;
    return bytes;
  }

  /** The XA transactions that are prepared and whose PREPARE was given out, oldest first: only MariaDB's. */
  *preparedXids(): Generator<string> {
    for (const [xid, { gtid }] of this.#prepared) if (gtid === null) yield xid;
  }

  /** The GTIDs of XA PREPAREs that are not given out before their end is known: only MySQL's. */
  *withheld(): Generator<string> {
    for (const { gtid } of this.#prepared.values()) if (gtid !== null) yield gtid;
  }

  /**
   * The transaction, or part of one, that this event completes, if it does. Where it answers a generator, that must have
   * ended before the next call, and the event's bytes must stay until then.
   */
  feed(event: BinlogEvent): Fed {
    const { type } = event;
    if (isRowsEvent(type)) return this.#rows(event);
    switch (type) {
      case EVENT.TABLE_MAP:
        this.#tableMap(event);
        return undefined;
      case EVENT.GTID:
      case EVENT.GTID_TAGGED:
      case EVENT.MARIADB_GTID:
        this.#begin(readTransactionStart(event));
        return undefined;
      case EVENT.XID:
        return this.#finish();
      case EVENT.QUERY:
      case EVENT.MARIADB_QUERY_COMPRESSED:
      case EVENT.EXECUTE_LOAD_QUERY:
        return this.#query(event);
      case EVENT.XA_PREPARE: {
        const { xid, onePhase } = readXaPrepare(event);
        return onePhase ? this.#finish() : this.#prepare(xid);
      }
      case EVENT.TRANSACTION_PAYLOAD:
        return this.#payload(readPayload(event));
      case EVENT.FORMAT_DESCRIPTION:
        // A new file, or the same one again: map ids start anew. A transaction left open was cut off by a crash of
        // the server, which rolled it back.
        this.#logServerId = event.serverId;
        this.#tables.clear();
        this.#open?.held?.[Symbol.dispose]();
        this.#open = null;
        return undefined;
      case EVENT.ANONYMOUS_GTID:
        throw new AppError('STREAM_GTID_OFF', 'a transaction without a GTID is in the binary log');
      case EVENT.INCIDENT:
        throw new AppError('STREAM_INCIDENT', 'the binary log has an INCIDENT event', {
          details: { after: this.#open?.start.gtid ?? null },
        });
      default:
        if (PASSED.has(type) || event.ignorable) return undefined;
        throw new AppError('STREAM_EVENT_UNKNOWN', `the binary log has an event of type ${type}, which is not known`, {
          details: { eventType: type },
        });
    }
  }

  [Symbol.dispose](): void {
    this.#open?.held?.[Symbol.dispose]();
    for (const { held } of this.#prepared.values()) held[Symbol.dispose]();
    this.#prepared.clear();
  }

  #begin(start: TransactionStart): void {
    if (this.#open !== null) throw malformed(`transaction ${start.gtid} within ${this.#open.start.gtid}`);
    this.#open = openTransaction(start, this.#hooks.isRepeated?.(start.gtid) === true);
    start.stamp = stampIn(this.#logServerId, start);
    // MariaDB tells it here alone.
    if (start.xid !== null) this.#open.held = new HeldEvents();
  }

  #current(): OpenTransaction {
    if (this.#open === null)
      throw new AppError('STREAM_GTID_OFF', 'the binary log has changes without a GTID before them');
    return this.#open;
  }

  #finish(): Fed {
    const open = this.#current();
    if (open.isRepeated) open.held?.[Symbol.dispose]();
    // An XA transaction that commits in one phase.
    else if (open.held?.empty === false) return this.#replay({ ...this.#takeHeld(), gtid: null });
    this.#open = null;
    return cutPart(open, false);
  }

  #tableMap(event: BinlogEvent): void {
    const open = this.#current();
    if (open.isRepeated) {
      // Tables may have changed since: what the rows are is judged at XA COMMIT, if that is still to come.
      open.held?.add(event);
      return;
    }
    const whose = this.#tables.announce(event);
    if (whose === 'other' && open.ddl !== null && this.#scope.takesNew(readTableName(event.body).schema))
      open.ddl.withRows = true;
    if (whose === 'ours') open.ours = true;
    if (whose === 'imported') open.held?.add(event);
  }

  #rows(event: BinlogEvent): StreamTransaction | undefined {
    const open = this.#current();
    if (open.isRepeated) {
      open.held?.add(event);
      return undefined;
    }
    const decoder = this.#tables.decoderOf(event);
    const importId = this.#scope.isOwnImport === undefined ? undefined : this.#tables.importOf(event);
    if (importId !== undefined && this.#scope.isOwnImport?.(importId) === false) open.isOfAnother = true;
    if (decoder === null) return undefined;
    const own = decoder.table.schema === SIDECAR_SCHEMA ? this.#scope.ownTables?.get(decoder.table.name) : undefined;
    if (own !== undefined) {
      // Ours are never XA transactions.
      if (open.held !== null || open.isOfAnother) return undefined;
      open.keepsRows ||= own.keepsRows;
      open.bytes += event.body.length;
      readRows(event, decoder, open.own);
      return undefined;
    }
    if (isOurs(open) && !open.keepsRows) return undefined;
    if (open.held === null) return this.#take(open, event, decoder);
    open.held.add(event);
    open.rows += 1;
    return undefined;
  }

  /** A part, when there is enough for one. */
  #take(open: OpenTransaction, event: BinlogEvent, decoder: RowDecoder): StreamTransaction | undefined {
    const before = open.changes.length;
    readRows(event, decoder, open.changes);
    const added = open.changes.length - before;
    const images = open.changes[before]?.kind === 'update' ? 2 : 1;
    open.rows += added;
    open.bytes += event.body.length + added * (CHANGE_BYTES + images * VALUE_BYTES * decoder.columnCount);
    return open.bytes < this.#partBytesMax ? undefined : cutPart(open, true);
  }

  #query(event: BinlogEvent): Fed {
    const open = this.#current();
    if (isBegin(event)) {
      open.begun = true;
      return undefined;
    }
    const query = readQuery(event);
    const { sql } = query;
    const xa = readXaStatement(sql);
    if (xa !== undefined) return this.#xa(xa);
    const control = CONTROL.exec(sql)?.[1]?.toUpperCase();
    switch (control) {
      case 'BEGIN':
        open.begun = true;
        return undefined;
      case 'COMMIT':
        return this.#finish();
      case 'ROLLBACK':
        if (/^ROLLBACK\s+TO\b/i.test(sql)) {
          rollBackTo(open, sql);
          return undefined;
        }
        rollBack(open);
        return this.#finish();
      case 'SAVEPOINT':
        setSavepoint(open, sql);
        return undefined;
      case 'RELEASE':
        return undefined;
      default:
        return this.#statement(open, query);
    }
  }

  #statement(open: OpenTransaction, query: LoggedQuery): Fed {
    if (open.start.isVoidAlter) return this.#finish();
    if (!open.isRepeated) this.#judge(open, query);
    // CREATE TABLE … SELECT is logged as CREATE TABLE … START TRANSACTION, rows and XID (WL#13355).
    if (open.begun || /\bSTART\s+TRANSACTION\s*$/i.test(query.sql)) {
      open.begun = true;
      return undefined;
    }
    return this.#finish();
  }

  #judge(open: OpenTransaction, query: LoggedQuery): void {
    const verdict = judgeStatement(query, this.#scope);
    switch (verdict.kind) {
      case 'dml':
        throw new AppError(
          'STREAM_STATEMENT_DML',
          `the change of transaction ${open.start.gtid} was logged as a statement: ${query.sql.slice(0, 200)}`,
          {
            details: { gtid: open.start.gtid, tables: verdict.tables },
          },
        );
      case 'ddl':
        open.redefines = true;
        open.ddl ??= { ...query, withRows: verdict.withRows };
        open.ours ||= verdict.ours;
        open.bytes += 3 * query.sql.length;
        break;
      case 'pass':
        open.ours ||= verdict.ours;
        if (verdict.mentions === undefined) open.redefines = true;
        else open.statements.push({ sql: query.sql.slice(0, 200), mentions: verdict.mentions });
        break;
      default:
        throw new Error(`no such verdict: ${String(verdict satisfies never)}`);
    }
  }

  #xa({ verb, xid }: { verb: string; xid: string }): Fed {
    const open = this.#current();
    switch (verb) {
      case 'START':
      case 'BEGIN':
        open.begun = true;
        open.held ??= new HeldEvents();
        return undefined;
      case 'END':
        return undefined;
      case 'PREPARE':
        return this.#prepare(xid);
      case 'ROLLBACK':
        return this.#drop(xid);
      default: {
        if (open.isRepeated) return this.#drop(xid);
        const prepared = this.#prepared.get(xid);
        if (prepared === undefined) {
          throw new AppError(
            'STREAM_XA_UNKNOWN',
            `transaction ${open.start.gtid} commits XA transaction ${xid}, whose rows were logged before the position where reading began`,
            {
              details: { gtid: open.start.gtid, xid },
            },
          );
        }
        this.#prepared.delete(xid);
        return this.#replay(prepared);
      }
    }
  }

  /** What was prepared is of no interest any more. */
  #drop(xid: string): Fed {
    const prepared = this.#prepared.get(xid);
    this.#current().prepared = prepared?.gtid ?? null;
    prepared?.held[Symbol.dispose]();
    this.#prepared.delete(xid);
    return this.#finish();
  }

  #takeHeld(): Omit<PreparedTransaction, 'gtid'> {
    const open = this.#current();
    const { ours } = open;
    const held = open.held ?? new HeldEvents();
    open.held = null;
    open.ours = false;
    open.rows = 0;
    return { ours, held };
  }

  /** MariaDB's positions have no holes: there the PREPARE counts at once. */
  #prepare(xid: string): Fed {
    const { start } = this.#current();
    const isWithheld = start.xid === null;
    this.#prepared.set(xid, { ...this.#takeHeld(), gtid: isWithheld ? start.gtid : null });
    if (!isWithheld) return this.#finish();
    this.#open = null;
    this.#hooks.onWithheld?.();
    return undefined;
  }

  /** The open transaction, with what was held as its rows. */
  async *#replay({ gtid, ours, held }: PreparedTransaction): AsyncGenerator<StreamTransaction, void, void> {
    using events = held;
    const open = this.#current();
    this.#open = null;
    open.ours ||= ours;
    open.prepared = gtid;
    const tables = new AnnouncedTables(this.#scope);
    if (!open.ours) {
      for (const event of events.events()) {
        if (event.type === EVENT.TABLE_MAP) {
          if (tables.announce(event) === 'ours') open.ours = true;
          continue;
        }
        const decoder = tables.decoderOf(event);
        const part = decoder === null ? undefined : this.#take(open, event, decoder);
        if (part !== undefined) yield part;
      }
    }
    yield cutPart(open, false);
  }

  #payload(payload: Payload): Fed {
    if (payload.size > PAYLOAD_AT_ONCE_BYTES_MAX) return this.#payloadInPieces(payload);
    const transactions: StreamTransaction[] = [];
    let rest: Fed;
    for (const event of payloadEvents(payload)) {
      if (rest !== undefined) throw behindEnd();
      rest = this.feed(event);
      if (rest === undefined || isGenerator(rest)) continue;
      transactions.push(rest);
      if (rest.partial) rest = undefined;
    }
    if (transactions.length <= 1) return transactions[0] ?? rest;
    return inTurn(transactions);
  }

  async *#payloadInPieces(payload: Payload): AsyncGenerator<StreamTransaction, void, void> {
    let ended = false;
    for await (const event of payloadEventsInPieces(payload)) {
      if (ended) throw behindEnd();
      const fed = this.feed(event);
      if (fed === undefined) continue;
      if (isGenerator(fed)) {
        yield* fed;
        ended = true;
      } else {
        yield fed;
        ended = !fed.partial;
      }
    }
  }
}

export function isGenerator(fed: Exclude<Fed, undefined>): fed is AsyncGenerator<StreamTransaction, void, void> {
  return Symbol.asyncIterator in fed;
}

async function* inTurn(transactions: StreamTransaction[]): AsyncGenerator<StreamTransaction, void, void> {
  yield* transactions;
}

function behindEnd(): AppError {
  return malformed('a compressed transaction with more behind its end');
}

const CONTROL = /^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/i;

/** Events without anything for us: of the connection, of the file, or in front of a statement that is judged itself. */
const PASSED: ReadonlySet<number> = new Set([
  EVENT.STOP,
  EVENT.ROTATE,
  EVENT.INTVAR,
  EVENT.RAND,
  EVENT.USER_VAR,
  EVENT.BEGIN_LOAD_QUERY,
  EVENT.HEARTBEAT,
  EVENT.HEARTBEAT_V2,
  EVENT.IGNORABLE,
  EVENT.ROWS_QUERY,
  EVENT.PREVIOUS_GTIDS,
  EVENT.TRANSACTION_CONTEXT,
  EVENT.VIEW_CHANGE,
  EVENT.MARIADB_ANNOTATE_ROWS,
  EVENT.MARIADB_BINLOG_CHECKPOINT,
  EVENT.MARIADB_GTID_LIST,
  EVENT.MARIADB_START_ENCRYPTION,
]);
