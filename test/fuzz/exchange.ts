import { COMMAND } from '../../core/wire/command.ts';
import { buildErr, ERR_HEADER } from '../../core/wire/err-packet.ts';
import { buildEof, buildOk, EOF_HEADER } from '../../core/wire/ok-packet.ts';
import { framePacket, MessageSplitter } from '../../core/wire/packet.ts';
import { SERVER_STATUS } from '../../core/wire/server-status.ts';
import { ByteWriter } from '../../core/wire/byte-writer.ts';
import type { SeededRandom } from '../property/seeded-random.ts';

/** One command, and the server's answer to it, which the client has to get byte for byte. */
export interface Exchange {
  kind: string;
  /** What the client sends: framed, from sequence 0. */
  command: Buffer;
  /** What the server sends when the whole command is there. */
  answer: Buffer;
  /** The client's file: sent when the server asked for it, answered by `afterFile`. */
  file: { bytes: Buffer; answer: Buffer } | null;
}

export interface ExchangeOptions {
  random: SeededRandom;
  deprecateEof: boolean;
  /** Stands in every answer: whoever reads another session's answer is found out. */
  token: string;
  /** Whether the statement before failed: MySQL's answers to commands that are no statements count its warnings still. */
  afterError: boolean;
}

const AUTOCOMMIT = SERVER_STATUS.AUTOCOMMIT;
const MORE = SERVER_STATUS.MORE_RESULTS;

export function randomExchange(options: ExchangeOptions): Exchange {
  const { random } = options;
  return random.pick(KINDS)(options);
}

const KINDS = [ok, failure, rows, rows, rows, results, file, ping, initDb, statistics, fieldList, silent];

function ok({ random, token }: ExchangeOptions): Exchange {
  const payload = buildOk({
    affectedRows: BigInt(random.pick([0, 1, 250, 251, 65_535, 2 ** 40])),
    lastInsertId: random.chance(0.3) ? BigInt(random.int(0, 2 ** 30)) : 0n,
    statusFlags: AUTOCOMMIT,
    warnings: random.int(0, 2),
  });
  return exchange('ok', query(random, token), frames([payload]));
}

function failure({ random, token }: ExchangeOptions): Exchange {
  const payload = buildErr({
    code: 1000 + random.int(0, 2999),
    sqlState: '42000',
    message: `${token} ${text(random)}`,
  });
  return exchange('error', query(random, token), frames([payload]));
}

function rows(options: ExchangeOptions): Exchange {
  const packets = resultSet(options, AUTOCOMMIT);
  if (options.random.chance(0.05)) packets.splice(-1, 1, interrupted(options.token));
  return exchange('rows', query(options.random, options.token), frames(packets));
}

/** In place of the end of the rows. */
function interrupted(token: string): Buffer {
  return buildErr({ code: 1317, sqlState: '70100', message: `${token} interrupted` });
}

function results(options: ExchangeOptions): Exchange {
  const { random, token } = options;
  const packets: Buffer[] = [];
  for (let left = 1 + random.int(0, 3); left > 0; left -= 1) {
    if (random.chance(0.3)) packets.push(buildOk({ statusFlags: AUTOCOMMIT | MORE }));
    else packets.push(...resultSet(options, AUTOCOMMIT | MORE));
  }
  // An error ends everything, whatever was to follow.
  const last = random.chance(0.3) ? [interrupted(token)] : resultSet(options, AUTOCOMMIT);
  return exchange('results', query(random, token), frames([...packets, ...last]));
}

function file({ random, token }: ExchangeOptions): Exchange {
  const ask = framePacket(Buffer.concat([Buffer.of(0xfb), Buffer.from(`${token}.csv`)]), 1);
  const parts = Array.from({ length: random.int(0, 3) }, () => bytes(random, 1 + random.int(0, 2999)));
  const sent = [...parts, Buffer.alloc(0)].map((part, index) => framePacket(part, 2 + index));
  const answer = framePacket(buildOk({ affectedRows: 3n, statusFlags: AUTOCOMMIT }), 2 + sent.length);
  return { kind: 'file', command: query(random, token), answer: ask, file: { bytes: Buffer.concat(sent), answer } };
}

function ping(options: ExchangeOptions): Exchange {
  return exchange('ping', framePacket(Buffer.of(COMMAND.PING), 0), noStatement(options));
}

function initDb(options: ExchangeOptions): Exchange {
  const command = framePacket(Buffer.concat([Buffer.of(COMMAND.INIT_DB), Buffer.from(options.token)]), 0);
  return exchange('init db', command, noStatement(options));
}

