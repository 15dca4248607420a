import { keepsStill, mayReleaseItself, routingRecordSchema } from '../../core/routing-record.ts';
import {
  firstState,
  isEnd,
  isWithinPause,
  nextStep,
  RECOVERY,
  STEPS,
  switchRules,
  type Step,
  type SwitchEvent,
  type SwitchRules,
  type SwitchState,
} from '../../engine/switch/protocol.ts';
import { keyOf, type Model, type Successor } from './explore.ts';
import { OldState, type MarkerBug } from './old-state.ts';
import {
  ACKED,
  at,
  BUDGET,
  copy,
  DIRECT,
  DOC,
  ENGINE,
  equal,
  faultsOf,
  FENCED,
  FENCES,
  FORWARD,
  HELD,
  HELD_LAG,
  INTENT,
  LAG_MAX,
  LATE,
  LENGTH,
  LINKED,
  name,
  POSITION,
  PRIMARY,
  PROXY,
  PROXY_BYTES,
  RELEASED,
  REVERSE,
  ROUTE,
  SOURCE,
  spend,
  SRC,
  STALE,
  STRAY,
  STREAMS,
  SWITCH,
  TARGET,
  TGT,
  TO_SOURCE,
  TO_TARGET,
  TRUTH,
  UNSURE,
  WATCH,
  withByte,
  type SideBit,
} from './switch-bytes.ts';

/** Bugs put in on purpose: tests of the test. Those of the order of steps are put into the rules. */
export type Bug =
  | 'decide_without_compare_and_set'
  | 'proxy_releases_after_seal'
  | 'undo_after_decision'
  | 'stray_watch_too_late'
  | 'progress_ahead_of_data'
  | 'fence_not_checked'
  | 'reverse_after_release'
  | 'open_before_decision';

export interface WorldOptions {
  /** `durable` survives a restart of its server (triggers, accounts, read_only persisted ahead); `lock` ends with the engine. */
  fence: 'durable' | 'lock' | 'none';
  /** A writer that knows only the source. */
  directWriter: boolean;
  /** Proxies that lose the supervisor and serve on. */
  partitions: boolean;
  /** How many things may go wrong on one path: lost or delayed requests, crashes, partitions. */
  faults: number;
  switches: number;
  holdAttempts: number;
  drainPolicy?: SwitchRules['drainPolicy'];
  change?: (rules: SwitchRules) => SwitchRules;
  bug?: Bug;
  /** An old state is put back, once. */
  restores?: boolean;
  markerBug?: MarkerBug;
}

const LATE_KINDS = ['none', 'hold', 'seal', 'decide', 'retreat', 'claim', 'release', 'go', 'fence'] as const;
type LateKind = (typeof LATE_KINDS)[number];

/** The proxies' own rule, as the proxy runs it, for every HELD/FENCED/RELEASED. */
const RECORD = routingRecordSchema.parse({
  epoch: 1,
  importId: 'i',
  database: 'd',
  primary: 'source',
  replica: 'source',
  hold: 'none',
  deadlineMs: 1,
  fenced: false,
  endpoints: {
    source: { primary: { host: 's' }, replica: null },
    target: { primary: { host: 't' }, replica: null },
  },
});
const rule = (judge: (record: typeof RECORD, role: 'primary', released: number) => boolean) =>
  Array.from({ length: 16 }, (_, bits) =>
    judge(
      { ...RECORD, hold: (bits & HELD) === 0 ? 'none' : 'all', fenced: (bits & FENCED) !== 0 },
      'primary',
      (bits & RELEASED) === 0 ? -1 : RECORD.epoch,
    ),
  );
const KEEPS_STILL = rule(keepsStill);
const MAY_RELEASE = rule((record, _role, released) => mayReleaseItself(record, released));

/** Where a failure leaves open whether a fence is gone. */
const UNSURE_STEPS: ReadonlySet<Step> = new Set<Step>(['end_statements', 'lower_fence', 'open']);
const RESTLESS = /deadline|begins|expired|undrained|no answer/;

type Effect = { state: Uint8Array; event: SwitchEvent };

