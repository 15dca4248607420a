import type { Side } from '../../core/phase.ts';
import type { SwitchRequest } from '../api.ts';

/**
 * The switch protocol of docs/ARCHITECTURE.md as a pure function: `nextStep(rules, state, event)`. A step is one effect,
 * which is under way while the state names it; its answer is the next event. `TrafficSwitch` runs the effects, and
 * test/model explores every interleaving of this very function with crashes, lost answers and delayed requests.
 *
 * Nothing here is stored but the intent: after a crash the next engine begins at `settle`, which reads the route. That
 * is enough because everything from `settle` on is idempotent, and because of `claim`.
 *
 * Why `claim`: a decision whose answer was lost may still be on its way, also that of an engine that is dead by now. So
 * "the route does not show it" proves nothing yet: taking the fence away on that ground, as the first version did, lost
 * writes when the decision landed after it. The way back begins with a compare-and-set of its own, after which no older
 * one can succeed; only then anything is undone.
 */
export const STEPS = [
  // Before the decision, in order.
  'intent', // durable: what is about to happen
  'hold', // compare-and-set: proxies take no new transaction
  'drain', // until no proxy has one open
  'seal', // compare-and-set: no proxy releases on its own any more (I6)
  'confirm', // until every proxy keeps still at that epoch
  'fence', // the old primary refuses application writes
  'position', // F: what the old primary has, read behind the fence
  'catch_up', // until the new primary has F
  'stop_stream', // nothing follows into the new primary
  'reverse', // R: where the stream of the other direction begins
  'check', // the fence of the old primary still stands
  'decide', // compare-and-set: the commit point
  // Sessions that do not end their transaction.
  'close_sessions', // the operator's policy: they are ended
  'retreat', // compare-and-set: traffic goes on where it was
  'back_off', // before the next attempt
  // The outcome is not known, or is known to be no.
  'settle', // read the route: decided or not
  'claim', // compare-and-set: whatever is still on its way fails from now on
  'end_statements', // statements of ours that still wait on the servers
  'lower_fence', // the old primary accepts writes again
  'restart_stream',
  'release', // compare-and-set: traffic goes on where it was
  'clear_intent',
  // Decided: only forward.
  'open', // the fence of an earlier switch is taken from the new primary
  'go', // compare-and-set: the end of the hold, where the decision did not include it
  'announce', // until proxies have the new route, but not for long
  'finish', // streams of the new direction, stray watch, the document
  // Ends.
  'switched',
  'undone',
] as const;
export type Step = (typeof STEPS)[number];

export interface SwitchState {
  readonly step: Step;
  /** Of the hold; from 1. */
  readonly attempt: number;
  /** Whether stubborn sessions were ended in this attempt. */
  readonly closed: boolean;
}

/**
 * `failed` says nothing about whether the effect happened: it may have, or may happen yet. `expired`: the pause that
 * was promised is over, whatever is under way.
 */
export const SWITCH_EVENTS = ['done', 'failed', 'expired', 'undrained', 'decided', 'undecided'] as const;
export type SwitchEvent = (typeof SWITCH_EVENTS)[number];

export interface SwitchRules {
  /** The way to the decision, which is the last of it. */
  readonly course: readonly Step[];
  readonly holdAttempts: number;
  readonly drainPolicy: 'abort' | 'close-sessions';
  /** The way back, after the route was found undecided. */
  readonly undo: readonly Step[];
  /**
   * The new primary stands behind the fence of an earlier switch. Taken away before the decision it would let in a
   * writer that still knows this side, in a switch that may yet be undone: so it goes behind the decision, and the hold
   * ends after it.
   */
  readonly isFormerFenced: boolean;
}

const COURSES = {
  primaries: [
    'intent',
    'hold',
    'drain',
    'seal',
    'confirm',
    'fence',
    'position',
    'catch_up',
    'stop_stream',
    'reverse',
    'check',
    'decide',
  ],
  // No write moves: reads only must not go back in time.
  replicasToTarget: ['intent', 'hold', 'drain', 'position', 'catch_up', 'decide'],
  replicasToSource: ['intent', 'hold', 'drain', 'decide'],
} as const satisfies Record<string, readonly Step[]>;

const UNDO: readonly Step[] = ['claim', 'end_statements', 'lower_fence', 'restart_stream', 'release', 'clear_intent'];

