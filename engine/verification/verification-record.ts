import type { VerifyView } from '../api.ts';
import type { ImportWorld } from '../import-world.ts';
import { nextPhase } from '../phase.ts';

/** What only a running one has. */
export const STILL = { recheck: null, throttled: null, etaMs: null } as const;

/** States of a verification that has ended its pass, and that later writes are compared for. */
export function isKept({ state }: VerifyView): boolean {
  return state === 'equal' || state === 'different' || state === 'rechecking';
}

/**
 * The verification as it is kept in the import's document, with the phase that goes with it. What is found counts at once for
 * whoever decides by it; people are told when it is stored, so that what they then ask for is not refused.
 */
export class VerificationRecord {
  readonly #world: ImportWorld;
  #view: VerifyView | null;
  #storing = 0;

  constructor(world: ImportWorld) {
    this.#world = world;
    this.#view = world.record.document.verify;
  }

  get view(): VerifyView | null {
    return this.#view;
  }

  /** Not stored by this. */
  set view(view: VerifyView | null) {
    this.#view = view;
  }

  /** `live`: the view with what is known by now. A verdict is that of the document while another one is on its way there. */
  told(live: VerifyView): VerifyView {
    const stored = this.#world.record.document.verify;
    return this.#storing === 0 || stored === null ? live : { ...live, state: stored.state, reason: stored.reason };
  }

  /** To be called in the same turn as the view is changed. */
  async store(live: VerifyView | null): Promise<void> {
    const verify = live === null ? null : { ...live, ...STILL };
    const isEqual = verify?.state === 'equal';
    this.#storing += 1;
    try {
      await this.#world.record.update(({ phase }) => {
        if (phase === 'verifying_data')
          return { verify, phase: nextPhase(phase, isEqual ? 'verified' : 'verify_ended') };
        if (phase === 'verified_data' && !isEqual) return { verify, phase: nextPhase(phase, 'unverified') };
        return { verify, phase: phase === 'running' && isEqual ? nextPhase(phase, 'verified') : phase };
      });
    } finally {
      this.#storing -= 1;
    }
    this.#world.changed();
  }

  /** The same, where a failure to store is no reason to end anything. */
  async storeOrWarn(live: VerifyView | null): Promise<void> {
    await this.#world.tolerating('the stored verification is older', () => this.store(live));
  }

  /** The position alone, if it has moved. */
  async persist(live: VerifyView | null): Promise<void> {
    const { record } = this.#world;
    const position = live?.position ?? null;
    if (live === null || position === null || position === record.document.verify?.position) return;
    await record.update(() => ({ verify: { ...live, ...STILL } }));
  }
}
