import { AppError } from '../../core/errors.ts';
import { otherSide, type Side } from '../../core/phase.ts';
import type { VerifyView } from '../api.ts';
import type { ImportStreams } from '../import-streams.ts';
import type { SwitchPlan } from '../switch/switch-world.ts';
import type { VerificationKeeper } from './verification-keeper.ts';
import { STILL } from './verification-record.ts';

/** For what is left where the operator has said that it need not be compared. */
const WAIVED_MS = 200;

/** `isVerified`: it goes on only if the rows are equal at its decision. */
type SwitchPromise = Pick<SwitchPlan, 'kind' | 'isVerified'>;

/** What a switch has to do with the verification: what is said of the rows is true at its decision, and of the new primary behind it. */
export class VerificationAtSwitch {
  readonly #keeper: VerificationKeeper;
  readonly #streams: ImportStreams;
  #plan: SwitchPromise | undefined;

  constructor(keeper: VerificationKeeper, streams: ImportStreams) {
    this.#keeper = keeper;
    this.#streams = streams;
  }

  /** By what is known by now, stored or not. */
  get view(): VerifyView | null {
    return this.#keeper.known;
  }

  async drain(signal: AbortSignal): Promise<void> {
    await this.#keeper.drain(signal);
  }

  /** A switch is near: nothing is gathered any more. */
  begin(plan: SwitchPromise): Disposable {
    const hurry = this.#keeper.kept?.hurry();
    this.#plan = plan;
    return {
      [Symbol.dispose]: () => {
        this.#plan = undefined;
        hurry?.[Symbol.dispose]();
      },
    };
  }

  /** Behind the fence, when all is applied: that what was said to be equal still is. Rejects otherwise. */
  async confirm(budgetMs: number): Promise<void> {
    if (this.#plan?.isVerified !== true) {
      if (this.#plan?.kind === 'primaries') await this.#confirmOrGoStale();
      return;
    }
    const { record, kept } = this.#keeper;
    await this.drain(AbortSignal.timeout(budgetMs)).catch((cause: unknown) => {
      const left = kept?.tables.pendingReason ?? `${this.view?.recheck?.keys ?? 0} rows that were written last`;
      throw new AppError('SWITCH_ROLLED_BACK', `not compared within ${budgetMs} ms: ${left}`, { cause });
    });
    const { view } = record;
    if (view?.state === 'equal') return;
    if (view?.state === 'different') {
      const message = `rows differ that were written since the verification: ${this.#differing()}`;
      throw new AppError('VERIFY_DIFFERENT', message);
    }
    throw new AppError('VERIFY_STALE', view?.reason ?? 'it is not known by now whether the sides are equal');
  }

  /** Before the decision: an engine that is killed behind it must not take for compared what was not. */
  async #confirmOrGoStale(): Promise<void> {
    const isCompared = await this.drain(AbortSignal.timeout(WAIVED_MS)).then(
      () => true,
      () => false,
    );
    const { view } = this.#keeper.record;
    if (isCompared || (view?.state !== 'equal' && view?.state !== 'rechecking')) return;
    const left = view.reason ?? 'rows that were written last';
    await this.#keeper.becomeStale(
      new AppError('VERIFY_STALE', `a switch was forced before all was compared: ${left}`),
    );
  }

  /**
   * Behind the decision of a switch, when no stream runs: everything that the old primary had is on both sides (`confirm`), so from
   * where the stream to it begins it is the new primary's writes that are compared (ADR 25). Done again after a crash.
   */
  async moved(to: Side): Promise<void> {
    const { record } = this.#keeper;
    if (record.view === null || record.view.primary === to) return;
    await this.#keeper.stop();
    const { view } = record;
    if (view.state !== 'equal' && view.state !== 'rechecking') {
      const reason = view.reason ?? 'primary traffic has moved since';
      record.view = { ...view, ...STILL, reason, primary: to, position: null };
      await record.store(record.view);
      return;
    }
    const position = view.state === 'equal' ? await this.#beginningTo(otherSide(to)) : notAll(view);
    if (typeof position !== 'string') {
      record.view = { ...view, ...STILL, primary: to };
      await this.#keeper.goStale(position);
      return;
    }
    // Stored before anything is applied: an engine that is killed looks up in the log what came behind it.
    record.view = { ...view, ...STILL, primary: to, position };
    await record.store(record.view);
    this.#keeper.keepFrom({ mayBeBehind: false });
  }

  /** The phase that goes with it, once a switch has ended. */
  async settlePhase(): Promise<void> {
    const { record, live } = this.#keeper;
    if (record.view?.state === 'equal') await record.store(live);
  }

  async #beginningTo(side: Side): Promise<string | AppError> {
    const position = await this.#streams.beginningTo(side).catch((error: unknown) => error);
    if (typeof position === 'string') return position;
    const why = position instanceof AppError ? position.message : 'the stream to the old primary has no beginning';
    return new AppError('VERIFY_STALE', `primary traffic has moved, and what is written there is not compared: ${why}`);
  }

  #differing(): string {
    return (this.view?.tables ?? [])
      .filter(({ differencesTotal }) => differencesTotal > 0)
      .map(({ name, differences }) => {
        const keys = differences.slice(0, 5).map(({ key }) => key);
        return `${name} ${keys.join(', ')}`;
      })
      .join('; ');
  }
}

function notAll({ reason }: VerifyView): AppError {
  return new AppError('VERIFY_STALE', `primary traffic has moved before all was compared: ${reason}`);
}
