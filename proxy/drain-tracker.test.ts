import { expect, test, vi } from 'vitest';
import type { DrainProgress } from './drain-tracker.ts';
import { DrainTracker } from './drain-tracker.ts';

class FakeSession {
  readonly name: string;
  reasons: string[] | null;

  constructor(name: string, reasons: string[] | null) {
    this.name = name;
    this.reasons = reasons;
  }

  undrainedReasons(): string[] | null {
    return this.reasons;
  }

  describe(reasons: string[]) {
    return { sessionId: this.name, user: 'u', address: 'a', reasons };
  }
}

test('drained at once when nothing is under way', () => {
  const reports: DrainProgress[] = [];
  const tracker = new DrainTracker((progress) => reports.push(progress));
  tracker.begin([new FakeSession('a', null)]);
  expect(reports).toEqual([{ state: 'drained', undrained: [] }]);
});

test('drained with the last of those that had something under way, named until then', () => {
  vi.useFakeTimers();
  const reports: DrainProgress[] = [];
  const tracker = new DrainTracker((progress) => reports.push(progress));
  const one = new FakeSession('one', ['open transaction']);
  const two = new FakeSession('two', ['open transaction']);
  tracker.begin([one, two, new FakeSession('three', null)]);
  expect(reports[0]).toMatchObject({ state: 'applied', undrained: [{ sessionId: 'one' }, { sessionId: 'two' }] });
  one.reasons = null;
  tracker.settled(one);
  expect(reports).toHaveLength(1);
  vi.advanceTimersByTime(50);
  expect(reports[1]).toMatchObject({ state: 'applied', undrained: [{ sessionId: 'two' }] });
  tracker.left(two);
  expect(reports[2]).toEqual({ state: 'drained', undrained: [] });
  tracker.settled(two);
  expect(reports).toHaveLength(3);
  vi.useRealTimers();
});

test('a session about to settle keeps the role undrained without being named, until it turns out to stay', () => {
  vi.useFakeTimers();
  const reports: DrainProgress[] = [];
  const tracker = new DrainTracker((progress) => reports.push(progress));
  const session = new FakeSession('settling', []);
  tracker.begin([session]);
  expect(reports).toEqual([{ state: 'applied', undrained: [] }]);
  session.reasons = ['a pin'];
  tracker.stays(session);
  vi.advanceTimersByTime(50);
  expect(reports[1]).toMatchObject({ state: 'applied', undrained: [{ reasons: ['a pin'] }] });
  vi.useRealTimers();
});
