import { randomUUID } from 'node:crypto';
import { abortable } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { systemClock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { failpoint, type Failpoint } from '../../core/failpoint.ts';
import { otherSide } from '../../core/phase.ts';
import type { SwitchReport } from '../api.ts';
import type { SwitchIntent } from '../import-document.ts';
import { firstState, isEnd, isWithinPause, nextStep, RECOVERY, switchRules } from './protocol.ts';
import type { Step, SwitchEvent, SwitchRules, SwitchState } from './protocol.ts';
import { SwitchEffects } from './switch-effects.ts';
import { writeBackPassed } from '../write-back/settle-write-back.ts';
import { StagedDefinitions } from './staged-definitions.ts';
import { stageObjects } from './stage-objects.ts';
import { connectBeside, type SwitchPlan, type SwitchWorld } from './switch-world.ts';

const HOLD_ATTEMPTS = 3;
/** Failures on the way back or behind the decision; each is tried again, but not for ever where nobody waits for it. */
const FAILURES_MAX = 50;
/** Steps that come again after a failure. */
const REPEATED: ReadonlySet<Step> = new Set([
  'settle',
  'claim',
  'restart_stream',
  'release',
  'clear_intent',
  'go',
  'finish',
]);

/** Passed when the step is done. */
const FAILPOINT: Partial<Record<Step, Failpoint>> = {
  intent: 'switch.intent',
  hold: 'switch.hold',
  seal: 'switch.sealed',
  fence: 'switch.fenced',
  catch_up: 'switch.caught_up',
  reverse: 'switch.reverse_ready',
  decide: 'switch.decided',
  open: 'switch.opened',
  announce: 'switch.released',
  claim: 'switch.claimed',
  lower_fence: 'switch.unfenced',
  release: 'switch.undone',
};

export type SwitchOutcome = { pauseMs: number; hold: NonNullable<SwitchReport['hold']> };

/** Runs the protocol of `protocol.ts`: performs the effect of each step and tells the outcome, until an end. */
export class TrafficSwitch {
  readonly #world: SwitchWorld;
  readonly #rules: SwitchRules;
  readonly #effects: SwitchEffects;
  readonly #steps: Partial<Record<Step, number>> = {};
  #state: SwitchState;
  #reason: unknown;
  #failures = 0;
  readonly #backoff = new Backoff({ initialMs: 50, maxMs: 500 });

  private constructor(
    world: SwitchWorld,
    intent: SwitchIntent,
    {
      effects,
      drainPolicy,
      state,
    }: { effects: SwitchEffects; drainPolicy: SwitchRules['drainPolicy']; state?: SwitchState },
  ) {
    const { fence } = world.record.document;
    this.#world = world;
    this.#effects = effects;
    this.#rules = switchRules(intent, {
      holdAttempts: HOLD_ATTEMPTS,
      drainPolicy,
      isFormerFenced: intent.kind === 'primaries' && fence?.side === intent.to,
    });
    this.#state = state ?? firstState(this.#rules);
  }

  /** Milliseconds from the hold to the release. Rejects with SWITCH_ROLLED_BACK when it was given up before the decision. */
  static async run(world: SwitchWorld, plan: SwitchPlan): Promise<SwitchOutcome> {
    const { record, route } = world;
    const { kind, to, fence, accounts, forced } = plan;
    const side = otherSide(to);
    await using from = await world.connect(side);
    await using locker = fence === 'lock_tables' ? await world.connect(side) : undefined;
    await using target = await world.connect(to, { multiStatements: true });
    if (kind === 'primaries') await stageObjects(world, to, { from, to: target });
    const definitions = kind === 'primaries' ? new StagedDefinitions(world, to, { from, to: target }) : undefined;
    await definitions?.stage();
    if (kind === 'primaries' && to === 'target') await writeBackPassed(world, target);
    await using stack = new AsyncDisposableStack();
    const beside = await connectBeside(world, side, { kind: fence, stack });
    const fromThreads = [from, ...(locker === undefined ? [] : [locker]), ...beside].map(({ threadId }) => threadId);
    const intent: SwitchIntent = {
      switchId: randomUUID(),
      kind,
      to,
      fromPhase: record.document.phase,
      epoch: (await route.of(record.document.id)).epoch,
      fence,
      fencedAccounts: accounts,
      threads:
        side === 'source'
          ? { source: fromThreads, target: [target.threadId] }
          : { source: [target.threadId], target: fromThreads },
      forced,
      startedAtMs: Date.now(),
    };
    const connections = { from, to: target, fencing: locker ?? from, beside };
    const effects = new SwitchEffects(world, intent, { connections, definitions, budgets: plan });
    const running = new TrafficSwitch(world, intent, { effects, drainPolicy: plan.drainPolicy });
    const end = await running.#run();
    if (end === 'undone') throw running.#rolledBack();
    return running.#outcome();
  }

  /** After a restart: finishes or undoes the switch that was under way, as the route says. */
  static async recover(world: SwitchWorld): Promise<void> {
    const { intent } = world.record.document;
    if (intent === null) return;
    const { switchId } = intent;
    world.log('warn', 'a switch was under way when the engine stopped', { switchId });
    const effects = new SwitchEffects(world, intent);
    // A recovery holds nobody anew, so the policy has no part in it.
    const end = await new TrafficSwitch(world, intent, { effects, drainPolicy: 'abort', state: RECOVERY }).#run();
    const how = end === 'switched' ? 'had been decided: it is finished' : 'had not been decided: it is undone';
    world.log('warn', `the switch that was under way ${how}`, { switchId });
  }

  async #run(): Promise<'switched' | 'undone'> {
    for (;;) {
      const { step } = this.#state;
      if (isEnd(step)) return step;
      const event = await this.#event(this.#state);
      if (event === 'done' && this.#effects.heldAtMs !== undefined)
        this.#steps[step] = Math.round((systemClock.monotonicMs() - this.#effects.heldAtMs) * 10) / 10;
      const next = nextStep(this.#rules, this.#state, event);
      if (next === undefined) throw new AppError('INTERNAL', `${event} at step ${step} of a switch`);
      this.#state = next;
    }
  }

  async #event({ step, attempt }: SwitchState): Promise<SwitchEvent> {
    try {
      return await this.#withinPause(step, async () => {
        const event = await this.#effects.perform(step, attempt);
        const point = FAILPOINT[step];
        if (point !== undefined) await failpoint(point);
        return event;
      });
    } catch (error) {
      // The engine ends: the intent stays, and the next one goes on from it.
      if (this.#world.signal.aborted) throw error;
      this.#reason ??= error;
      await this.#noteFailure(step, error);
      return 'failed';
    }
  }

  /** Nothing between hold and decision may outlast the pause that was promised, not even a server that stopped answering. */
  async #withinPause(step: Step, work: () => Promise<SwitchEvent>): Promise<SwitchEvent> {
    const { deadlineAtMs } = this.#effects;
    if (!isWithinPause(this.#rules, step) || deadlineAtMs === undefined) return await work();
    const deadline = AbortSignal.timeout(Math.max(1, Math.round(deadlineAtMs - systemClock.monotonicMs())));
    const working = work();
    working.catch(() => {});
    try {
      return await abortable(working, deadline);
    } catch (cause) {
      if (!deadline.aborted) throw cause;
      const message = `fence and catch-up were not done within the pause deadline (step ${step})`;
      this.#reason ??= new AppError('SWITCH_ROLLED_BACK', message, { cause });
      return 'expired';
    }
  }

  async #noteFailure(step: Step, error: unknown): Promise<void> {
    if (this.#rules.course.includes(step)) return;
    this.#failures += 1;
    const message = `step ${step} of a switch failed: ${(error as Error).message}`;
    this.#world.log(step === 'announce' ? 'warn' : 'error', message);
    // Given up while traffic is held, it would stay held until somebody repairs it: a full disk has room again one day.
    if (this.#failures > FAILURES_MAX && !this.#effects.isHeld) throw error;
    // Read again, not guessed; what is held stays held meanwhile.
    if (REPEATED.has(step)) await this.#backoff.wait(this.#world.signal);
  }

  #outcome(): SwitchOutcome {
    const { announce = 0, ...steps } = this.#steps;
    const { heldFromMs: fromMs = 0 } = this.#effects;
    return { pauseMs: announce, hold: { fromMs, toMs: fromMs + announce, steps: { ...steps, announce } } };
  }

  #rolledBack(): AppError {
    const cause = this.#reason ?? this.#undrained();
    const details = cause instanceof AppError ? { because: cause.code, ...cause.details } : {};
    return new AppError(
      'SWITCH_ROLLED_BACK',
      `the switch was given up before its decision, traffic is where it was: ${(cause as Error).message}`,
      { cause, details },
    );
  }

  #undrained(): AppError {
    const { undrained, silentProxies, drainBudgetMs } = this.#effects;
    if (undrained.length === 0 && silentProxies > 0)
      return new AppError('SWITCH_ROLLED_BACK', `${silentProxies} proxies did not answer within ${drainBudgetMs} ms`);
    const names = this.#effects.undrainedNames().join('; ');
    return new AppError(
      'SWITCH_ROLLED_BACK',
      `${undrained.length} sessions were still busy after ${drainBudgetMs} ms: ${names}`,
      { details: { undrained } },
    );
  }
}
