import type { Successor } from './explore.ts';
import {
  at,
  BACKUP,
  CLOSED,
  copy,
  DECISIONS,
  DOC,
  ENGINE,
  FENCED,
  FENCES,
  faultsOf,
  HELD,
  HELD_LAG,
  HOLDING,
  INTENT,
  LATE,
  LINKED,
  name,
  NOTED,
  OUTDATED,
  POSITION,
  PRIMARY,
  PROXY,
  PROXY_BYTES,
  PUT_BACK,
  ROUTE,
  ROUTE_TAKEN_OVER,
  SOURCE,
  spend,
  STALE,
  STREAMS,
  SWITCH,
  TAKEN,
  TAKEN_OVER,
  TARGET,
  TO_SOURCE,
  TO_TARGET,
  TOLD,
  TOLD_SHIFT,
  TRUTH,
  WATCH,
  withByte,
  type SideBit,
} from './switch-bytes.ts';

/** Bugs put in on purpose, of what servers tell and of who asks them (ADR 27, 32). */
export type MarkerBug =
  | 'not_written'
  | 'written_before_the_decision'
  | 'not_asked'
  | 'asked_behind_the_recovery'
  | 'proxies_do_not_wait'
  | 'intent_explains_what_was_taken_over';

const NUMBER = 15;
const FENCE_LATE = 8;
/** Nothing is served on this: what a proxy has that was given no route. */
const NO_ROUTE = HELD | FENCED | LINKED | STALE;

/**
 * A data directory is put back as a backup has it, once, while no switch is under way: before a decision has been told anywhere, nobody
 * can know of it. Both servers are told, or one of them at the cost of a fault; who starts asks both, or one at the cost of a fault.
 */
export class OldState {
  readonly #bug: MarkerBug | undefined;
  /** The route of the next epoch. */
  readonly #routed: (s: Uint8Array, route: number) => Uint8Array;

  constructor(bug: MarkerBug | undefined, routed: (s: Uint8Array, route: number) => Uint8Array) {
    this.#bug = bug;
    this.#routed = routed;
  }

  /** At the commit point. */
  decided(s: Uint8Array, to: SideBit): Uint8Array {
    return withByte(s, TRUTH, (((at(s, TRUTH) >> 1) + 1) << 1) | to);
  }

