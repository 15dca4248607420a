import { expect, test } from 'vitest';
import { EventParser } from './event-parser.ts';

const TEXT = 'retry: 2000\n\n: heartbeat\n\nevent: import\ndata: {"a":1}\n\nevent: log\ndata: one\ndata: two\n\n';
const EVENTS = [
  { event: 'import', data: '{"a":1}' },
  { event: 'log', data: 'one\ntwo' },
];

test('events are the same however the text is cut', () => {
  for (let at = 0; at <= TEXT.length; at += 1) {
    const parser = new EventParser();
    expect([...parser.push(TEXT.slice(0, at)), ...parser.push(TEXT.slice(at))]).toEqual(EVENTS);
  }
});

test('an event without its end is not told', () => {
  expect(new EventParser().push('event: log\ndata: x\n')).toEqual([]);
});
