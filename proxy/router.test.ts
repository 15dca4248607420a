import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { routingRecordSchema, type RoutingRecord } from '../core/routing-record.ts';
import { Router } from './router.ts';

function record(changes: Partial<RoutingRecord>): RoutingRecord {
  const primary = (port: number) => ({ primary: { host: 'db', port, tls: { mode: 'disabled' } }, replica: null });
  return routingRecordSchema.parse({
    epoch: 1,
    importId: 'i',
    database: 'app',
    primary: 'source',
    replica: 'source',
    hold: 'none',
    deadlineMs: null,
    fenced: false,
    endpoints: { source: primary(1), target: primary(2) },
    ...changes,
  });
}

let router: Router;
let changes: number;

beforeEach(() => {
  vi.useFakeTimers();
  changes = 0;
  router = new Router({ onChange: () => (changes += 1) });
});

afterEach(() => {
  router.close();
  vi.useRealTimers();
});

test('a record of an older epoch changes nothing', () => {
  expect(router.apply(record({ epoch: 5, primary: 'target' }))).toBe(true);
  expect(router.apply(record({ epoch: 4 }))).toBe(false);
  expect(router.route('primary').destination?.side).toBe('target');
});

test('the hold of one role leaves the other alone', async () => {
  router.apply(record({ hold: 'primary' }));
  expect(router.heldRoles()).toEqual(['primary']);
  expect((await router.destination('replica'))?.side).toBe('source');
});

test('whoever waits goes on at the release, to the side of that time', async () => {
  router.apply(record({ hold: 'primary' }));
  const waiting = router.destination('primary');
  router.apply(record({ epoch: 2, hold: 'primary', fenced: true }));
  router.apply(record({ epoch: 3, primary: 'target' }));
  expect((await waiting)?.side).toBe('target');
});

test('the deadline releases to the current side while not fenced', () => {
  router.apply(record({ hold: 'primary', deadlineMs: Date.now() + 1000 }));
  vi.advanceTimersByTime(999);
  expect(router.heldRoles()).toEqual(['primary']);
  vi.advanceTimersByTime(1);
  expect(router.heldRoles()).toEqual([]);
  expect(router.releasedByDeadline).toBe(true);
  expect(changes).toBe(2);
});

test('a deadline that has passed when the record comes releases all the same', () => {
  router.apply(record({ hold: 'primary', deadlineMs: Date.now() - 1 }));
  vi.advanceTimersByTime(0);
  expect(router.heldRoles()).toEqual([]);
});

test('I6: fenced, the hold lasts until the next epoch, also when the deadline was met before', () => {
  const deadlineMs = Date.now() + 1000;
  router.apply(record({ hold: 'primary', deadlineMs }));
  router.apply(record({ epoch: 2, hold: 'primary', deadlineMs, fenced: true }));
  vi.advanceTimersByTime(100_000);
  expect(router.heldRoles()).toEqual(['primary']);
  router.apply(record({ epoch: 3, hold: 'primary', deadlineMs: Date.now() + 10 }));
  vi.advanceTimersByTime(10);
  expect(router.heldRoles()).toEqual([]);
  router.apply(record({ epoch: 3, hold: 'primary', fenced: true }));
  expect(router.heldRoles()).toEqual(['primary']);
});
