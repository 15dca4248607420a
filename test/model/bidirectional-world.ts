import { keyOf, type Model, type Successor } from './explore.ts';

/** Bugs put in on purpose: tests of the test. */
export type BidirectionalBug =
  | 'skip_always'
  | 'only_applications_count'
  | 'no_repair'
  | 'absence_not_locked'
  | 'no_before_check'
  | 'unique_values_not_counted'
  | 'known_after_restart'
  | 'progress_before_data'
  | 'reverse_position_anew'
  | 'no_drain'
  | 'no_last_look'
  | 'progress_not_kept';

export interface BidirectionalOptions {
  /** Writes of applications on the source, and of testers on the target. */
  sourceWrites: number;
  targetWrites: number;
  /** Crashes of the engine. */
  crashes: number;
  /** Switches of primaries; the second one goes back. */
  switches: number;
  /** Values of the two rows are unique. */
  unique: boolean;
  bug?: BidirectionalBug;
}

/** The two rows by key; 0: there is none. */
type Rows = [number, number];
interface Change {
  key: 0 | 1;
  before: number;
  after: number;
}
/** What the source's log has: `A` of an application, `B` a tester's that was applied, `R` a repair, `V` of the reverse stream. */
interface SourceEntry {
  kind: 'A' | 'B' | 'R' | 'V';
  changes: Change[];
  /** Of `B`: how far F was at the tester's commit, null: not known. */
  seen: number | null;
}
/** What the target's log has: `T` of a tester (or of applications after the switch), `F` with how far F is with it. */
interface TargetEntry {
  kind: 'T' | 'F';
  changes: Change[];
  number: number;
  seen: number;
}
type Outcome = 'none' | 'pending' | 'applied' | 'conflict';

interface World {
  source: Rows;
  target: Rows;
  /** Both logs; what nobody reads any more is cleared, so that worlds that differ in it alone are one. */
  sourceLog: (SourceEntry | null)[];
  targetLog: (TargetEntry | null)[];
  outcomes: Outcome[];
  /** Forward: durable, in memory, and what it remembers of its writes since `known`. */
  forward: { durable: number; at: number; known: number; wrote: Record<string, number> };
  /** Backward: durable and in memory are the same; `seen` is what it has read of F's progress. */
  back: { at: number; seen: number | null };
  /** A row of an application gave way to a tester's that had not seen it. */
  overwritten: boolean;
  /** A conflict that was read and is not committed (`absence_not_locked`). */
  half: { entry: TargetEntry; rows: Rows } | null;
  mode: 'running' | 'fenced' | 'caught_up' | 'looked' | 'switched' | 'fenced_back';
  /** Of a switch: how often F had written when B began to drain. */
  writesAt: number;
  /** F's writes that are B's doing, in this switch. */
  writes: number;
  left: { source: number; target: number; crashes: number; switches: number };
}

const VALUES = { plain: [0, 1, 2], unique: [0, 1, 2, 3] } as const;
const ROUNDS_MAX = 3;

/**
 * Both streams while the source is primary, the switch, and the way back, in a small world: two rows, applications that
 * write on the source, testers that write on the target, an engine that dies. ADR 19 has the rules; here they are small
 * enough to look at every interleaving. Transactions are atomic, which servers see to, but for the one place where
 * the rule depends on how rows are locked (`absence_not_locked`).
 */
export class BidirectionalWorld implements Model {
  readonly initial: Uint8Array;
  readonly #options: BidirectionalOptions;

  constructor(options: BidirectionalOptions) {
    this.#options = options;
    const { sourceWrites, targetWrites, crashes, switches } = options;
    this.initial = packed({
      source: [1, options.unique ? 2 : 1],
      target: [1, options.unique ? 2 : 1],
      sourceLog: [],
      targetLog: [],
      outcomes: Array.from({ length: targetWrites }, () => 'none'),
      forward: { durable: 0, at: 0, known: 0, wrote: {} },
      // It has read a window of F before.
      back: { at: 0, seen: 0 },
      overwritten: false,
      half: null,
      mode: 'running',
      writesAt: 0,
      writes: 0,
      left: { source: sourceWrites, target: targetWrites, crashes, switches },
    });
  }

