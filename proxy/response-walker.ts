import { COMMAND } from '../core/wire/command.ts';
import { ERR_HEADER } from '../core/wire/err-packet.ts';
import {
  EOF_FLAGS,
  EOF_HEADER,
  OK_HEADER,
  statusFlagsOfEof,
  statusFlagsOfOk,
  warningsOfEof,
} from '../core/wire/ok-packet.ts';
import { HEADER_BYTES, MAX_PAYLOAD_BYTES, framePacket, writeHeader } from '../core/wire/packet.ts';
import { ByteReader } from '../core/wire/byte-reader.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';

/** Where in the response to the command the next packet stands. */
type State =
  | 'idle'
  /** OK, ERR, LOCAL INFILE request, or the number of columns. */
  | 'first'
  | 'columns'
  | 'columns-eof'
  | 'rows'
  | 'prepare-first'
  | 'prepare-definitions'
  | 'field-list'
  | 'one-packet'
  | 'raw';

/** What goes on in place of a payload: only so many of its bytes, other ones, or (null) the payload as it is. */
export type Replacement = number | Buffer | null;

/** What the owner does with what the walker meets; called in the order of the bytes. */
export interface ResponseEvents {
  /** Bytes for the client, as they came or rewritten. */
  forward(bytes: Buffer): void;
  /** An OK packet that ends a result or stands for one. */
  ok(payload: Buffer): Replacement;
  /** Of an EOF packet, whose payload may be changed in place. */
  status(flags: number, warnings: number, payload: Buffer): void;
  error(payload: Buffer): Replacement;
  /** The payload may be changed in place. */
  prepared(payload: Buffer): void;
  localInfile(): void;
  /** The response is complete; called after everything was forwarded. */
  finished(): void;
  /** A packet that no command asked for: 1927 or 4031 before the server closes. */
  unsolicited(payload: Buffer): void;
}

/**
 * Walks the packets from the server, one command at a time, decodes only those that change the session, and hands
 * everything on as it came. Rows are skipped by their headers. Source: MySQL internals, "Command Phase".
 *
 * There is one command under way, never more: the session keeps what a client sends ahead until the answer is
 * complete, since each answer may change what the next command is allowed to do (hold, move). The server works one
 * command after the other anyway.
 */
export class ResponseWalker {
  readonly #events: ResponseEvents;
  readonly #deprecateEof: boolean;
  #state: State = 'idle';
  #carry: Buffer | undefined;
  /** Bytes of a packet that is passed on without a look at them. */
  #skipBytes = 0;
  /** The last packet was full, so that the next one goes on with its payload. */
  #inContinuation = false;
  #definitionsLeft = 0;
  /** Groups of definitions that a PREPARE response still has: parameters, columns. */
  #definitionGroups: number[] = [];
  #finished = false;
  /** The rows are the OUT parameters of a procedure. */
  #hasOutParameters = false;
  #lastSequence = 0;

  constructor(events: ResponseEvents, { deprecateEof }: { deprecateEof: boolean }) {
    this.#events = events;
    this.#deprecateEof = deprecateEof;
  }

  get isIdle(): boolean {
    return this.#state === 'idle';
  }

  /** In the middle of a packet nothing of ours can be put into the stream to the client. */
  get isBetweenPackets(): boolean {
    return this.#skipBytes === 0 && !this.#inContinuation;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  begin(command: number): void {
    this.#state = firstState(command);
    this.#lastSequence = 0;
    this.#hasOutParameters = false;
  }

  /** After the client sent its file: the server answers with OK or ERR. */
  localInfileSent(lastSequence: number): void {
    this.#state = 'first';
    this.#lastSequence = lastSequence;
  }

