import { AppError } from '../../core/errors.ts';
import { EVENT, malformed, type BinlogEvent } from './event.ts';
import { readTransactionStart, type TransactionStart } from './gtid-event.ts';
import { readQuery, readXaPrepare, readXaStatement } from './query-event.ts';
import { RowDecoder } from './row-image.ts';
import { isRowsEvent, readRows } from './rows-event.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import { judgeStatement, UNMARKED_TABLE, type StreamScope } from './stream-scope.ts';
import { readTableId, readTableMap, readTableName } from './table-map.ts';
import { payloadEvents } from './transaction-payload.ts';
import type { RowChange, StreamTransaction } from './transaction.ts';

/** The rows of one transaction, while it is read or held between XA PREPARE and XA COMMIT. */
interface Content {
  changes: RowChange[];
  ours: boolean;
  bytes: number;
}

interface OpenTransaction extends Content {
  start: TransactionStart;
  /** Between BEGIN and its end; otherwise one statement is all. */
  begun: boolean;
  ddl: StreamTransaction['ddl'];
  xid: string | null;
}

interface MappedTable {
  body: Buffer;
  /** Null: rows of this table are passed over. */
  decoder: RowDecoder | null;
}

/** A map id that stands for "no table" in the event that only ends a statement. */
const NO_TABLE = 0xffffff;
/** What a change and a value occupy in memory beside their bytes, about. */
const CHANGE_BYTES = 96;
const VALUE_BYTES = 24;

/**
 * Puts events together to transactions, without any input or output of its own. An event that cannot be understood
 * and may concern an imported table throws (I4); the caller ends the stream with that error.
 */
export class TransactionAssembler {
  readonly #scope: StreamScope;
  readonly #tables = new Map<number, MappedTable>();
  readonly #prepared = new Map<string, Content>();
  #open: OpenTransaction | null = null;

  constructor(scope: StreamScope) {
    this.#scope = scope;
  }

  /** Bytes held that no transaction has been made of yet. */
  get bytesHeld(): number {
    let bytes = this.#open?.bytes ?? 0;
    for (const content of this.#prepared.values()) bytes += content.bytes;
    return bytes;
  }

  /** The transaction that this event completes, if it does. */
  feed(event: BinlogEvent): StreamTransaction | undefined {
    const { type } = event;
    if (isRowsEvent(type)) {
      this.#rows(event);
      return undefined;
    }
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
        if (!onePhase) this.#hold(xid);
        return this.#finish();
      }
      case EVENT.TRANSACTION_PAYLOAD:
        return this.#payload(event);
      case EVENT.FORMAT_DESCRIPTION:
        // A new file, or the same one again: map ids start anew. A transaction left open was cut off by a crash of
        // the server, which rolled it back.
        this.#tables.clear();
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

  #begin(start: TransactionStart): void {
    if (this.#open !== null) throw malformed(`transaction ${start.gtid} within ${this.#open.start.gtid}`);
    this.#open = {
      start,
      begun: start.opensTransaction,
      changes: [],
      ours: false,
      bytes: 256,
      ddl: null,
      xid: start.xid,
    };
  }

  #current(): OpenTransaction {
    if (this.#open === null)
      throw new AppError('STREAM_GTID_OFF', 'the binary log has changes without a GTID before them');
    return this.#open;
  }

