import { describe, expect, test } from 'vitest';
import { COMMAND } from '../core/wire/command.ts';
import { buildErr } from '../core/wire/err-packet.ts';
import { buildEof, buildOk } from '../core/wire/ok-packet.ts';
import { MAX_PAYLOAD_BYTES, framePacket } from '../core/wire/packet.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import { ResponseWalker, type Replacement } from './response-walker.ts';

function collect({ deprecateEof = true, replaceOk = null as Replacement } = {}) {
  const seen = { bytes: [] as Buffer[], events: [] as string[] };
  const walker = new ResponseWalker(
    {
      forward: (bytes) => seen.bytes.push(Buffer.from(bytes)),
      ok: () => {
        seen.events.push('ok');
        return replaceOk;
      },
      status: () => seen.events.push('status'),
      error: () => {
        seen.events.push('error');
        return null;
      },
      prepared: () => seen.events.push('prepared'),
      localInfile: () => seen.events.push('infile'),
      finished: () => seen.events.push('finished'),
      unsolicited: () => seen.events.push('unsolicited'),
    },
    { deprecateEof },
  );
  return { walker, seen };
}

const stream = (...payloads: Buffer[]): Buffer =>
  Buffer.concat(payloads.map((payload, index) => framePacket(payload, index + 1)));

const column = Buffer.from('\x03def-a column definition', 'latin1');
const row = Buffer.from('\x011\x02ab', 'latin1');
const ok = buildOk({ statusFlags: 2 });
const more = buildOk({ statusFlags: 2 | SERVER_STATUS.MORE_RESULTS });
const endOk = buildOk({ header: 0xfe, statusFlags: 2 });
const endOkMore = buildOk({ header: 0xfe, statusFlags: 2 | SERVER_STATUS.MORE_RESULTS });
const eof = buildEof(2);
const outParameters = buildEof(2 | SERVER_STATUS.MORE_RESULTS | SERVER_STATUS.PS_OUT_PARAMS);
const cursor = buildEof(2 | SERVER_STATUS.CURSOR_EXISTS);
const err = buildErr({ code: 1064, sqlState: '42000', message: 'no' });
const preparedOk = (columns: number, parameters: number) =>
  Buffer.of(0, 1, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0);

interface Case {
  name: string;
  command: number;
  deprecateEof: boolean;
  bytes: Buffer;
  events: string[];
}

const CASES: Case[] = [
  { name: 'OK', command: COMMAND.QUERY, deprecateEof: true, bytes: stream(ok), events: ['ok', 'finished'] },
  {
    name: 'OUT parameters: the OK packet of the CALL follows an end that denies it',
    command: COMMAND.STMT_EXECUTE,
    deprecateEof: false,
    bytes: stream(Buffer.of(1), column, outParameters, row, eof, ok),
    events: ['status', 'ok', 'finished'],
  },
  { name: 'ERR', command: COMMAND.QUERY, deprecateEof: true, bytes: stream(err), events: ['error', 'finished'] },
  {
    name: 'rows',
    command: COMMAND.QUERY,
    deprecateEof: true,
    bytes: stream(Buffer.of(2), column, column, row, row, endOk),
    events: ['ok', 'finished'],
  },
  {
    name: 'no rows',
    command: COMMAND.QUERY,
    deprecateEof: true,
    bytes: stream(Buffer.of(1), column, endOk),
    events: ['ok', 'finished'],
  },
  {
    name: 'rows with EOF',
    command: COMMAND.QUERY,
    deprecateEof: false,
    bytes: stream(Buffer.of(1), column, eof, row, eof),
    events: ['status', 'finished'],
  },
  {
    name: 'an error among rows',
    command: COMMAND.QUERY,
    deprecateEof: true,
    bytes: stream(Buffer.of(1), column, row, err),
    events: ['error', 'finished'],
  },
  {
    name: 'several results',
    command: COMMAND.QUERY,
    deprecateEof: true,
    bytes: stream(Buffer.of(1), column, row, endOkMore, more, Buffer.of(1), column, row, endOk),
    events: ['ok', 'ok', 'ok', 'finished'],
  },
  {
    name: 'a cursor',
    command: COMMAND.STMT_EXECUTE,
    deprecateEof: false,
    bytes: stream(Buffer.of(1), column, cursor),
    events: ['status', 'finished'],
  },
  {
    name: 'a fetch',
    command: COMMAND.STMT_FETCH,
    deprecateEof: false,
    bytes: stream(row, row, eof),
    events: ['status', 'finished'],
  },
  {
    name: 'PREPARE without anything',
    command: COMMAND.STMT_PREPARE,
    deprecateEof: true,
    bytes: stream(preparedOk(0, 0)),
    events: ['prepared', 'finished'],
  },
  {
    name: 'PREPARE with parameters and columns',
    command: COMMAND.STMT_PREPARE,
    deprecateEof: true,
    bytes: stream(preparedOk(2, 1), column, column, column),
    events: ['prepared', 'finished'],
  },
  {
    name: 'PREPARE with EOF packets',
    command: COMMAND.STMT_PREPARE,
    deprecateEof: false,
    bytes: stream(preparedOk(1, 2), column, column, eof, column, eof),
    events: ['prepared', 'finished'],
  },
  {
    name: 'COM_FIELD_LIST',
    command: COMMAND.FIELD_LIST,
    deprecateEof: false,
    bytes: stream(column, column, eof),
    events: ['status', 'finished'],
  },
  {
    name: 'COM_STATISTICS',
    command: COMMAND.STATISTICS,
    deprecateEof: true,
    bytes: stream(Buffer.from('Uptime: 1')),
    events: ['finished'],
  },
  {
    name: 'COM_SET_OPTION',
    command: COMMAND.SET_OPTION,
    deprecateEof: false,
    bytes: stream(eof),
    events: ['status', 'finished'],
  },
];

