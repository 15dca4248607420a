import { ByteReader } from '../core/wire/byte-reader.ts';
import { CAPABILITY, hasCapability } from '../core/wire/capabilities.ts';
import { COMMAND } from '../core/wire/command.ts';
import { ERR_HEADER, parseErr } from '../core/wire/err-packet.ts';
import { EOF_HEADER, OK_HEADER, statusFlagsOfOk } from '../core/wire/ok-packet.ts';
import type { BackendConnection } from './backend-connection.ts';
import { ClientError } from './client-error.ts';
import type { MessageStream } from './message-stream.ts';

export interface ResultColumn {
  type: number;
  isUnsigned: boolean;
}

/** What a statement of our own brought back; values as the text protocol has them. */
export type CommandResult =
  /** `payload` is the whole OK packet; null where the server answered with EOF. */
  | { kind: 'ok'; statusFlags: number; payload: Buffer | null }
  | { kind: 'rows'; columns: ResultColumn[]; rows: (Buffer | null)[][] }
  | { kind: 'prepared'; statementId: number }
  | { kind: 'error'; error: ClientError };

export function queryCommand(sql: string): Buffer {
  return Buffer.concat([Buffer.of(COMMAND.QUERY), Buffer.from(sql, 'latin1')]);
}

/**
 * The query command as `connection` expects it: with query attributes agreed, their (zero) number comes first.
 * Source: MySQL internals, COM_QUERY.
 */
export function ownQuery(connection: BackendConnection, sql: string): Buffer {
  if (!hasCapability(connection.capabilities, CAPABILITY.QUERY_ATTRIBUTES)) return queryCommand(sql);
  return Buffer.concat([Buffer.of(COMMAND.QUERY, 0, 1), Buffer.from(sql, 'latin1')]);
}

/**
 * Sends commands of our own back to back and returns their results in order: one round trip for all. A server error
 * is a result; a lost connection rejects.
 */
export async function runCommands(
  connection: BackendConnection,
  commands: readonly Buffer[],
): Promise<CommandResult[]> {
  if (commands.length === 0) return [];
  const stream = connection.stream();
  const deprecateEof = hasCapability(connection.capabilities, CAPABILITY.DEPRECATE_EOF);
  connection.socket.cork();
  for (const command of commands) stream.writeCommand(command);
  connection.socket.uncork();
  const results: CommandResult[] = [];
  for (const command of commands) {
    const isPrepare = command[0] === COMMAND.STMT_PREPARE;
    results.push(isPrepare ? await readPrepared(stream, deprecateEof) : await readResult(stream, deprecateEof));
  }
  return results;
}

/** Throws the first error among results, for where none is expected. */
export function requireSuccess(results: readonly CommandResult[]): void {
  for (const result of results) if (result.kind === 'error') throw result.error;
}

async function readResult(stream: MessageStream, deprecateEof: boolean): Promise<CommandResult> {
  const first = await stream.next();
  if (first[0] === ERR_HEADER) return { kind: 'error', error: new ClientError(parseErr(first)) };
  if (first[0] === OK_HEADER) return { kind: 'ok', statusFlags: statusFlagsOfOk(first), payload: first };
  if (first[0] === EOF_HEADER) return { kind: 'ok', statusFlags: 0, payload: null };
  const columnCount = new ByteReader(first).lenenc();
  const columns: ResultColumn[] = [];
  for (let index = 0; index < columnCount; index += 1) columns.push(parseColumn(await stream.next()));
  if (!deprecateEof) await stream.next();
  const rows: (Buffer | null)[][] = [];
  for (;;) {
    const payload = await stream.next();
    if (payload[0] === ERR_HEADER) return { kind: 'error', error: new ClientError(parseErr(payload)) };
    if (payload[0] === EOF_HEADER && payload.length < 0xff_ffff) return { kind: 'rows', columns, rows };
    const reader = new ByteReader(payload);
    rows.push(columns.map(() => copyOf(reader.lenencBytesOrNull())));
  }
}

async function readPrepared(stream: MessageStream, deprecateEof: boolean): Promise<CommandResult> {
  const first = await stream.next();
  if (first[0] === ERR_HEADER) return { kind: 'error', error: new ClientError(parseErr(first)) };
  const statementId = first.readUInt32LE(1);
  const eof = deprecateEof ? 0 : 1;
  for (const count of [first.readUInt16LE(7), first.readUInt16LE(5)]) {
    for (let left = count === 0 ? 0 : count + eof; left > 0; left -= 1) await stream.next();
  }
  return { kind: 'prepared', statementId };
}

const UNSIGNED_FLAG = 0x20;

/** Source: MySQL internals, Protocol::ColumnDefinition41; only the type is needed, and its sign. */
function parseColumn(payload: Buffer): ResultColumn {
  const reader = new ByteReader(payload);
  for (let index = 0; index < 6; index += 1) reader.lenencBytes();
  reader.skip(1 + 2 + 4);
  const type = reader.uint8();
  return { type, isUnsigned: (reader.uint16() & UNSIGNED_FLAG) !== 0 };
}

function copyOf(value: Buffer | null): Buffer | null {
  return value === null ? null : Buffer.from(value);
}