  #finish(content: Content = this.#current()): StreamTransaction {
    const { start, ddl } = this.#current();
    this.#open = null;
    const { ours, bytes } = content;
    const changes = ours ? [] : content.changes;
    return {
      gtid: start.gtid,
      committedAtMs: start.committedAtMs,
      ours,
      changes,
      ddl,
      bytes: changes.length === 0 ? 256 : bytes,
    };
  }

  #tableMap(event: BinlogEvent): void {
    const { body } = event;
    const id = readTableId(body);
    const open = this.#current();
    const { schema, name } = readTableName(body);
    if (schema === SIDECAR_SCHEMA && name !== UNMARKED_TABLE) {
      open.ours = true;
      this.#tables.set(id, { body: EMPTY, decoder: null });
      return;
    }
    const table = this.#scope.tableOf(schema, name);
    const known = this.#tables.get(id);
    if (known?.decoder != null && known.decoder.table === table && known.body.equals(body)) return;
    if (table === undefined) this.#tables.set(id, { body: EMPTY, decoder: null });
    // The event's bytes are gone after this call.
    else this.#tables.set(id, { body: Buffer.from(body), decoder: new RowDecoder(readTableMap(event), table) });
  }

  #rows(event: BinlogEvent): void {
    const open = this.#current();
    const id = readTableId(event.body);
    if (id === NO_TABLE) return;
    const mapped = this.#tables.get(id);
    if (mapped === undefined) throw malformed(`rows of a table (${id}) that was not announced`);
    if (mapped.decoder === null || open.ours) return;
    const before = open.changes.length;
    readRows(event, mapped.decoder, open.changes);
    const added = open.changes.length - before;
    const images = open.changes[before]?.kind === 'update' ? 2 : 1;
    open.bytes += event.body.length + added * (CHANGE_BYTES + images * VALUE_BYTES * mapped.decoder.columnCount);
  }

  #query(event: BinlogEvent): StreamTransaction | undefined {
    const query = readQuery(event);
    const open = this.#current();
    const sql = query.sql.trim();
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
        this.#refusePartRollback(open);
        if (/^ROLLBACK\s+TO\b/i.test(sql)) return undefined;
        return this.#finish();
      case 'SAVEPOINT':
      case 'RELEASE':
        return undefined;
      default:
        return this.#statement(open, { schema: query.schema, sql });
    }
  }

  #statement(open: OpenTransaction, query: { schema: string; sql: string }): StreamTransaction | undefined {
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
        open.ddl ??= { schema: verdict.schema, sql: query.sql };
        open.ours ||= verdict.ours;
        open.bytes += 2 * query.sql.length;
        break;
      case 'pass':
        open.ours ||= verdict.ours;
        break;
      default:
        throw new Error(`no such verdict: ${String(verdict satisfies never)}`);
    }
    // CREATE TABLE … SELECT is logged as CREATE TABLE … START TRANSACTION, rows and XID (WL#13355).
    if (open.begun || /\bSTART\s+TRANSACTION\s*$/i.test(query.sql)) {
      open.begun = true;
      return undefined;
    }
    return this.#finish();
  }

  #xa({ verb, xid }: { verb: string; xid: string }): StreamTransaction | undefined {
    const open = this.#current();
    switch (verb) {
      case 'START':
      case 'BEGIN':
        open.begun = true;
        return undefined;
      case 'END':
        return undefined;
      case 'PREPARE':
        this.#hold(xid);
        return this.#finish();
      case 'ROLLBACK':
        this.#prepared.delete(xid);
        return this.#finish();
      default: {
        const content = this.#prepared.get(xid);
        if (content === undefined) {
          throw new AppError(
            'STREAM_XA_UNKNOWN',
            `transaction ${open.start.gtid} commits XA transaction ${xid}, whose rows were logged before the position where reading began`,
            {
              details: { gtid: open.start.gtid, xid },
            },
          );
        }
        this.#prepared.delete(xid);
        return this.#finish(content);
      }
    }
  }

  /** XA: the rows are logged at PREPARE and count only from XA COMMIT on, a transaction of its own. */
  #hold(xid: string): void {
    const open = this.#current();
    const { changes, ours, bytes } = open;
    this.#prepared.set(xid, { changes, ours, bytes });
    open.changes = [];
    open.ours = false;
    open.bytes = 256;
  }

  /** Logged only when tables without transactions took part: which rows stay cannot be told. */
  #refusePartRollback({ changes, start }: OpenTransaction): void {
    if (changes.length === 0) return;
    throw new AppError('STREAM_MIXED_ENGINES', `transaction ${start.gtid} was rolled back in part`, {
      details: { gtid: start.gtid },
    });
  }

  #payload(event: BinlogEvent): StreamTransaction | undefined {
    let transaction: StreamTransaction | undefined;
    for (const inner of payloadEvents(event)) {
      if (transaction !== undefined) throw malformed('a compressed transaction with more behind its end');
      transaction = this.feed(inner);
    }
    return transaction;
  }
}

const EMPTY = Buffer.alloc(0);
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
