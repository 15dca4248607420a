import { expect, test } from 'vitest';
import { PHASES } from '../core/phase.ts';
import { isFinal, nextPhase, TRANSITIONS, type PhaseEvent } from './phase.ts';

const EVENTS = [...new Set(Object.values(TRANSITIONS).flatMap((row) => Object.keys(row)))] as PhaseEvent[];

test('final phases accept nothing: completed is final (I10)', () => {
  for (const phase of PHASES.filter(isFinal)) {
    for (const event of EVENTS) expect(() => nextPhase(phase, event)).toThrow(/not possible in phase/);
  }
});

test('cancelling is possible exactly before any switch', () => {
  const cancellable = PHASES.filter((phase) => 'cancel' in TRANSITIONS[phase]);
  expect(cancellable).toEqual(['pending', 'copying', 'running', 'verifying_data', 'verified_data', 'error']);
});

test('every phase but the first and error is reached by some event', () => {
  const reached = new Set(Object.values(TRANSITIONS).flatMap((row) => Object.values(row)));
  expect(PHASES.filter((phase) => !reached.has(phase as never))).toEqual(['pending', 'error']);
});

test('a refusal names the phases in which it is possible', () => {
  expect(() => nextPhase('copying', 'complete')).toThrow(
    'not possible in phase copying; possible in switched_primaries',
  );
});