export class SwitchWorld implements Model {
  readonly initial: Uint8Array;
  readonly #options: WorldOptions;
  readonly #rules: [SwitchRules, SwitchRules];
  readonly #oldState: OldState | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
    const { change = (rules: SwitchRules) => rules, holdAttempts, drainPolicy = 'abort' } = options;
    const rules = (isFormerFenced: boolean) =>
      change(switchRules({ kind: 'primaries', to: 'target' }, { holdAttempts, drainPolicy, isFormerFenced }));
    this.#rules = [rules(false), rules(true)];
    if (options.restores === true)
      this.#oldState = new OldState(options.markerBug, (s, route) => this.#routed(s, route));
    const state = new Uint8Array(LENGTH);
    state[ENGINE] = 1;
    state[STREAMS] = TO_TARGET;
    for (const proxy of [0, 1]) state[PROXY + proxy * PROXY_BYTES] = LINKED;
    state[BUDGET] = options.faults | (options.switches << 4);
    this.initial = state;
  }

  successors(state: Uint8Array): Successor[] {
    const found = [
      ...this.#engine(state),
      ...this.#streams(state),
      ...this.#late(state),
      ...this.#proxy(state, 0),
      ...this.#proxy(state, 1),
      ...this.#direct(state),
      ...(this.#oldState?.operator(state) ?? []),
    ];
    for (const successor of found) successor.state = canonical(successor.state);
    return found;
  }

  violation(s: Uint8Array): string | null {
    const primary = this.#truePrimary(s);
    const missing = at(s, ACKED) & ~maskOf(s, primary);
    // What gets past a fence that ends with the engine is found by the stray watch, not prevented.
    const found = this.#options.fence === 'lock' ? at(s, STRAY) | (at(s, SRC) & ~at(s, FORWARD)) : 0;
    if ((missing & ~found) !== 0) return 'I1: an acknowledged write is not on the primary';
    if ((at(s, FORWARD) & ~(at(s, TGT) | at(s, STRAY))) !== 0)
      return 'I3: the progress of the stream to the target, or of the stray watch, is ahead of the data';
    if ((at(s, REVERSE) & ~at(s, SRC)) !== 0)
      return 'I3: the progress of the stream to the source is ahead of the data';
    if (this.#options.fence === 'durable' && primary === 1 && (at(s, FENCES) & 3) === 0)
      return 'I2: both sides accept writes while the target is primary';
    return null;
  }

  /** By the last decision, whatever a state says that was put back. */
  #truePrimary(s: Uint8Array): SideBit {
    return (at(s, this.#oldState === undefined ? ROUTE : TRUTH) & PRIMARY) as SideBit;
  }

  /** Without further faults: everything that can go on does, until nothing moves. Returns what is wrong then. */
  violationAtRest(from: Uint8Array, known: Set<string>): string | null {
    let s = from;
    const path: string[] = [];
    for (let moves = 0; moves < 400; moves += 1) {
      const key = keyOf(s);
      if (known.has(key)) break;
      path.push(key);
      const next = this.#calmly(s);
      if (next !== undefined) {
        s = next;
        continue;
      }
      const wrong = this.#wrongAtRest(s);
      if (wrong !== null) return wrong;
      break;
    }
    for (const key of path) known.add(key);
    return path.length >= 400 ? 'it does not come to rest' : null;
  }

  /** One move that is no fault and no new work; giving up only where nothing else moves. */
  #calmly(s: Uint8Array): Uint8Array | undefined {
    const calm = withByte(s, BUDGET, 0);
    const parts = [
      () => this.#late(calm),
      () => this.#proxy(calm, 0),
      () => this.#proxy(calm, 1),
      () => this.#streams(calm),
      () => this.#engine(calm),
    ];
    for (const part of parts) {
      const move = part().find(({ label, state }) => !RESTLESS.test(label) && !equal(state, calm));
      if (move !== undefined) return move.state;
    }
    return this.#engine(calm).find(({ label }) => /(expired|undrained)$/.test(label))?.state;
  }

  #wrongAtRest(s: Uint8Array): string | null {
    const doc = at(s, DOC);
    const primary = at(s, ROUTE) & PRIMARY;
    if (at(s, ENGINE) !== 1) return `at rest the engine still is at ${this.#stepName(s)}`;
    if (at(s, INTENT) !== 0) return 'at rest an intent is left';
    if ((at(s, ROUTE) & HELD) !== 0) return 'at rest traffic is held';
    if (primary !== this.#truePrimary(s)) return 'at rest traffic is not where the last decision sent it';
    if ((doc & 1) !== primary) return 'at rest the phase does not say what the route says';
    if ((at(s, STREAMS) & (primary === 0 ? TO_TARGET : TO_SOURCE)) === 0) return 'at rest the stream does not run';
    if ((at(s, FENCES) & (1 << primary)) !== 0) return 'at rest the primary is fenced';
    const fenced = (at(s, FENCES) & (2 >> primary)) !== 0;
    const hasSwitched = (doc >> 1) % 4 !== 0;
    if (this.#options.fence === 'durable' && hasSwitched && !fenced) return 'at rest the old primary is not fenced';
    if ((at(s, SRC) | at(s, TGT)) !== (at(s, primary === 0 ? TGT : SRC) | at(s, STRAY)))
      return 'at rest a write is on one side only and not recorded';
    return null;
  }

  #stepName(s: Uint8Array): string {
    return STEPS[at(s, ENGINE) - 2] ?? 'idle';
  }

  // Engine

  #engine(s: Uint8Array): Successor[] {
    const engine = at(s, ENGINE);
    if (engine === 0) {
      const goOn = (state: Uint8Array) => this.#start(state);
      return this.#oldState?.start(s, goOn) ?? [{ label: 'engine starts', state: goOn(s) }];
    }
    const found: Successor[] = [];
    const outdated = this.#oldState?.engine(s);
    if (outdated !== undefined) {
      found.push(...outdated);
    } else if (engine === 1) {
      found.push(...this.#idle(s), ...(this.#oldState?.idle(s) ?? []));
    } else {
      found.push(...this.#underWay(s));
    }
    if (faultsOf(s) > 0) found.push({ label: 'engine dies', state: this.#die(spend(s)) });
    return found;
  }

  #start(s: Uint8Array): Uint8Array {
    const next = copy(s);
    const intent = at(s, INTENT);
    if (intent === 0) {
      next[ENGINE] = 1;
      next[SWITCH] = 0;
      next[STREAMS] = (at(s, DOC) & 1) === 0 ? TO_TARGET : TO_SOURCE | WATCH;
      return next;
    }
    return this.#enter(next, RECOVERY, (intent - 1) as SideBit);
  }

  #die(s: Uint8Array): Uint8Array {
    const next = copy(s);
    next[ENGINE] = 0;
    next[SWITCH] = 0;
    next[HELD_LAG] = 0;
    next[POSITION] = 0;
    next[STREAMS] = 0;
    if (this.#options.fence === 'lock') next[FENCES] = 0;
    return next;
  }

  #idle(s: Uint8Array): Successor[] {
    const found: Successor[] = [];
    const doc = at(s, DOC);
    const fence = (doc >> 1) % 4;
    const left = doc >> 3;
    if (fence !== 0 && (at(s, FENCES) & fence) === 0)
      found.push({ label: 'fence watch puts the fence back', state: withByte(s, FENCES, at(s, FENCES) | fence) });
    // What could not be taken away is tried again; also what a statement of a dead engine put up late.
    if (left !== 0) {
      const next = withByte(s, FENCES, at(s, FENCES) & ~left);
      next[DOC] = doc & 7;
      if (LATE_KINDS[at(s, LATE) & 15] === 'fence') next[LATE] = 0;
      found.push({ label: 'fence watch takes the left fence away', state: next });
    }
    if (at(s, INTENT) === 0 && at(s, BUDGET) >> 4 > 0 && left === 0) {
      const to = (1 - (doc & 1)) as SideBit;
      const next = copy(s);
      next[BUDGET] = at(s, BUDGET) - 16;
      next[HELD_LAG] = 0;
      found.push({ label: `switch to ${name(to)}`, state: this.#enter(next, firstState(this.#rules[0]), to) });
    }
    return found;
  }

  /** Puts the engine at the step of `state`; at an end it is idle. */
  #enter(s: Uint8Array, { step, attempt, closed }: SwitchState, to: SideBit): Uint8Array {
    const next = copy(s);
    if (isEnd(step)) {
      next[ENGINE] = 1;
      next[SWITCH] = 0;
      next[HELD_LAG] = 0;
      next[POSITION] = 0;
      return next;
    }
    next[ENGINE] = STEPS.indexOf(step) + 2;
    next[SWITCH] = attempt | (closed ? 8 : 0) | (to << 4) | (at(s, SWITCH) & UNSURE);
    return next;
  }

  #underWay(s: Uint8Array): Successor[] {
    const step = STEPS[at(s, ENGINE) - 2] ?? 'settle';
    const rules = this.#rules[isFormerFenced(s) ? 1 : 0];
    const found: Successor[] = [];
    const go = (label: string, state: Uint8Array, event: SwitchEvent) => {
      const now: SwitchState = {
        step,
        attempt: at(s, SWITCH) & 7,
        closed: (at(s, SWITCH) & 8) !== 0,
      };
      const next = nextStep(rules, now, event);
      if (next === undefined) throw new Error(`${event} is refused at ${step}`);
      const isUnsure = event === 'failed' && UNSURE_STEPS.has(step) && this.#options.fence !== 'none';
      const known = isUnsure ? withByte(state, SWITCH, at(s, SWITCH) | UNSURE) : state;
      found.push({ label: `${step}: ${label}`, state: this.#enter(known, next, toOf(s)) });
    };
    const effects = this.#effects(s, step);
    for (const { state, event } of effects) go(event, state, event);
    const applied = effects.find(({ event }) => event === 'done')?.state;
    const late = step === 'fence' && this.#options.fence === 'none' ? 'none' : lateOf(step);
    const isLate = late !== 'none' && at(s, LATE) === 0;
    // Done without an answer, where more of these steps follow, is the same as done and then failed there.
    if (isWithinPause(rules, step)) {
      go('expired', s, 'expired');
      if (isLate) go('expired, still on its way', withLate(s, late), 'expired');
    }
    if (faultsOf(s) === 0) return found;
    const spent = spend(s);
    if (!isWithinPause(rules, step) && step !== 'announce' && step !== 'back_off' && step !== 'drain') {
      go('failed', spent, 'failed');
      if (applied !== undefined && step !== 'settle') {
        const done = copy(applied);
        done[BUDGET] = at(spent, BUDGET);
        go('done, no answer', done, 'failed');
      }
      if (isLate) go('no answer, still on its way', withLate(spent, late), 'failed');
    }
    if (isLate)
      found.push({ label: `${step}: engine dies, request on its way`, state: this.#die(withLate(spent, late)) });
    return found;
  }

  /** What the effect of `step` may do to the world, each with its answer; none while it has to wait. */
  #effects(s: Uint8Array, step: Step): Effect[] {
    const to = toOf(s);
    const from = (1 - to) as SideBit;
    const done = (change: (next: Uint8Array) => void): Effect[] => {
      const next = copy(s);
      change(next);
      return [{ state: next, event: 'done' }];
    };
    switch (step) {
      case 'intent':
        return done((n) => (n[INTENT] = to + 1));
      case 'hold':
      case 'seal':
      case 'decide':
      case 'retreat':
      case 'claim':
      case 'release':
      case 'go': {
        const isBlind = step === 'decide' && this.#options.bug === 'decide_without_compare_and_set';
        if (at(s, HELD_LAG) !== 0 && !isBlind) return [{ state: s, event: 'failed' }];
        return [{ state: withByte(this.#compareAndSet(s, step, to), HELD_LAG, 0), event: 'done' }];
      }
      case 'drain':
        return [
          ...(this.#isDrained(s) ? ([{ state: s, event: 'done' }] as const) : []),
          { state: s, event: 'undrained' },
        ];
      case 'confirm':
        return this.#isDrained(s) ? [{ state: s, event: 'done' }] : [];
      case 'close_sessions':
        return done((n) => {
          for (const proxy of [0, 1]) n[PROXY + proxy * PROXY_BYTES + 1] = 0;
        });
      case 'back_off':
      case 'announce':
        return [{ state: s, event: 'done' }];
      case 'fence':
        return done((n) => (n[FENCES] = this.#options.fence === 'none' ? at(n, FENCES) : at(n, FENCES) | (1 << from)));
      case 'position':
        return done((n) => (n[POSITION] = maskOf(n, from)));
      case 'catch_up':
        return (at(s, POSITION) & ~maskOf(s, to)) === 0 ? [{ state: s, event: 'done' }] : [];
      case 'stop_stream':
        return done((n) => (n[STREAMS] = at(n, STREAMS) & (to === TARGET ? TO_SOURCE : TO_TARGET)));
      case 'reverse':
        // On the way back the stray watch has kept the place of the stream to the target.
        return done((n) => {
          if (to === TARGET && this.#options.bug !== 'reverse_after_release') n[REVERSE] = at(n, TGT);
        });
      case 'open':
        return done((n) => (n[FENCES] = at(n, FENCES) & ~(1 << to)));
      case 'check': {
        const stands = this.#options.fence === 'none' || (at(s, FENCES) & (1 << from)) !== 0;
        const state =
          this.#options.bug === 'open_before_decision' && isFormerFenced(s)
            ? withByte(s, FENCES, at(s, FENCES) & ~(1 << to))
            : (this.#oldState?.aboutToDecide(s, to) ?? s);
        return [{ state, event: stands || this.#options.bug === 'fence_not_checked' ? 'done' : 'failed' }];
      }
      case 'settle': {
        const next = withByte(s, HELD_LAG, 0);
        const isDecided = (at(s, ROUTE) & PRIMARY) === to && this.#options.bug !== 'undo_after_decision';
        return [{ state: next, event: isDecided ? 'decided' : 'undecided' }];
      }
      case 'end_statements':
        return done((n) => {
          const kind = LATE_KINDS[at(n, LATE) & 15];
          if (kind === 'fence') {
            n[LATE] = 0;
          }
        });
      case 'lower_fence':
        return done((n) => (n[FENCES] = at(n, FENCES) & ~(1 << from)));
      case 'restart_stream':
        return done((n) => (n[STREAMS] = to === TARGET ? TO_TARGET : TO_SOURCE | WATCH));
      case 'clear_intent':
        return done((n) => {
          n[INTENT] = 0;
          // Noted unless it is known to be gone.
          n[DOC] = (at(n, DOC) & 7) | ((at(n, SWITCH) & UNSURE) === 0 ? 0 : (1 << from) << 3);
        });
      case 'finish': {
        const next = copy(s);
        this.#finish(next, { from, to });
        const ends = this.#oldState?.finished(next) ?? [next];
        return ends.map((state) => ({ state, event: 'done' }));
      }
      case 'switched':
      case 'undone':
        return [];
      default:
        throw new Error(`unknown step ${String(step satisfies never)}`);
    }
  }

  #finish(n: Uint8Array, { from, to }: { from: SideBit; to: SideBit }): void {
    const { fence, bug } = this.#options;
    n[STREAMS] = to === TARGET ? TO_SOURCE | WATCH : TO_TARGET;
    n[INTENT] = 0;
    const left = (at(n, SWITCH) & UNSURE) === 0 ? 0 : 1 << to;
    n[DOC] = to | (fence === 'durable' ? (1 << from) << 1 : 0) | (left << 3);
    if (fence === 'lock') n[FENCES] = 0;
    if (bug === 'reverse_after_release' && to === TARGET) n[REVERSE] = at(n, TGT);
    if (bug === 'stray_watch_too_late' && to === TARGET) n[FORWARD] = at(n, SRC);
  }

  #compareAndSet(s: Uint8Array, kind: LateKind, to: SideBit): Uint8Array {
    const route = at(s, ROUTE);
    switch (kind) {
      case 'hold':
        return this.#routed(s, (route & PRIMARY) | HELD);
      case 'seal':
        return this.#routed(s, route | FENCED);
      case 'decide': {
        const next = this.#routed(s, isFormerFenced(s) ? to | HELD | FENCED : to);
        return this.#oldState?.decided(next, to) ?? next;
      }
      case 'go':
        return this.#routed(s, route & PRIMARY);
      case 'retreat':
      case 'release':
        return this.#routed(s, route & PRIMARY);
      case 'claim':
      case 'fence':
      case 'none':
        return this.#routed(s, route);
      default:
        throw new Error(`unknown request ${String(kind satisfies never)}`);
    }
  }

  /** The next epoch: whatever names an older one is behind by one more. */
  #routed(s: Uint8Array, route: number): Uint8Array {
    const next = withByte(s, ROUTE, route);
    next[HELD_LAG] = Math.min(LAG_MAX, at(s, HELD_LAG) + 1);
    const late = LATE_KINDS[at(s, LATE) & 15] ?? 'none';
    const isBlind = late === 'decide' && this.#options.bug === 'decide_without_compare_and_set';
    if (!isBlind && late !== 'fence') next[LATE] = 0;
    for (const proxy of [0, 1]) {
      const base = PROXY + proxy * PROXY_BYTES;
      next[base] = at(s, base) | STALE;
      const drained = at(s, base + 2);
      if (drained > 0) next[base + 2] = Math.min(LAG_MAX + 1, drained + 1);
    }
    return next;
  }

  #isDrained(s: Uint8Array): boolean {
    return [0, 1].every((proxy) => {
      const base = PROXY + proxy * PROXY_BYTES;
      // Whoever lost the supervisor is not asked.
      if ((at(s, base) & LINKED) === 0) return true;
      const drained = at(s, base + 2);
      return drained > 0 && drained - 1 <= at(s, HELD_LAG);
    });
  }

  /** A request that had no answer arrives after all. */
  #late(s: Uint8Array): Successor[] {
    const late = at(s, LATE);
    const kind = LATE_KINDS[late & 15] ?? 'none';
    if (kind === 'none') return [];
    const to = ((late >> 4) & 1) as SideBit;
    const cleared = withByte(s, LATE, 0);
    if (kind === 'fence') cleared[FENCES] = at(s, FENCES) | (2 >> to);
    const isSql = kind === 'fence';
    return [{ label: `late ${kind} arrives`, state: isSql ? cleared : this.#compareAndSet(cleared, kind, to) }];
  }

  // Streams

  #streams(s: Uint8Array): Successor[] {
    const found: Successor[] = [];
    const streams = at(s, STREAMS);
    for (const bit of [1, 2, DIRECT]) {
      if ((streams & TO_TARGET) !== 0 && (at(s, SRC) & ~at(s, FORWARD) & bit) !== 0) {
        const next = copy(s);
        next[TGT] = at(s, TGT) | bit;
        next[FORWARD] = at(s, FORWARD) | bit;
        found.push({ label: `stream applies ${bit} to the target`, state: next });
        if (this.#options.bug === 'progress_ahead_of_data')
          found.push({
            label: `stream stores its progress before ${bit}`,
            state: withByte(s, FORWARD, at(next, FORWARD)),
          });
      }
      if ((streams & TO_SOURCE) !== 0 && (at(s, TGT) & ~at(s, REVERSE) & bit) !== 0) {
        const next = copy(s);
        next[SRC] = at(s, SRC) | bit;
        next[REVERSE] = at(s, REVERSE) | bit;
        found.push({ label: `stream applies ${bit} to the source`, state: next });
      }
      if ((streams & WATCH) !== 0 && (at(s, SRC) & ~at(s, FORWARD) & bit) !== 0) {
        const next = withByte(s, FORWARD, at(s, FORWARD) | bit);
        // What the reverse stream wrote is ours.
        if ((at(s, TGT) & bit) === 0) next[STRAY] = at(s, STRAY) | bit;
        found.push({ label: `stray watch looks at ${bit}`, state: next });
      }
    }
    return found;
  }

  // Proxies and the writer past them

  #proxy(s: Uint8Array, proxy: number): Successor[] {
    const found: Successor[] = [];
    const base = PROXY + proxy * PROXY_BYTES;
    const known = at(s, base);
    const tx = at(s, base + 1);
    const isLinked = (known & LINKED) !== 0;
    const isStale = (known & STALE) !== 0;
    const label = (what: string) => `proxy ${proxy + 1} ${what}`;
    const isClosed = this.#oldState?.isClosed(s) === true;
    if (isLinked && isStale && !isClosed) found.push({ label: label('hears the route'), state: this.#hear(s, base) });
    const rules = this.#options.bug === 'proxy_releases_after_seal' ? known & ~FENCED : known;
    const isStill = KEEPS_STILL[rules & 15] === true;
    // Of a stale one the epoch is not known any more: what it would say is not heard either.
    if (isLinked && !isStale) {
      const drained = isStill && tx === 0 ? 1 : 0;
      if (at(s, base + 2) !== drained && (drained === 1 || at(s, base + 2) === 1))
        found.push({ label: label('acknowledges'), state: withByte(s, base + 2, drained) });
    }
    const bit = 1 << proxy;
    const isWritten = ((at(s, SRC) | at(s, TGT)) & bit) !== 0;
    if (!isStill && tx === 0 && !isWritten) {
      const side = (known & PRIMARY) as SideBit;
      found.push({ label: label(`begins on the ${name(side)}`), state: withByte(s, base + 1, 1 + side) });
    }
    if (tx > 0) found.push({ label: label('commits'), state: this.#commit(s, base, bit) });
    if (MAY_RELEASE[rules & 15] === true)
      found.push({ label: label('reaches the deadline'), state: withByte(s, base, known | RELEASED) });
    if (!isLinked) found.push({ label: label('is connected again'), state: withByte(s, base, known | LINKED) });
    if (faultsOf(s) === 0) return found;
    if (isLinked && this.#options.partitions) {
      const next = withByte(spend(s), base, known & ~LINKED);
      next[base + 2] = 0;
      found.push({ label: label('loses the supervisor'), state: next });
    }
    const died = withByte(spend(s), base, this.#oldState?.routeAtStart(s) ?? at(s, ROUTE) | LINKED);
    died[base + 1] = 0;
    died[base + 2] = 0;
    found.push({ label: label('dies, another starts'), state: died });
    return found;
  }

  #hear(s: Uint8Array, base: number): Uint8Array {
    const next = withByte(s, base, at(s, ROUTE) | LINKED);
    const tx = at(s, base + 1);
    // What is open on a server that no longer serves: the session is ended.
    if ((at(s, ROUTE) & HELD) === 0 && tx > 0 && tx !== 1 + (at(s, ROUTE) & PRIMARY)) next[base + 1] = 0;
    return next;
  }

  /** Acknowledged where the server takes it; refused by a fence. */
  #commit(s: Uint8Array, base: number, bit: number): Uint8Array {
    const side = (at(s, base + 1) - 1) as SideBit;
    const next = withByte(s, base + 1, 0);
    if ((at(s, FENCES) & (1 << side)) !== 0) return next;
    const mask = side === SOURCE ? SRC : TGT;
    next[mask] = at(s, mask) | bit;
    next[ACKED] = at(s, ACKED) | bit;
    return next;
  }

  #direct(s: Uint8Array): Successor[] {
    if (!this.#options.directWriter || (at(s, FENCES) & 1) !== 0 || (at(s, SRC) & DIRECT) !== 0) return [];
    return [{ label: 'a direct write on the source', state: withByte(s, SRC, at(s, SRC) | DIRECT) }];
  }
}

/** The two proxies are alike: of two worlds that differ in who is who, one is enough. */
function canonical(s: Uint8Array): Uint8Array {
  const order = (proxy: number) => {
    const base = PROXY + proxy * PROXY_BYTES;
    const bit = 1 << proxy;
    const masks = [SRC, TGT, ACKED, FORWARD, REVERSE, STRAY, POSITION].reduce(
      (sum, mask) => sum * 2 + ((at(s, mask) & bit) === 0 ? 0 : 1),
      0,
    );
    return ((masks * 64 + at(s, base)) * 4 + at(s, base + 1)) * 8 + at(s, base + 2);
  };
  if (order(0) <= order(1)) return s;
  const next = copy(s);
  for (let byte = 0; byte < PROXY_BYTES; byte += 1) {
    next[PROXY + byte] = at(s, PROXY + PROXY_BYTES + byte);
    next[PROXY + PROXY_BYTES + byte] = at(s, PROXY + byte);
  }
  for (const mask of [SRC, TGT, ACKED, FORWARD, REVERSE, STRAY, POSITION]) {
    const bits = at(s, mask);
    next[mask] = (bits & ~3) | ((bits & 1) << 1) | ((bits & 2) >> 1);
  }
  return next;
}

function lateOf(step: Step): LateKind {
  return LATE_KINDS.find((kind) => kind === step) ?? 'none';
}

function withLate(s: Uint8Array, kind: LateKind): Uint8Array {
  // One with an older epoch can only fail.
  const isSql = kind === 'fence';
  if (!isSql && at(s, HELD_LAG) !== 0) return s;
  return withByte(s, LATE, LATE_KINDS.indexOf(kind) | (toOf(s) << 4));
}

/** Whether the destination of the switch stands behind the fence of an earlier one. */
function isFormerFenced(s: Uint8Array): boolean {
  return (at(s, DOC) >> 1) % 4 === 1 << toOf(s);
}

function toOf(s: Uint8Array): SideBit {
  return ((at(s, SWITCH) >> 4) & 1) as SideBit;
}

function maskOf(s: Uint8Array, side: SideBit): number {
  return at(s, side === SOURCE ? SRC : TGT);
}
