/** Phases of an import, under the names that users see. Order carries no meaning: never compare by position. */
export const PHASES = [
  'pending',
  'copying',
  'running',
  'verifying_data',
  'verified_data',
  'switching_replicas',
  'switched_replicas',
  'switching_primaries',
  'switched_primaries',
  'completed',
  'cancelled',
  'error',
] as const;

export type Phase = (typeof PHASES)[number];

/** The two databases of an import: the external one, and the one that it moves to. */
export const SIDES = ['source', 'target'] as const;
export type Side = (typeof SIDES)[number];

export function otherSide(side: Side): Side {
  return side === 'source' ? 'target' : 'source';
}
