import { expect, test } from 'vitest';
import { z } from 'zod';
import { PHASES } from '../core/phase.ts';
import { TRANSITIONS, type PhaseEvent } from '../engine/phase.ts';

// A module of the browser: without types, so its form is checked here.
const modulePath = new URL('./dashboard/phases.js', import.meta.url).href;
const { ALLOWED, STATIONS } = z
  .object({
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
