import { ByteReader } from '../../core/wire/byte-reader.ts';
import { ERR_HEADER } from '../../core/wire/err-packet.ts';
import { EOF_HEADER, OK_HEADER, parseOk } from '../../core/wire/ok-packet.ts';
import { SERVER_STATUS } from '../../core/wire/server-status.ts';

/** Packets, with a statement's number as the client counts it; or the end of the connection. */
export type StepAnswer = (Buffer | 'closed')[];

/**
 * What a client takes from an answer, line by line. Without the trackers' reports, which the client did not ask for,
 * without the flag for a prepared statement's new columns, since a session that moved has prepared it anew, without the numbers of
 * those that are closed, and without the sizes of columns, which are another for a variable that was assigned another literal of the same value.
 */
export function readableAnswer(
  answer: StepAnswer,
  { isPrepare = false, isFetch = false, isOld = false } = {},
): string[] {
  const lines: string[] = [];
  let columnsLeft = 0;
  let inRows = isFetch;
  let isBehindColumns = false;
  for (const [index, packet] of answer.entries()) {
    if (packet === 'closed') lines.push('closed');
    else if (isPrepare && packet[0] !== ERR_HEADER) lines.push(index === 0 ? packet.toString('hex') : 'definition');
    else if (columnsLeft > 0) {
      lines.push(columnOf(packet));
      columnsLeft -= 1;
      inRows = columnsLeft === 0;
      isBehindColumns = inRows && isOld;
    } else if (packet[0] === ERR_HEADER) lines.push(withoutNumber(packet.toString('latin1', 1)));
    else if (inRows && packet[0] !== EOF_HEADER) lines.push(`row ${withoutNumber(packet.toString('latin1'))}`);
    else if (packet[0] === OK_HEADER || packet[0] === EOF_HEADER) {
      lines.push(packet.length < OK_BYTES_MIN ? eofOf(packet) : okOf(packet));
      inRows = isBehindColumns;
      isBehindColumns = false;
    } else columnsLeft = packet.readUInt8(0);
  }
  return lines;
}

/** Of a prepared statement; shown in a row, the text has its length before it. */
function withoutNumber(text: string): string {
  return (
    text
      .replace(
        /.?(Unknown prepared statement handler|The statement|Unbekannter .{1,30}-Handler|Die Anweisung) \(\d+\)/s,
        '$1',
      )
      .replace(/ at row \d+/, '')
      // MariaDB shows an address for a NULL that was sent ahead.
      .replace(/ the value of '\d{12,}'/, '')
      .replace(UNKNOWN_THREAD, '$1')
  );
}

/** Said by the proxy, which knows no other language. */
const UNKNOWN_THREAD = /(#HY000)Un(?:known thread id|bekannte Thread-ID): \d+$/;

function okOf(packet: Buffer): string {
  const { affectedRows, lastInsertId, statusFlags, warnings } = parseOk(packet);
  const flags = statusFlags & ~NOT_COMPARED;
  return `ok ${affectedRows} rows, id ${lastInsertId}, status ${flags.toString(16)}, ${warnings} warnings`;
}

/** MariaDB's; a routine that has set it for itself leaves it behind, until sql_mode is set again, also to itself. The mode is asked for. */
const ANSI_QUOTES = 0x8000;
const NOT_COMPARED = SERVER_STATUS.SESSION_STATE_CHANGED | SERVER_STATUS.METADATA_CHANGED | ANSI_QUOTES;

/** An EOF packet is shorter. */
const OK_BYTES_MIN = 7;

/** Source: MySQL internals, EOF_Packet. */
function eofOf(packet: Buffer): string {
  const flags = packet.readUInt16LE(3) & ~NOT_COMPARED;
  return `eof, status ${flags.toString(16)}, ${packet.readUInt16LE(1)} warnings`;
}

/** Source: MySQL internals, Protocol::ColumnDefinition41. */
function columnOf(packet: Buffer): string {
  const reader = new ByteReader(packet);
  for (let index = 0; index < 4; index += 1) reader.lenencBytes();
  const name = reader.lenencBytes().toString('latin1');
  reader.lenencBytes();
  reader.skip(1);
  const charset = reader.uint16();
  reader.skip(4);
  return `column ${name}, type ${kindOf(reader.uint8())}, ${charset === BINARY_COLLATION ? 'bytes' : 'text'}`;
}

const BINARY_COLLATION = 63;
/** Of texts and bytes, whose types tell a length. */
const TEXT_TYPES: ReadonlySet<number> = new Set([249, 250, 251, 252, 253, 254]);

function kindOf(type: number): string {
  return TEXT_TYPES.has(type) ? 'of characters' : String(type);
}