export function switchRules(
  { kind, to }: { kind: SwitchRequest['kind']; to: Side },
  options: Pick<SwitchRules, 'holdAttempts' | 'drainPolicy' | 'isFormerFenced'>,
): SwitchRules {
  const course = kind === 'primaries' ? 'primaries' : to === 'target' ? 'replicasToTarget' : 'replicasToSource';
  return { ...options, course: COURSES[course], undo: UNDO };
}

export function firstState({ course }: Pick<SwitchRules, 'course'>): SwitchState {
  return { step: course[0] ?? 'decide', attempt: 1, closed: false };
}

/** Where an engine begins that finds the intent of another one, or of itself before a crash. */
export const RECOVERY: SwitchState = { step: 'settle', attempt: 1, closed: false };

/** Steps that the deadline of the pause cuts short: past it no further one of them begins. */
export function isWithinPause({ course }: SwitchRules, step: Step): boolean {
  return course.includes(step) && step !== 'intent' && step !== 'hold' && step !== 'drain' && step !== 'decide';
}

/** Undefined: the event cannot happen in this state. */
export function nextStep(rules: SwitchRules, state: SwitchState, event: SwitchEvent): SwitchState | undefined {
  const { step } = state;
  const to = (next: Step): SwitchState => ({ ...state, step: next });
  switch (step) {
    case 'drain':
      return event === 'undrained' ? undrained(rules, state) : onCourse(rules, state, event);
    case 'intent':
    case 'hold':
    case 'seal':
    case 'confirm':
    case 'fence':
    case 'position':
    case 'catch_up':
    case 'stop_stream':
    case 'reverse':
    case 'check':
    case 'decide':
      return onCourse(rules, state, event);
    case 'close_sessions':
      return event === 'done' || event === 'failed' ? { ...state, step: 'drain', closed: true } : undefined;
    case 'retreat':
      return event === 'done' ? to('back_off') : event === 'failed' ? to('settle') : undefined;
    case 'back_off':
      return event === 'done' ? { step: 'hold', attempt: state.attempt + 1, closed: false } : undefined;
    case 'settle':
      if (event === 'decided') return to(firstAfter(rules));
      if (event === 'undecided') return to(rules.undo[0] ?? 'undone');
      // Without an answer nobody is released: it is read again.
      return event === 'failed' ? state : undefined;
    case 'end_statements':
    case 'lower_fence':
      // A server that cannot be reached keeps nobody waiting; the fence that stays is noted, and taken away later.
      return event === 'done' || event === 'failed' ? to(after(rules.undo, step)) : undefined;
    case 'claim':
    case 'restart_stream':
    case 'release':
    case 'clear_intent':
      // Somebody else changed the route, or nobody knows: look again.
      return event === 'done' ? to(after(rules.undo, step)) : event === 'failed' ? to('settle') : undefined;
    case 'open':
      // Held on, nobody would gain: a server that is gone cannot be reached by the sessions either.
      return event === 'done' || event === 'failed' ? to('go') : undefined;
    case 'go':
      return event === 'done' ? to('announce') : event === 'failed' ? to('settle') : undefined;
    case 'announce':
      return event === 'done' || event === 'failed' ? to('finish') : undefined;
    case 'finish':
      return event === 'done' ? to('switched') : event === 'failed' ? state : undefined;
    case 'switched':
    case 'undone':
      return undefined;
    default:
      throw new Error(`unknown step ${String(step satisfies never)}`);
  }
}

export function isEnd(step: Step): step is 'switched' | 'undone' {
  return step === 'switched' || step === 'undone';
}

function onCourse(rules: SwitchRules, state: SwitchState, event: SwitchEvent): SwitchState | undefined {
  const { step } = state;
  if (event === 'done') {
    const next = rules.course[rules.course.indexOf(step) + 1];
    return { ...state, step: step === 'decide' || next === undefined ? firstAfter(rules) : next };
  }
  if (event === 'failed' || (event === 'expired' && isWithinPause(rules, step))) return { ...state, step: 'settle' };
  return event === 'undrained' && step === 'confirm' ? { ...state, step: 'settle' } : undefined;
}

function firstAfter({ isFormerFenced }: SwitchRules): Step {
  return isFormerFenced ? 'open' : 'announce';
}

function undrained({ drainPolicy, holdAttempts }: SwitchRules, state: SwitchState): SwitchState {
  const isLast = state.attempt >= holdAttempts;
  if (drainPolicy === 'close-sessions' && isLast && !state.closed) return { ...state, step: 'close_sessions' };
  return { ...state, step: isLast ? 'settle' : 'retreat' };
}

function after(undo: readonly Step[], step: Step): Step {
  return undo[undo.indexOf(step) + 1] ?? 'undone';
}
