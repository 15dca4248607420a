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
export function readableAnswer(answer: StepAnswer, { isPrepare = false } = {}): string[] {
  const lines: string[] = [];
  let columnsLeft = 0;
  let inRows = false;
  for (const [index, packet] of answer.entries()) {
    if (packet === 'closed') lines.push('closed');
    else if (isPrepare && packet[0] !== ERR_HEADER) lines.push(index === 0 ? packet.toString('hex') : 'definition');
    else if (columnsLeft > 0) {
      lines.push(columnOf(packet));
      columnsLeft -= 1;
      inRows = columnsLeft === 0;
    } else if (packet[0] === ERR_HEADER) lines.push(withoutNumber(packet.toString('latin1', 1)));
    else if (inRows && packet[0] !== EOF_HEADER) lines.push(`row ${withoutNumber(packet.toString('latin1'))}`);
    else if (packet[0] === OK_HEADER || packet[0] === EOF_HEADER) {
      lines.push(okOf(packet));
      inRows = false;
    } else columnsLeft = packet.readUInt8(0);
  }
  return lines;
}

/** Of a prepared statement; shown in a row, the text has its length before it. */
function withoutNumber(text: string): string {
  return text.replace(/.?(Unknown prepared statement handler|The statement) \(\d+\)/s, '$1').replace(/ at row \d+/, '');
}

function okOf(packet: Buffer): string {
  const { affectedRows, lastInsertId, statusFlags, warnings } = parseOk(packet);
  const flags = statusFlags & ~(SERVER_STATUS.SESSION_STATE_CHANGED | SERVER_STATUS.METADATA_CHANGED);
  return `ok ${affectedRows} rows, id ${lastInsertId}, status ${flags.toString(16)}, ${warnings} warnings`;
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
