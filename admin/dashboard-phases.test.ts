import { expect, test } from 'vitest';
import { z } from 'zod';
import { PHASES } from '../core/phase.ts';
import { TRANSITIONS, type PhaseEvent } from '../engine/phase.ts';

// A module of the browser: without types, so its form is checked here.
const modulePath = new URL('./dashboard/phases.js', import.meta.url).href;
const { ALLOWED, STATIONS, allows } = z
  .object({
    allows: z.custom<(view: object, action: string) => boolean>((value) => typeof value === 'function'),
    ALLOWED: z.record(z.string(), z.array(z.enum(PHASES))),
    STATIONS: z.array(z.object({ phases: z.array(z.enum(PHASES)) })),
  })
  .parse({ ...(await import(modulePath)) });

function phasesThatTake(event: PhaseEvent) {
  return PHASES.filter((phase) => event in TRANSITIONS[phase]);
}

test('every phase but the two ends beside the line has its station', () => {
  const shown = STATIONS.flatMap(({ phases }) => phases);
  expect([...shown, 'cancelled', 'error'].sort()).toEqual([...PHASES].sort());
});

test('the dashboard offers what the phase machine takes', () => {
  const switchable = (kinds: string[]) => [...new Set(kinds.flatMap((kind) => ALLOWED[kind] ?? []))].sort();
  expect(ALLOWED['verify']).toEqual(phasesThatTake('start_verify'));
  expect(ALLOWED['cancel']).toEqual(phasesThatTake('cancel'));
  expect(ALLOWED['complete']).toEqual(phasesThatTake('complete'));
  expect(switchable(['switchReplicas', 'switchBackReplicas'])).toEqual(phasesThatTake('start_switch_replicas').sort());
  expect(switchable(['switchPrimaries', 'switchBackPrimaries'])).toEqual(
    phasesThatTake('start_switch_primaries').sort(),
  );
});

test('from an error an import is ended as the phase before it allows', () => {
  const ends = (fromPhase: string) =>
    ['cancel', 'complete', 'switchPrimaries'].filter((action) =>
      allows({ phase: 'error', error: { fromPhase } }, action),
    );
  expect(ends('copying')).toEqual(['cancel']);
  expect(ends('switched_primaries')).toEqual(['complete']);
  expect(ends('switched_replicas')).toEqual([]);
});