  successors(state: Uint8Array): Successor[] {
    const world = unpacked(state);
    return [
      ...this.#applications(world),
      ...this.#testers(world),
      ...this.#forward(world),
      ...this.#back(world),
      ...this.#switch(world),
      ...this.#crash(world),
    ].map(({ label, next }) => ({ label, state: packed(tidied(next)) }));
  }

  violation(state: Uint8Array): string | null {
    return unpacked(state).overwritten ? 'a row of the source was overwritten by one that had not seen it' : null;
  }

  violationAtRest(from: Uint8Array, known: Set<string>): string | null {
    let world = unpacked(from);
    const path: string[] = [];
    for (let moves = 0; moves < 100; moves += 1) {
      const key = keyOf(packed(world));
      if (known.has(key)) break;
      path.push(key);
      const calm = { ...world, left: { source: 0, target: 0, crashes: 0, switches: 0 } };
      const [next] = [...this.#forward(calm), ...this.#back(calm), ...this.#switch(calm)];
      if (next === undefined) {
        const wrong = wrongAtRest(world);
        if (wrong !== null) return wrong;
        break;
      }
      world = tidied(next.next);
    }
    for (const key of path) known.add(key);
    return path.length >= 100 ? 'it does not come to rest' : null;
  }

  // Who writes

  #applications(world: World): Move[] {
    if (world.left.source === 0 || world.mode !== 'running') return [];
    const moves: Move[] = [];
    for (const key of [0, 1] as const) {
      for (const after of this.#values) {
        const change = { key, before: world.source[key], after };
        if (after === change.before || !this.#isAllowed(world.source, [change])) continue;
        const next = structuredClone(world);
        next.left.source -= 1;
        write(next.source, [change]);
        next.sourceLog.push({ kind: 'A', changes: [change], seen: null });
        moves.push({ label: `A: row ${key} ${change.before} → ${after}`, next });
      }
    }
    return moves;
  }

  #testers(world: World): Move[] {
    if (world.left.target === 0 || world.mode === 'fenced_back') return [];
    const moves: Move[] = [];
    const sets = [
      ...this.#changesOf(world.target, [0]),
      ...this.#changesOf(world.target, [1]),
      ...this.#changesOf(world.target, [0, 1]),
    ];
    for (const changes of sets) {
      const next = structuredClone(world);
      const number = next.outcomes.indexOf('none');
      next.outcomes[number] = 'pending';
      next.left.target -= 1;
      write(next.target, changes);
      next.targetLog.push({ kind: 'T', changes, number, seen: 0 });
      moves.push({ label: `T${number}: ${shown(changes)}`, next });
    }
    return moves;
  }

  #changesOf(rows: Rows, keys: (0 | 1)[]): Change[][] {
    const [first, ...rest] = keys;
    if (first === undefined) return [[]];
    const tails = this.#changesOf(rows, rest);
    return this.#values
      .filter((after) => after !== rows[first])
      .flatMap((after) => tails.map((tail) => [{ key: first, before: rows[first], after }, ...tail]))
      .filter((changes) => changes.length < keys.length || this.#isAllowed(rows, changes));
  }