  feed(chunk: Buffer): void {
    if (this.#state === 'raw') {
      this.#events.forward(chunk);
      return;
    }
    const bytes = this.#carry === undefined ? chunk : Buffer.concat([this.#carry, chunk]);
    this.#carry = undefined;
    const end = bytes.length;
    let forwarded = 0;
    let offset = 0;
    if (this.#skipBytes > 0) {
      offset = Math.min(this.#skipBytes, end);
      this.#skipBytes -= offset;
    }
    while (end - offset >= HEADER_BYTES) {
      if (this.#state === 'rows' && !this.#inContinuation) {
        const rowsEnd = skipRows(bytes, offset);
        if (rowsEnd > offset) {
          offset = rowsEnd;
          continue;
        }
      }
      const length = bytes.readUIntLE(offset, 3);
      const next = offset + HEADER_BYTES + length;
      if (this.#inContinuation) {
        this.#inContinuation = length === MAX_PAYLOAD_BYTES;
      } else {
        if (length > 0 && end - offset === HEADER_BYTES) break;
        const first = length === 0 ? -1 : bytes.readUInt8(offset + HEADER_BYTES);
        if (this.#isPassing(first, length)) {
          this.#inContinuation = length === MAX_PAYLOAD_BYTES;
        } else {
          if (next > end) break;
          // What comes after the end of a response ends the session: the client gets its answer first.
          if (this.#state === 'idle' && offset > forwarded) {
            this.#events.forward(bytes.subarray(forwarded, offset));
            forwarded = offset;
          }
          const replaced = this.#onPacket(bytes.subarray(offset + HEADER_BYTES, next), first);
          if (replaced !== null) {
            this.#forwardReplaced(bytes, { from: forwarded, at: offset, length, replaced });
            forwarded = next;
          }
        }
      }
      this.#lastSequence = bytes.readUInt8(offset + 3);
      if (next > end) {
        this.#skipBytes = next - end;
        offset = end;
      } else {
        offset = next;
      }
    }
    if (offset > forwarded)
      this.#events.forward(forwarded === 0 && offset === end ? bytes : bytes.subarray(forwarded, offset));
    if (offset < end) this.#carry = Buffer.from(bytes.subarray(offset));
    if (this.#finished) {
      this.#finished = false;
      this.#events.finished();
    }
  }

  /** Rows and definitions: nothing in them changes the session. */
  #isPassing(first: number, length: number): boolean {
    switch (this.#state) {
      case 'first':
        // The number of columns, where it is one byte.
        if (length !== 1 || first === OK_HEADER || first >= 0xfb) return false;
        this.#onColumnCount(first);
        return true;
      case 'rows':
        // A value of 16 MiB and more begins with 0xFE as well, in a packet that is full.
        return (first !== EOF_HEADER || length === MAX_PAYLOAD_BYTES) && first !== ERR_HEADER;
      case 'columns':
        this.#definitionsLeft -= 1;
        if (this.#definitionsLeft === 0) this.#state = this.#deprecateEof ? 'rows' : 'columns-eof';
        return true;
      case 'prepare-definitions':
        return this.#passPrepareDefinition();
      case 'field-list':
        return first !== EOF_HEADER && first !== ERR_HEADER;
      default:
        return false;
    }
  }

  #passPrepareDefinition(): boolean {
    const [left = 0, ...others] = this.#definitionGroups;
    if (left > 1) {
      this.#definitionGroups[0] = left - 1;
      return true;
    }
    this.#definitionGroups = others;
    if (others.length === 0) this.#finish();
    return true;
  }

