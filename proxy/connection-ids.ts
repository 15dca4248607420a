/** Ids of ours are far above those that servers give, so that a KILL shows whose id it names. */
const FIRST_ID = 0x4000_0000;
const IDS_PER_WORKER = 1 << 18;
/** Workers that can have ids of their own at a time. */
export const WORKER_SLOTS = 4096;

/** True for an id that a greeting of ours told. */
export function isProxyConnectionId(id: number): boolean {
  return id >= FIRST_ID;
}

/** The ids that this worker's greetings tell: unique over the workers of a supervisor, which numbers them. */
export class ConnectionIds {
  readonly #isInUse: (id: number) => boolean;
  #slot = 0;
  #count = 0;

  constructor(isInUse: (id: number) => boolean) {
    this.#isInUse = isInUse;
  }

  get slot(): number {
    return this.#slot;
  }

  set slot(slot: number) {
    this.#slot = slot % WORKER_SLOTS;
  }

  next(): number {
    for (let tries = 0; tries < IDS_PER_WORKER; tries += 1) {
      this.#count = (this.#count + 1) % IDS_PER_WORKER;
      const id = FIRST_ID + this.#slot * IDS_PER_WORKER + this.#count;
      if (!this.#isInUse(id)) return id;
    }
    throw new Error('more sessions than connection ids');
  }
}
