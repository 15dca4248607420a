import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CAPABILITY, combine } from '../../core/wire/capabilities.ts';
import { COMMAND } from '../../core/wire/command.ts';
import { parseErr } from '../../core/wire/err-packet.ts';
import { buildHandshakeResponse } from '../../core/wire/handshake-response.ts';
import { framePacket } from '../../core/wire/packet.ts';
import type { RefusalReason } from '../../proxy/client-error.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { sslRequest } from '../support/ssl-request.ts';

let server: RunningServer;
let proxy: ProxyHarness;
let bystander: Connection;

beforeAll(async () => {
  server = await startServer({ flavor: 'mysql-9.7', options: ['--max-allowed-packet=1048576'] });
  await createAppSchema(server);
  await using root = await direct(server);
  await root.query(`CREATE USER open@'%' IDENTIFIED BY ''`);
  proxy = await ProxyHarness.start({ source: server, target: server });
  bystander = await client(proxy.port);
  await bystander.query('SET @mine = 1');
  await bystander.beginTransaction();
});

afterAll(async () => {
  bystander?.destroy();
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const PLAIN = combine(
  CAPABILITY.PROTOCOL_41,
  CAPABILITY.SECURE_CONNECTION,
  CAPABILITY.PLUGIN_AUTH,
  CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CAPABILITY.CONNECT_ATTRS,
  CAPABILITY.DEPRECATE_EOF,
);

function response({ user = 'open', answer = Buffer.alloc(0), attributes = Buffer.alloc(0) } = {}): Buffer {
  return buildHandshakeResponse({
    capabilities: PLAIN,
    maxPacketBytes: 1 << 24,
    collation: 45,
    user: Buffer.from(user),
    authResponse: answer,
    database: null,
    authPlugin: 'caching_sha2_password',
    attributes,
  });
}

interface Case {
  sent: string;
  bytes: Buffer;
  /** The codes of the error that is the answer, or `closed` where the protocol knows no answer. */
  answer: number[] | 'closed';
  /** Counted once; null: an error of the statement, not of the protocol. */
  reason: RefusalReason | null;
  /** The session goes on. */
  goesOn?: boolean;
  /** The server closes the connection behind its answer, which is counted as well. */
  closes?: boolean;
  /** The client goes right behind it. */
  hangsUp?: boolean;
}

const malformed = { answer: [1043], reason: 'malformed packet' } as const;

const LOGINS: Case[] = [
  { sent: 'an empty packet', bytes: framePacket(Buffer.alloc(0), 1), ...cases(malformed) },
  { sent: 'a response that is cut off', bytes: framePacket(response().subarray(0, 20), 1), ...cases(malformed) },
  { sent: 'a user without an end', bytes: framePacket(response().subarray(0, 35), 1), ...cases(malformed) },
  { sent: 'a response with another sequence number', bytes: framePacket(response(), 7), ...cases(malformed) },
  { sent: 'a response of more than 1 MiB', bytes: framePacket(Buffer.alloc(1 << 21, 1), 1), ...cases(malformed) },
  {
    sent: 'attributes that are longer than the packet',
    bytes: framePacket(Buffer.concat([response().subarray(0, -1), Buffer.of(0xfd, 0xff, 0xff, 0xff)]), 1),
    ...cases(malformed),
  },
  {
    sent: 'the handshake of 3.20',
    bytes: framePacket(Buffer.concat([Buffer.of(0, 0, 0, 0, 0), Buffer.from('check\0')]), 1),
    answer: [1251],
    reason: 'old protocol',
  },
  {
    sent: 'noise where TLS should begin',
    bytes: Buffer.concat([sslRequest(), Buffer.from('GET / HTTP/1.0\r\n\r\n')]),
    answer: 'closed',
    reason: 'connection lost',
  },
  {
    sent: 'a password that is not encrypted with our key',
    bytes: Buffer.concat([
      framePacket(response({ user: 'app', answer: Buffer.alloc(32, 7) }), 1),
      framePacket(Buffer.alloc(256, 9), 3),
    ]),
    answer: [1045],
    reason: 'access denied',
  },
  {
    sent: 'half a header',
    bytes: Buffer.of(9, 0),
    answer: 'closed',
    reason: 'connection lost',
    hangsUp: true,
  },
];

function cases(expected: { answer: readonly number[]; reason: RefusalReason }): Pick<Case, 'answer' | 'reason'> {
  return { answer: [...expected.answer], reason: expected.reason };
}

const ours = { answer: [1835], reason: 'malformed packet' } as const;
const byServer = (code: number, goesOn = true) =>
  ({ answer: [code], reason: 'refused by the server', goesOn, closes: !goesOn }) satisfies Partial<Case>;
const command = (...bytes: number[]) => framePacket(Buffer.of(...bytes), 0);

const COMMANDS: Case[] = [
  { sent: 'an empty packet', bytes: framePacket(Buffer.alloc(0), 0), ...cases(ours) },
  { sent: 'a command that nobody knows', bytes: command(0x7f), ...byServer(1047) },
  { sent: 'a command of the server itself', bytes: command(0x0b), ...byServer(1047) },
  {
    sent: 'a command with another sequence number',
    bytes: framePacket(Buffer.from('\x03SELECT 1'), 3),
    ...byServer(1156, false),
  },
  {
    sent: 'a command over max_allowed_packet',
    bytes: framePacket(Buffer.concat([Buffer.of(COMMAND.QUERY), Buffer.alloc(1_100_000, 0x20)]), 0),
    ...byServer(1153, false),
  },
  ...[
    ['COM_STMT_EXECUTE', COMMAND.STMT_EXECUTE],
    ['COM_STMT_FETCH', COMMAND.STMT_FETCH],
    ['COM_STMT_RESET', COMMAND.STMT_RESET],
    ['COM_STMT_CLOSE', COMMAND.STMT_CLOSE],
    ['COM_STMT_SEND_LONG_DATA', COMMAND.STMT_SEND_LONG_DATA],
    ['COM_PROCESS_KILL', COMMAND.PROCESS_KILL],
  ].map(([name, code]) => ({
    sent: `${name} that is too short`,
    bytes: command(Number(code), 1, 0),
    ...cases(ours),
    goesOn: true,
  })),
  {
    sent: 'a statement that was never prepared',
    bytes: command(COMMAND.STMT_EXECUTE, 99, 0, 0, 0, 0, 1, 0, 0, 0),
    answer: [1243],
    reason: null,
    goesOn: true,
  },
  { sent: 'COM_SET_OPTION that is too short', bytes: command(COMMAND.SET_OPTION, 1), ...byServer(1835) },
  {
    sent: 'COM_CHANGE_USER that is cut off',
    bytes: framePacket(Buffer.from('\x11ope'), 0),
    answer: [1043],
    reason: 'malformed packet',
  },
  {
    sent: 'COM_BINLOG_DUMP that is too short, from somebody who may not',
    bytes: command(COMMAND.BINLOG_DUMP, 1),
    answer: [1227],
    reason: null,
    goesOn: true,
  },
  {
    sent: "MariaDB's bulk execution",
    bytes: command(COMMAND.STMT_BULK_EXECUTE, 1, 0, 0, 0, 0, 0),
    answer: [1235],
    reason: 'unsupported command',
    goesOn: true,
  },
  { sent: 'COM_CLONE', bytes: command(COMMAND.CLONE, 0), answer: [1235], reason: 'unsupported command', goesOn: true },
  {
    sent: 'half a command',
    bytes: Buffer.concat([Buffer.of(200, 0, 0, 0, COMMAND.QUERY), Buffer.from('SELECT')]),
    answer: 'closed',
    reason: null,
    hangsUp: true,
  },
];

/** Whole packets as they come. */
class Packets {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #closed = false;
  #changed = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    this.#socket = socket;
    const tell = () => {
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    };
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      tell();
    });
    socket.on('close', () => {
      this.#closed = true;
      tell();
    });
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  hangUp(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async next(): Promise<Buffer | 'closed'> {
    for (;;) {
      const end = this.#received.length < 4 ? Infinity : 4 + this.#received.readUIntLE(0, 3);
      if (this.#received.length >= end) {
        const packet = this.#received.subarray(4, end);
        this.#received = this.#received.subarray(end);
        return packet;
      }
      if (this.#closed) return 'closed';
      await this.#changed.promise;
    }
  }

  /** The code of the next error, or that there comes none; challenges of the login are passed over. */
  async answer(): Promise<number | 'closed'> {
    for (;;) {
      const packet = await this.next();
      if (packet === 'closed') return packet;
      if (packet[0] === 0xff) return parseErr(packet).code;
    }
  }
}

async function open(): Promise<Packets> {
  const socket = connect(proxy.port, '127.0.0.1');
  const packets = new Packets(socket);
  await once(socket, 'connect');
  await packets.next();
  return packets;
}

/** By reason; without those that are zero. */
async function counted(): Promise<Map<string, number>> {
  const lines = (await proxy.metrics()).matchAll(/^switchyard_proxy_refusals_total\{reason="([^"]+)"\} (\d+)/gm);
  return new Map([...lines].map(([, reason = '', count]) => [reason, Number(count)]));
}

async function check(malformed: Case, packets: Packets): Promise<void> {
  const { bytes, answer, reason, goesOn = false, closes = false, hangsUp = false } = malformed;
  const before = await counted();
  packets.write(bytes);
  if (hangsUp) packets.hangUp();
  const answered = await packets.answer();
  if (answer === 'closed') expect(answered).toBe('closed');
  else expect(answer).toContain(answered);
  if (goesOn) {
    packets.write(framePacket(Buffer.of(COMMAND.PING), 0));
    expect((await packets.next())[0]).toBe(0);
  } else {
    // Where the server ends the connection, it must not be we who have gone by then.
    if (!closes) packets.hangUp();
    while ((await packets.next()) !== 'closed');
  }
  const expected = new Map(before);
  for (const one of reason === null ? [] : closes ? [reason, 'connection lost'] : [reason])
    expected.set(one, (before.get(one) ?? 0) + 1);
  await expect.poll(counted).toEqual(expected);
  packets.destroy();
  // The other session noticed nothing, and nothing is left of this one.
  expect(await rowsOf(bystander, 'SELECT @mine AS mine')).toEqual([{ mine: 1 }]);
  await expect.poll(async () => (await proxy.sessions()).length).toBe(1);
}

describe('in place of a login', () => {
  test.each(LOGINS)('$sent', async (malformed) => check(malformed, await open()));
});

describe('in place of a command', () => {
  test.each(COMMANDS)('$sent', async (malformed) => {
    const packets = await open();
    packets.write(framePacket(response(), 1));
    expect((await packets.next())[0]).toBe(0);
    await check(malformed, packets);
  });
});