  /** Returns what replaces the payload, or null. An empty buffer takes the packet out. */
  #onPacket(payload: Buffer, first: number): Replacement {
    switch (this.#state) {
      case 'idle':
        this.#events.unsolicited(payload);
        return Buffer.alloc(0);
      case 'first':
        return this.#onFirst(payload, first);
      case 'columns-eof':
        return this.#onColumnsEof(payload, first);
      case 'rows':
      case 'field-list':
        return this.#onEnd(payload, first);
      case 'prepare-first':
        return this.#onPrepared(payload, first);
      case 'one-packet':
        this.#finish();
        return first === ERR_HEADER ? this.#events.error(payload) : null;
      default:
        return null;
    }
  }

  #onFirst(payload: Buffer, first: number): Replacement {
    if (first === OK_HEADER) return this.#onOk(payload);
    if (first === ERR_HEADER) return this.#onError(payload);
    // COM_SET_OPTION and COM_DEBUG answer with an EOF packet.
    if (first === EOF_HEADER) return this.#onEnd(payload, first);
    if (first === 0xfb) {
      this.#events.localInfile();
      return null;
    }
    this.#onColumnCount(new ByteReader(payload).lenenc());
    return null;
  }

  #onColumnCount(count: number): void {
    this.#definitionsLeft = count;
    this.#state = 'columns';
  }

  #onColumnsEof(payload: Buffer, first: number): Replacement {
    if (first === ERR_HEADER) return this.#onError(payload);
    const flags = this.#flagsOfEof(payload);
    this.#hasOutParameters = (flags & SERVER_STATUS.PS_OUT_PARAMS) !== 0;
    // With a cursor the rows come by COM_STMT_FETCH.
    if ((flags & SERVER_STATUS.CURSOR_EXISTS) !== 0) {
      this.#events.status(flags, warningsOfEof(payload), payload);
      this.#finish();
    } else {
      this.#state = 'rows';
    }
    return null;
  }

  #onEnd(payload: Buffer, first: number): Replacement {
    if (first === ERR_HEADER) return this.#onError(payload);
    if (this.#deprecateEof && payload.length >= 7) return this.#onOk(payload);
    const flags = this.#flagsOfEof(payload);
    this.#events.status(flags, warningsOfEof(payload), payload);
    this.#endOfResult(flags);
    return null;
  }

  /** MariaDB sets the flag of the trackers in them too, which are ours, and have no room there. */
  #flagsOfEof(payload: Buffer): number {
    const flags = statusFlagsOfEof(payload);
    if ((flags & SERVER_STATUS.SESSION_STATE_CHANGED) !== 0)
      payload.writeUInt16LE(flags & ~SERVER_STATUS.SESSION_STATE_CHANGED, EOF_FLAGS);
    return flags;
  }

  #onOk(payload: Buffer): Replacement {
    const flags = statusFlagsOfOk(payload);
    const replaced = this.#events.ok(payload);
    this.#endOfResult(flags);
    return replaced;
  }

  #onError(payload: Buffer): Replacement {
    const replaced = this.#events.error(payload);
    this.#finish();
    return replaced;
  }

  #onPrepared(payload: Buffer, first: number): Replacement {
    if (first === ERR_HEADER) return this.#onError(payload);
    this.#events.prepared(payload);
    const columns = payload.readUInt16LE(5);
    const parameters = payload.readUInt16LE(7);
    const eof = this.#deprecateEof ? 0 : 1;
    this.#definitionGroups = [parameters, columns].filter((count) => count > 0).map((count) => count + eof);
    if (this.#definitionGroups.length === 0) this.#finish();
    else this.#state = 'prepare-definitions';
    return null;
  }

  #endOfResult(flags: number): void {
    // MySQL takes MORE_RESULTS away too early: the OK packet of the CALL always follows.
    const continues = (flags & SERVER_STATUS.MORE_RESULTS) !== 0 || this.#hasOutParameters;
    this.#hasOutParameters = false;
    if (continues) this.#state = 'first';
    else this.#finish();
  }

  #finish(): void {
    this.#state = 'idle';
    this.#finished = true;
  }

  /** What comes before the packet, and the new packet over the old one where it fits: for the client one segment. */
  #forwardReplaced(
    bytes: Buffer,
    { from, at, length, replaced }: { from: number; at: number; length: number; replaced: number | Buffer },
  ): void {
    const sequence = bytes.readUInt8(at + 3);
    const kept = typeof replaced === 'number' ? replaced : replaced.length;
    const fits = kept > 0 && kept <= length;
    if (fits) {
      writeHeader(bytes, at, kept, sequence);
      if (typeof replaced !== 'number') replaced.copy(bytes, at + HEADER_BYTES);
    }
    const end = fits ? at + HEADER_BYTES + kept : at;
    if (end > from) this.#events.forward(bytes.subarray(from, end));
    if (kept > length && typeof replaced !== 'number') this.#events.forward(framePacket(replaced, sequence));
  }
}

/**
 * Where the whole rows from `start` on end: at the packet that ends the result, one of 16 MiB, an empty one, or one that is
 * not here completely. A loop of its own since rows are most of what a server sends. The last row is left out: it takes
 * the usual way, and its sequence number is noted.
 */
function skipRows(bytes: Buffer, start: number): number {
  const end = bytes.length;
  let last = start;
  let offset = start;
  while (end - offset > HEADER_BYTES) {
    const length = (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8) | ((bytes[offset + 2] ?? 0) << 16);
    const first = bytes[offset + HEADER_BYTES] ?? 0;
    const next = offset + HEADER_BYTES + length;
    if (first >= EOF_HEADER || length === 0 || length === MAX_PAYLOAD_BYTES || next > end) break;
    last = offset;
    offset = next;
  }
  return last;
}

function firstState(command: number): State {
  switch (command) {
    case COMMAND.STMT_PREPARE:
      return 'prepare-first';
    case COMMAND.FIELD_LIST:
      return 'field-list';
    case COMMAND.STMT_FETCH:
      return 'rows';
    case COMMAND.STATISTICS:
      return 'one-packet';
    case COMMAND.BINLOG_DUMP:
    case COMMAND.BINLOG_DUMP_GTID:
      return 'raw';
    default:
      return 'first';
  }
}
