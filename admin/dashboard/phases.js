/**
 * What the phase machine of the engine allows (engine/phase.ts), to offer nothing that it would refuse. The engine
 * decides all the same; dashboard-phases.test.ts compares the two.
 */
const BEFORE_SWITCH = ['pending', 'copying', 'running', 'verifying_data', 'verified_data'];
const CAN_SWITCH = ['running', 'verified_data', 'switched_replicas'];

export const ALLOWED = {
  verify: ['running', 'verified_data', 'switched_replicas', 'switched_primaries'],
  pauseVerification: ['verifying_data', 'switched_replicas', 'switched_primaries'],
  resumeVerification: ['running', 'verified_data', 'switched_replicas', 'switched_primaries'],
  repairDifferences: ['running', 'verified_data', 'switched_replicas', 'switched_primaries'],
  switchReplicas: ['running', 'verified_data'],
  switchPrimaries: CAN_SWITCH,
  switchBackReplicas: ['switched_replicas'],
  switchBackPrimaries: ['switched_primaries'],
  complete: ['switched_primaries'],
  cancel: [...BEFORE_SWITCH, 'error'],
  resume: ['error'],
  replicaHost: [...BEFORE_SWITCH, 'switched_replicas', 'switched_primaries', 'error'],
};

export const isFinal = (phase) => phase === 'completed' || phase === 'cancelled';

export function allows(view, action) {
  // What ends an import is allowed from an error as it was before it.
  const isEnd = action === 'cancel' || action === 'complete';
  const phase = isEnd && view.phase === 'error' ? view.error?.fromPhase : view.phase;
  if (!ALLOWED[action].includes(phase)) return false;
  // Behind the first switch a verification has no phase of its own.
  return !(action === 'verify' || action === 'resumeVerification') || view.verify?.state !== 'running';
}

/** The stations of the stepper, each with the phases in which an import is at it. */
export const STATIONS = [
  { label: 'Pending', phases: ['pending'] },
  { label: 'Copying', phases: ['copying'] },
  { label: 'Running', phases: ['running'] },
  { label: 'Verified', phases: ['verifying_data', 'verified_data'], optional: true },
  { label: 'Replicas switched', phases: ['switching_replicas', 'switched_replicas'], optional: true },
  { label: 'Primaries switched', phases: ['switching_primaries', 'switched_primaries'] },
  { label: 'Completed', phases: ['completed'] },
];

export const isUnderWay = (phase) =>
  ['copying', 'verifying_data', 'switching_replicas', 'switching_primaries'].includes(phase);
