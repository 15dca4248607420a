/** One step of a model: what it is called, and the state after it. */
export interface Successor {
  label: string;
  state: Uint8Array;
}

export interface Model {
  initial: Uint8Array;
  successors(state: Uint8Array): Successor[];
  /** What is wrong in this state, or null. */
  violation(state: Uint8Array): string | null;
  /** What is wrong once everything that can go on without a further fault has. `settled` remembers what was looked at. */
  violationAtRest(state: Uint8Array, settled: Set<string>): string | null;
}

export interface Exploration {
  states: number;
  transitions: number;
  /** The first found, with the shortest way to it. */
  violation: { message: string; trace: string[] } | null;
  /** True when the bound ended it, not the lack of new states. */
  truncated: boolean;
}

/** Breadth-first over every reachable state: the first violation found has the shortest trace. */
export function explore(model: Model, { statesMax = 4_000_000, restEvery = 1 } = {}): Exploration {
  const settled = new Set<string>();
  const seen = new Map<string, number>();
  const keys: string[] = [];
  const parents: number[] = [];
  const labels: string[] = [];
  const add = (state: Uint8Array, parent: number, label: string): number | undefined => {
    const key = keyOf(state);
    if (seen.has(key)) return undefined;
    const index = keys.push(key) - 1;
    seen.set(key, index);
    parents.push(parent);
    labels.push(label);
    return index;
  };
  const traceOf = (index: number): string[] => {
    const trace: string[] = [];
    for (let at = index; at > 0; at = parents[at] ?? 0) trace.unshift(labels[at] ?? '?');
    return trace;
  };
  let transitions = 0;
  add(model.initial, -1, 'start');
  for (let index = 0; index < keys.length; index += 1) {
    const state = stateOf(keys[index] ?? '');
    for (const { label, state: next } of model.successors(state)) {
      transitions += 1;
      const added = add(next, index, label);
      if (added === undefined) continue;
      const message = model.violation(next) ?? (added % restEvery === 0 ? model.violationAtRest(next, settled) : null);
      if (message !== null)
        return {
          states: keys.length,
          transitions,
          violation: { message, trace: traceOf(added) },
          truncated: false,
        };
      if (keys.length >= statesMax) return { states: keys.length, transitions, violation: null, truncated: true };
    }
  }
  return { states: keys.length, transitions, violation: null, truncated: false };
}

export function keyOf(state: Uint8Array): string {
  return Buffer.from(state.buffer, state.byteOffset, state.length).toString('latin1');
}

function stateOf(key: string): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'));
}