  /** At the last step before the decision. */
  aboutToDecide(s: Uint8Array, to: SideBit): Uint8Array {
    if (this.#bug !== 'written_before_the_decision') return s;
    const told = (((at(s, TRUTH) >> 1) + 1) << TOLD_SHIFT) | to;
    return tell(s, [SOURCE, TARGET], told);
  }

  /** The document is as it is stored behind this: both are told, or one. */
  finished(s: Uint8Array): Uint8Array[] {
    const number = at(s, TRUTH) >> 1;
    const next = withByte(s, DECISIONS, (at(s, DECISIONS) & ~NUMBER) | number);
    if (this.#bug === 'not_written') return [next];
    const told = (number << TOLD_SHIFT) | at(s, DOC);
    const ones = faultsOf(s) === 0 ? [] : [[SOURCE], [TARGET]].map((sides) => tell(spend(next), sides, told));
    return [tell(next, [SOURCE, TARGET], told), ...ones];
  }

  /** What an engine finds that starts: `goOn` is what it does where the state is as it should be. */
  start(s: Uint8Array, goOn: (s: Uint8Array) => Uint8Array): Successor[] {
    const found = [{ label: 'engine starts', state: this.#startKnowing(s, [SOURCE, TARGET], goOn) }];
    if (faultsOf(s) === 0) return found;
    for (const side of [SOURCE, TARGET] as const) {
      const state = this.#startKnowing(spend(s), [side], goOn);
      found.push({ label: `engine starts, the ${name(side)} alone answers`, state });
    }
    return found;
  }

  #startKnowing(s: Uint8Array, sides: SideBit[], goOn: (s: Uint8Array) => Uint8Array): Uint8Array {
    const isUnasked = this.#bug === 'not_asked' || (this.#bug === 'asked_behind_the_recovery' && at(s, INTENT) !== 0);
    const isNoted = (at(s, DECISIONS) & NOTED) !== 0;
    if (!isUnasked && (isNoted || sides.some((side) => this.#isNews(s, side)))) {
      return withByte(withByte(s, ENGINE, HOLDING), DECISIONS, at(s, DECISIONS) | NOTED);
    }
    return goOn(withByte(s, DECISIONS, at(s, DECISIONS) & ~CLOSED));
  }

  /** By the number of the decision, which stands for its id: one alone can bear it. */
  #isNews(s: Uint8Array, side: SideBit): boolean {
    const number = at(s, TOLD + side) >> TOLD_SHIFT;
    const known = at(s, DECISIONS) & NUMBER;
    if (number <= known) return false;
    const intent = at(s, INTENT);
    const isNoted = (at(s, DECISIONS) & NOTED) !== 0 && this.#bug !== 'intent_explains_what_was_taken_over';
    const isExplained = intent !== 0 && number === known + 1 && (at(s, ROUTE) & PRIMARY) === intent - 1;
    return !isExplained || isNoted;
  }

  /** With an outdated state; undefined: the engine does something else. */
  engine(s: Uint8Array): Successor[] | undefined {
    switch (at(s, ENGINE)) {
      case HOLDING: {
        const next = this.#routed(s, (at(s, ROUTE) & PRIMARY) | HELD | FENCED);
        next[ENGINE] = OUTDATED;
        next[DECISIONS] = at(s, DECISIONS) & ~CLOSED;
        return [{ label: 'engine holds traffic: its state is outdated', state: next }];
      }
      case OUTDATED: {
        const told = this.#newest(s);
        if (told === undefined) return [];
        const next = this.#routed(s, (told & PRIMARY) | HELD | FENCED);
        next[ENGINE] = ROUTE_TAKEN_OVER;
        return [{ label: 'a repair takes over the route', state: next }];
      }
      case ROUTE_TAKEN_OVER: {
        const next = withByte(s, ENGINE, TAKEN_OVER);
        const told = this.#newest(s) ?? 0;
        next[DOC] = told & ((1 << TOLD_SHIFT) - 1);
        next[DECISIONS] = told >> TOLD_SHIFT;
        next[INTENT] = 0;
        next[STREAMS] = (told & PRIMARY) === SOURCE ? TO_TARGET : TO_SOURCE | WATCH;
        return [{ label: 'a repair takes over the document', state: next }];
      }
      case TAKEN_OVER: {
        const next = this.#routed(s, at(s, ROUTE) & PRIMARY);
        next[ENGINE] = 1;
        next[HELD_LAG] = 0;
        return [{ label: 'a repair ends the hold', state: next }];
      }
      default:
        return undefined;
    }
  }

  #newest(s: Uint8Array): number | undefined {
    const sides = [SOURCE, TARGET] as const;
    const news = sides.filter((side) => this.#isNews(s, side)).map((side) => at(s, TOLD + side));
    return news.toSorted((a, b) => b - a)[0];
  }

  /** While no switch is under way: who was not told is told; a person ends a leftover hold, and frees a primary. */
  idle(s: Uint8Array): Successor[] {
    if (at(s, INTENT) !== 0) return [];
    const found: Successor[] = [];
    const number = at(s, DECISIONS) & NUMBER;
    const lacks = ([SOURCE, TARGET] as const).filter((side) => at(s, TOLD + side) >> TOLD_SHIFT < number);
    if (lacks.length > 0 && this.#bug !== 'not_written')
      found.push({ label: 'who was not told is told', state: tell(s, lacks, (number << TOLD_SHIFT) | at(s, DOC)) });
    if ((at(s, ROUTE) & HELD) !== 0)
      found.push({ label: 'a repair ends a leftover hold', state: this.#routed(s, at(s, ROUTE) & PRIMARY) });
    // Of a switch that was undone, whose server was away: the state that is put back may be from before that.
    const fence = 1 << (at(s, ROUTE) & PRIMARY);
    if ((at(s, FENCES) & fence) !== 0 && !this.#isNews(s, SOURCE) && !this.#isNews(s, TARGET))
      found.push({ label: 'a repair frees the primary', state: withByte(s, FENCES, at(s, FENCES) & ~fence) });
    return found;
  }

  /** A backup, and its return. */
  operator(s: Uint8Array): Successor[] {
    const flags = at(s, BACKUP);
    if (flags === 0) {
      const next = withByte(s, BACKUP, TAKEN);
      for (const [index, byte] of [ROUTE, DOC, INTENT, DECISIONS].entries()) next[BACKUP + 1 + index] = at(s, byte);
      return [{ label: 'a backup is taken', state: next }];
    }
    if ((flags & PUT_BACK) !== 0 || at(s, ENGINE) !== 1 || at(s, INTENT) !== 0) return [];
    const next = withByte(s, BACKUP, PUT_BACK);
    for (const [index, byte] of [ROUTE, DOC, INTENT, DECISIONS].entries()) {
      next[byte] = at(s, BACKUP + 1 + index);
      next[BACKUP + 1 + index] = 0;
    }
    for (const byte of [ENGINE, SWITCH, HELD_LAG, POSITION, STREAMS]) next[byte] = 0;
    // Its requests to the store have ended with it.
    if ((at(s, LATE) & 15) !== FENCE_LATE) next[LATE] = 0;
    const isOpen = this.#bug === 'proxies_do_not_wait';
    if (!isOpen) next[DECISIONS] = at(next, DECISIONS) | CLOSED;
    for (const proxy of [0, 1]) {
      const base = PROXY + proxy * PROXY_BYTES;
      next[base] = isOpen ? at(next, ROUTE) | LINKED : NO_ROUTE;
      next[base + 1] = 0;
      next[base + 2] = 0;
    }
    return [{ label: 'Switchyard ends, and the backup is put back', state: next }];
  }

  /** What a proxy has that starts now. */
  routeAtStart(s: Uint8Array): number {
    return (at(s, DECISIONS) & CLOSED) === 0 ? at(s, ROUTE) | LINKED : NO_ROUTE;
  }

  isClosed(s: Uint8Array): boolean {
    return (at(s, DECISIONS) & CLOSED) !== 0;
  }
}

function tell(s: Uint8Array, sides: readonly number[], told: number): Uint8Array {
  const next = copy(s);
  for (const side of sides) next[TOLD + side] = told;
  return next;
}