describe('responses pass unchanged and end where they end', () => {
  for (const { name, command, deprecateEof, bytes, events } of CASES) {
    test(`${name}, cut at every byte`, () => {
      for (let cut = 0; cut <= bytes.length; cut += 1) {
        const { walker, seen } = collect({ deprecateEof });
        walker.begin(command);
        walker.feed(bytes.subarray(0, cut));
        if (cut < bytes.length) walker.feed(bytes.subarray(cut));
        expect(Buffer.concat(seen.bytes).equals(bytes)).toBe(true);
        expect(seen.events).toEqual(events);
        expect(walker.isIdle).toBe(true);
      }
    });

    test(`${name}, byte by byte`, () => {
      const { walker, seen } = collect({ deprecateEof });
      walker.begin(command);
      for (const byte of bytes) walker.feed(Buffer.of(byte));
      expect(Buffer.concat(seen.bytes).equals(bytes)).toBe(true);
      expect(seen.events).toEqual(events);
    });
  }
});

test('a row of 16 MiB and more is not looked at in its continuation', () => {
  const { walker, seen } = collect();
  walker.begin(COMMAND.QUERY);
  // 0xFE begins the length of a value over 16 MiB; 0xFF and 0xFE in the continuation are data.
  const large = Buffer.alloc(MAX_PAYLOAD_BYTES + 100, 0xff);
  large[0] = 0xfe;
  const bytes = Buffer.concat([stream(Buffer.of(1), column), framePacket(large, 3), framePacket(endOk, 5)]);
  for (let offset = 0; offset < bytes.length; offset += 65_536) walker.feed(bytes.subarray(offset, offset + 65_536));
  expect(seen.events).toEqual(['ok', 'finished']);
  expect(Buffer.concat(seen.bytes).equals(bytes)).toBe(true);
});

const withMessage = (header: number) =>
  buildOk({ header, message: Buffer.from('what is longer than its replacement') });

test.each<{ how: string; end: Buffer; replacement: number | Buffer; expected: Buffer; segments: number }>([
  { how: 'cut short', end: withMessage(0xfe), replacement: 7, expected: withMessage(0xfe).subarray(0, 7), segments: 1 },
  { how: 'replaced by less', end: withMessage(0xfe), replacement: ok, expected: ok, segments: 1 },
  { how: 'replaced by more', end: endOk, replacement: withMessage(0), expected: withMessage(0), segments: 2 },
])('an OK packet that is $how keeps its place and sequence', ({ end, replacement, expected, segments }) => {
  const { walker, seen } = collect({ replaceOk: replacement });
  walker.begin(COMMAND.QUERY);
  walker.feed(stream(Buffer.of(1), column, row, end));
  expect(Buffer.concat(seen.bytes)).toEqual(stream(Buffer.of(1), column, row, expected));
  expect(seen.bytes).toHaveLength(segments);
});

test('an answer goes on after an OK packet that was cut short', () => {
  const { walker, seen } = collect({ replaceOk: 7 });
  walker.begin(COMMAND.QUERY);
  const first = buildOk({ statusFlags: 2 | SERVER_STATUS.MORE_RESULTS, message: Buffer.from('of several') });
  walker.feed(stream(first, Buffer.of(1), column, row, endOk));
  expect(Buffer.concat(seen.bytes)).toEqual(stream(first.subarray(0, 7), Buffer.of(1), column, row, endOk));
  expect(seen.events).toEqual(['ok', 'ok', 'finished']);
});

test('an error that nobody asked for is not passed on as an answer', () => {
  const { walker, seen } = collect();
  walker.feed(framePacket(err, 0));
  expect(seen).toEqual({ bytes: [], events: ['unsolicited'] });
});

test('LOAD DATA LOCAL: the request, then the answer after the file', () => {
  const { walker, seen } = collect();
  walker.begin(COMMAND.QUERY);
  walker.feed(stream(Buffer.from('\xfbfile.csv', 'latin1')));
  expect(seen.events).toEqual(['infile']);
  walker.localInfileSent(3);
  walker.feed(framePacket(ok, 4));
  expect(seen.events).toEqual(['infile', 'ok', 'finished']);
});

test('an error within OUT parameters is the end, also for the next command', () => {
  const { walker, seen } = collect({ deprecateEof: false });
  walker.begin(COMMAND.STMT_EXECUTE);
  walker.feed(stream(Buffer.of(1), column, outParameters, err));
  walker.begin(COMMAND.QUERY);
  walker.feed(stream(ok));
  expect(seen.events).toEqual(['error', 'finished', 'ok', 'finished']);
});
