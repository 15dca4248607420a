import { ZOO } from '../support/zoo/zoo.ts';
import { REFUSALS } from './refusals.ts';
import { STRUCTURES } from './structures.ts';

/** The rows of the table in docs/limits.md, in its order. */
export const LABELS: readonly string[] = [
  ...new Set([...Object.values(ZOO).flat(), ...STRUCTURES, ...REFUSALS].map(({ label }) => label)),
];