function noStatement({ afterError }: ExchangeOptions): Buffer {
  return frames([buildOk({ statusFlags: AUTOCOMMIT, warnings: afterError ? 1 : 0 })]);
}

/** Whether the next exchange comes after an error, when this one came behind `afterError`. */
export function leavesError({ kind, answer, file }: Exchange, afterError: boolean): boolean {
  if (NO_STATEMENTS.has(kind)) return afterError;
  const splitter = new MessageSplitter(1 << 26);
  splitter.push(file?.answer ?? answer);
  let last: Buffer | undefined;
  for (let message = splitter.next(); message !== undefined; message = splitter.next()) last = message.payload;
  return last?.[0] === ERR_HEADER;
}

const NO_STATEMENTS: ReadonlySet<string> = new Set(['ping', 'init db', 'statistics', 'field list', 'close']);

function statistics({ token }: ExchangeOptions): Exchange {
  return exchange(
    'statistics',
    framePacket(Buffer.of(COMMAND.STATISTICS), 0),
    frames([Buffer.from(`Uptime ${token}`)]),
  );
}

function fieldList({ random, token }: ExchangeOptions): Exchange {
  const command = framePacket(Buffer.concat([Buffer.of(COMMAND.FIELD_LIST), Buffer.from(`${token}\0`)]), 0);
  const definitions = Array.from({ length: random.int(0, 2) }, () => definition(random, token));
  // Always an EOF packet, also where result sets end with OK.
  return exchange('field list', command, frames([...definitions, buildEof(AUTOCOMMIT)]));
}

/** A command without an answer. */
function silent({ random }: ExchangeOptions): Exchange {
  const close = Buffer.alloc(5);
  close[0] = COMMAND.STMT_CLOSE;
  close.writeUInt32LE(1_000_000 + random.int(0, 999), 1);
  return { kind: 'close', command: framePacket(close, 0), answer: Buffer.alloc(0), file: null };
}

function exchange(kind: string, command: Buffer, answer: Buffer): Exchange {
  return { kind, command, answer, file: null };
}

function resultSet({ random, deprecateEof, token }: ExchangeOptions, statusFlags: number): Buffer[] {
  const columns = 1 + random.int(0, 3);
  const packets: Buffer[] = [Buffer.of(columns)];
  for (let column = 0; column < columns; column += 1) packets.push(definition(random, token));
  if (!deprecateEof) packets.push(buildEof(AUTOCOMMIT));
  for (let left = random.int(0, 5); left > 0; left -= 1) packets.push(row(random, columns, token));
  packets.push(deprecateEof ? buildOk({ header: EOF_HEADER, statusFlags }) : buildEof(statusFlags));
  return packets;
}

function row(random: SeededRandom, columns: number, token: string): Buffer {
  const writer = new ByteWriter();
  for (let column = 0; column < columns; column += 1) {
    const kind = random.int(0, 11);
    if (kind === 0) writer.uint8(0xfb);
    else if (kind === 1) writer.lenencBytes(bytes(random, 251 + random.int(0, 1999)));
    else writer.lenencBytes(Buffer.from(`${token}${text(random)}`));
  }
  return writer.toBuffer();
}

function definition(random: SeededRandom, token: string): Buffer {
  const writer = new ByteWriter().lenencBytes(Buffer.from('def'));
  for (let name = 0; name < 5; name += 1) writer.lenencBytes(Buffer.from(`${token}${random.int(0, 9)}`));
  return writer.uint8(0x0c).uint16(45).uint32(80).uint8(0xfd).uint16(0).uint8(0).zeros(2).toBuffer();
}

function query(random: SeededRandom, token: string): Buffer {
  const beginning = random.pick([
    'SELECT',
    'insert into t values',
    '/* hint */ select',
    'CALL p',
    'SHOW TABLES',
    '(SELECT',
    '-- a\nSELECT',
  ]);
  const length = random.chance(0.02) ? 20_000 : random.int(0, 59);
  const sql = `${beginning} '${token}${'x'.repeat(length)}'`;
  return framePacket(Buffer.concat([Buffer.of(COMMAND.QUERY), Buffer.from(sql)]), 0);
}

/** In one chain of sequence numbers, beginning behind the command. */
function frames(payloads: readonly Buffer[]): Buffer {
  return Buffer.concat(payloads.map((payload, index) => framePacket(payload, 1 + index)));
}

function text(random: SeededRandom): string {
  return 'abcdefghijklmnopqrstuvwxyz'.slice(random.int(0, 25));
}

function bytes(random: SeededRandom, length: number): Buffer {
  return Buffer.alloc(length, random.int(0, 255));
}
