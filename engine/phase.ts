import { PHASES, type Phase } from '../core/phase.ts';
import { AppError } from '../core/errors.ts';

/**
 * The phase machine: pure. The driver persists the next phase before it runs the effect that belongs to it.
 * `docs/phases.md` is generated from `TRANSITIONS`.
 */
export type PhaseEvent =
  | 'start_copy'
  | 'copied'
  | 'start_verify'
  | 'verified'
  | 'verify_ended'
  | 'unverified'
  | 'start_switch_replicas'
  | 'start_switch_primaries'
  | 'replicas_on_source'
  | 'replicas_on_target'
  | 'primaries_on_target'
  | 'complete'
  | 'cancel';

/** A missing cell is a refusal. `error` is entered by `fail` and left by `resume`, to and from the phase it came from. */
export const TRANSITIONS = {
  pending: { start_copy: 'copying', cancel: 'cancelled' },
  copying: { copied: 'running', cancel: 'cancelled' },
  running: {
    start_verify: 'verifying_data',
    verified: 'verified_data',
    start_switch_replicas: 'switching_replicas',
    start_switch_primaries: 'switching_primaries',
    cancel: 'cancelled',
  },
  verifying_data: { verified: 'verified_data', verify_ended: 'running', cancel: 'cancelled' },
  verified_data: {
    start_verify: 'verifying_data',
    unverified: 'running',
    start_switch_replicas: 'switching_replicas',
    start_switch_primaries: 'switching_primaries',
    cancel: 'cancelled',
  },
  switching_replicas: { replicas_on_target: 'switched_replicas', replicas_on_source: 'running' },
  // A verification leaves it, as it does `switched_primaries`: whatever else an operator may do there stays possible.
  switched_replicas: {
    start_verify: 'switched_replicas',
    start_switch_replicas: 'switching_replicas',
    start_switch_primaries: 'switching_primaries',
  },
  switching_primaries: {
    primaries_on_target: 'switched_primaries',
    replicas_on_target: 'switched_replicas',
    replicas_on_source: 'running',
  },
  switched_primaries: {
    start_verify: 'switched_primaries',
    start_switch_primaries: 'switching_primaries',
    complete: 'completed',
  },
  completed: {},
  cancelled: {},
  error: { cancel: 'cancelled' },
} as const satisfies Record<Phase, Partial<Record<PhaseEvent, Phase>>>;

/** The phase after `event`; throws PHASE_REFUSED, naming the phases in which it is possible. */
export function nextPhase(phase: Phase, event: PhaseEvent): Phase {
  const next = (TRANSITIONS[phase] as Partial<Record<PhaseEvent, Phase>>)[event];
  if (next !== undefined) return next;
  const possible = PHASES.filter((candidate) => event in TRANSITIONS[candidate]);
  throw new AppError('PHASE_REFUSED', `not possible in phase ${phase}; possible in ${possible.join(', ')}`, {
    details: { phase, event, possible },
  });
}

/** Phases with nothing left to do. */
export function isFinal(phase: Phase): boolean {
  return phase === 'completed' || phase === 'cancelled';
}