  get #values(): readonly number[] {
    return this.#options.unique ? VALUES.unique : VALUES.plain;
  }

  #isAllowed(rows: Rows, changes: Change[]): boolean {
    const after: Rows = [...rows];
    write(after, changes);
    return !this.#options.unique || after[0] === 0 || after[0] !== after[1];
  }

  // F: source to target

  #forward(world: World): Move[] {
    const entry = world.sourceLog[world.forward.at];
    if (entry == null || !['running', 'fenced', 'looked'].includes(world.mode)) return [];
    const next = structuredClone(world);
    const place = world.forward.at + 1;
    next.forward.at = place;
    if (entry.kind === 'V') return [{ label: 'F passes over the reverse stream', next }];
    if (entry.kind === 'B' && !this.#mustReapply(world, entry)) return [{ label: 'F skips B', next }];
    if (entry.kind !== 'A') next.writes = Math.min(9, next.writes + 1);
    const before: Rows = [...next.target];
    for (const { key, after } of entry.changes) {
      // Source wins: whoever holds its value is taken away.
      const other = (1 - key) as 0 | 1;
      if (this.#options.unique && after !== 0 && next.target[other] === after) next.target[other] = 0;
      next.target[key] = after;
    }
    const changes = changesBetween(before, next.target);
    next.targetLog.push({ kind: 'F', changes, number: 0, seen: place });
    next.forward.durable = place;
    const isCounted = entry.kind === 'A' || this.#options.bug !== 'only_applications_count';
    if (isCounted) for (const hash of this.#hashes(entry.changes)) next.forward.wrote[hash] = place;
    return [{ label: `F applies ${entry.kind} ${shown(entry.changes)}`, next }];
  }

  /** F has written one of the keys to the target after the tester's transaction, as far as it knows. */
  #mustReapply({ forward }: World, { seen, changes }: SourceEntry): boolean {
    const { bug } = this.#options;
    if (bug === 'skip_always') return false;
    if (seen === null) return bug !== 'known_after_restart';
    if (seen < forward.known && bug !== 'known_after_restart') return true;
    return this.#hashes(changes).some((hash) => (forward.wrote[hash] ?? 0) > seen);
  }

  #hashes(changes: Change[]): string[] {
    const values = this.#options.unique && this.#options.bug !== 'unique_values_not_counted';
    return changes.flatMap(({ key, before, after }) => [
      `k${key}`,
      ...(values ? [before, after].filter((value) => value !== 0).map((value) => `v${value}`) : []),
    ]);
  }

  // B: target to source

  #back(world: World): Move[] {
    const { bug } = this.#options;
    if (world.half !== null) return [this.#commitHalf(world)];
    const entry = world.targetLog[world.back.at];
    if (entry == null || !['running', 'fenced', 'caught_up', 'switched', 'fenced_back'].includes(world.mode)) return [];
    const next = structuredClone(world);
    next.back.at += 1;
    if (entry.kind === 'F') {
      next.back.seen = entry.seen;
      return [{ label: 'B passes over F', next }];
    }
    const { changes, number } = entry;
    if (world.mode === 'switched' || world.mode === 'fenced_back') {
      // The target is the primary: full images, whatever the source has.
      write(next.source, changes);
      next.sourceLog.push({ kind: 'V', changes, seen: null });
      next.outcomes[number] = 'applied';
      return [{ label: `reverse stream applies T${number}`, next }];
    }
    if (bug === 'progress_before_data' && world.left.crashes > 0) {
      const died = this.#died(structuredClone(next));
      return [
        { label: `B stores its place behind T${number} and dies`, next: died },
        ...this.#judge(world, entry, next),
      ];
    }
    return this.#judge(world, entry, next);
  }

  #judge(world: World, entry: TargetEntry, next: World): Move[] {
    const { changes, number } = entry;
    const { bug } = this.#options;
    const isAsFound = bug === 'no_before_check' || changes.every(({ key, before }) => world.source[key] === before);
    if (isAsFound && this.#isAllowed(world.source, changes)) {
      next.overwritten ||= changes.some(({ key, before }) => world.source[key] !== before);
      write(next.source, changes);
      next.sourceLog.push({ kind: 'B', changes, seen: next.back.seen });
      next.outcomes[number] = 'applied';
      return [{ label: `B applies T${number} ${shown(changes)}`, next }];
    }
    if (bug === 'absence_not_locked' && changes.some(({ key }) => world.source[key] === 0)) {
      next.half = { entry, rows: [...world.source] };
      return [{ label: `B finds T${number} in conflict`, next }];
    }
    next.outcomes[number] = 'conflict';
    if (bug !== 'no_repair') next.sourceLog.push(repairOf(entry, next.source));
    return [{ label: `B keeps T${number} as a conflict`, next }];
  }

  #commitHalf(world: World): Move {
    const next = structuredClone(world);
    next.half = null;
    if (world.half !== null) {
      const { entry, rows } = world.half;
      // Rows that are there are locked; those that are not may have come.
      const found: Rows = [rows[0] === 0 ? 0 : world.source[0], rows[1] === 0 ? 0 : world.source[1]];
      next.outcomes[entry.number] = 'conflict';
      next.sourceLog.push(repairOf(entry, found));
    }
    return { label: 'B stores the repair', next };
  }

  // The switch and its way back

  #switch(world: World): Move[] {
    const { bug } = this.#options;
    const to = (mode: World['mode'], label: string, change: (next: World) => void = () => {}): Move => {
      const next = structuredClone(world);
      next.mode = mode;
      change(next);
      return { label, next };
    };
    const isCaughtUp = world.forward.at === world.sourceLog.length && world.half === null;
    const isDrained = world.back.at === world.targetLog.length;
    switch (world.mode) {
      case 'running':
        if (world.left.switches === 0 || world.half !== null) return [];
        return [
          to('fenced', 'the source is fenced', (next) => {
            next.left.switches -= 1;
            next.writes = 0;
          }),
        ];
      case 'fenced':
        if (!isCaughtUp) return [];
        if (bug === 'no_drain') return [to('switched', 'decided without B')];
        return [to('caught_up', 'F has caught up', (next) => (next.writesAt = next.writes))];
      case 'caught_up':
        // B stops here; testers may go on.
        return isDrained && world.half === null
          ? [to(bug === 'no_last_look' ? 'switched' : 'looked', 'B has drained and stops')]
          : [];
      case 'looked': {
        if (!isCaughtUp) return [];
        if (world.writes !== world.writesAt)
          return world.writes >= ROUNDS_MAX ? [to('running', 'given up')] : [to('fenced', 'another round')];
        return [
          to('switched', 'decided', (next) => {
            // What F has passed over is behind it for good: after the way back it would be judged once more, and be of another time.
            if (bug !== 'progress_not_kept') next.forward.durable = next.forward.at;
            if (bug === 'reverse_position_anew') next.back.at = next.targetLog.length;
          }),
        ];
      }
      case 'switched':
        return world.left.switches > 0
          ? [to('fenced_back', 'the target is fenced', (next) => (next.left.switches -= 1))]
          : [];
      case 'fenced_back':
        if (!isDrained) return [];
        return [
          to('running', 'switched back', (next) => {
            next.forward.at = next.forward.durable;
            next.forward.known = next.forward.durable;
            next.forward.wrote = {};
            next.back.seen = null;
          }),
        ];
      default:
        throw new Error(`no such mode: ${String(world.mode satisfies never)}`);
    }
  }

  #crash(world: World): Move[] {
    if (world.left.crashes === 0) return [];
    return [{ label: 'the engine dies', next: this.#died(structuredClone(world)) }];
  }

  /** What is in memory is gone; a switch that was not decided is undone. */
  #died(next: World): World {
    next.left.crashes -= 1;
    next.forward.at = next.forward.durable;
    next.forward.known = next.forward.durable;
    next.forward.wrote = {};
    next.back.seen = null;
    if (next.half !== null) {
      next.half = null;
      next.back.at -= 1;
    }
    if (next.mode === 'fenced' || next.mode === 'caught_up' || next.mode === 'looked') next.mode = 'running';
    return next;
  }
}

