import { expect, test } from 'vitest';
import { SessionWatch, type WatchedSession } from './session-watch.ts';

function session(state: Partial<WatchedSession> = {}) {
  const ends: string[] = [];
  return {
    ends,
    bytesIn: 10,
    bytesOut: 10,
    pendingBytes: 0,
    isIdle: true,
    netWriteTimeoutMs: null as number | null,
    onIdleTooLong: () => ends.push('idle'),
    onTakesNothing: () => ends.push('stalled'),
    ...state,
  };
}

test('an idle session ends when its time is over, any byte begins it anew, and a running command does not count', () => {
  const watch = new SessionWatch({ idleTimeoutMs: 1000, clientStallTimeoutMs: 9000 });
  const [idle, active, busy] = [session(), session(), session({ isIdle: false })];
  watch.look([idle, active, busy], 0);
  active.bytesOut += 1;
  watch.look([idle, active, busy], 900);
  watch.look([idle, active, busy], 1000);
  expect([idle.ends, active.ends, busy.ends]).toEqual([['idle'], [], []]);
  watch.look([active], 1900);
  expect(active.ends).toEqual(['idle']);
});

test('without a limit of its own nothing idle ends', () => {
  const watch = new SessionWatch({ idleTimeoutMs: null, clientStallTimeoutMs: 1000 });
  const one = session();
  watch.look([one], 0);
  watch.look([one], 1e9);
  expect(one.ends).toEqual([]);
});

test('a client that takes nothing ends, also within a command; not one that takes a little, nor before its net_write_timeout', () => {
  const watch = new SessionWatch({ idleTimeoutMs: 500, clientStallTimeoutMs: 1000 });
  const stuck = session({ isIdle: false, pendingBytes: 70_000 });
  const slow = session({ isIdle: false, pendingBytes: 70_000 });
  const patient = session({ isIdle: false, pendingBytes: 70_000, netWriteTimeoutMs: 3000 });
  const all = [stuck, slow, patient];
  watch.look(all, 0);
  slow.pendingBytes -= 1000;
  watch.look(all, 999);
  watch.look(all, 1000);
  expect([stuck.ends, slow.ends, patient.ends]).toEqual([['stalled'], [], []]);
  watch.look([patient], 3000);
  expect(patient.ends).toEqual(['stalled']);
});

test('looks often enough for the shorter limit', () => {
  expect(new SessionWatch({ idleTimeoutMs: 1000, clientStallTimeoutMs: 600_000 }).intervalMs).toBe(100);
  expect(new SessionWatch({ idleTimeoutMs: null, clientStallTimeoutMs: 600_000 }).intervalMs).toBe(10_000);
});