interface Move {
  label: string;
  next: World;
}

function wrongAtRest({ source, target, outcomes, mode }: World): string | null {
  if (source[0] !== target[0] || source[1] !== target[1])
    return `at rest (${mode}) the source has ${source.join(',')} and the target ${target.join(',')}`;
  const lost = outcomes.indexOf('pending');
  return lost === -1 ? null : `at rest T${lost} was neither applied nor kept as a conflict`;
}

function repairOf({ changes }: TargetEntry, rows: Rows): SourceEntry {
  return {
    kind: 'R',
    changes: changes.map(({ key }) => ({ key, before: rows[key], after: rows[key] })),
    seen: null,
  };
}

function write(rows: Rows, changes: Change[]): void {
  for (const { key, after } of changes) rows[key] = after;
}

function changesBetween(before: Rows, after: Rows): Change[] {
  return ([0, 1] as const)
    .filter((key) => before[key] !== after[key])
    .map((key) => ({ key, before: before[key], after: after[key] }));
}

function shown(changes: Change[]): string {
  return changes.map(({ key, before, after }) => `row ${key} ${before} → ${after}`).join(', ');
}

function tidied(world: World): World {
  const { forward, back } = world;
  world.sourceLog = world.sourceLog.map((entry, place) => (place < forward.durable ? null : entry));
  world.targetLog = world.targetLog.map((entry, place) => (place < back.at ? null : entry));
  return world;
}

function packed(world: World): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(world), 'latin1'));
}

function unpacked(state: Uint8Array): World {
  return JSON.parse(Buffer.from(state).toString('latin1')) as World;
}
