import { AppError } from '../core/errors.ts';
import { routingRecordSchema, type Endpoint, type RoutingRecord } from '../core/routing-record.ts';
import type { StateStore } from '../core/store/state-store.ts';
import type { ImportDocument } from './import-document.ts';

const KEY = 'route';

/** The routing record in the store. Every change is a compare-and-set that raises the epoch by one (I6). */
export class Route {
  readonly #store: StateStore;
  /** As we wrote it last: within a switch nobody else does, and one round trip is saved. A wrong guess conflicts. */
  #written: { record: RoutingRecord; revision: number } | undefined;

  constructor(store: StateStore) {
    this.#store = store;
  }

  async read(): Promise<RoutingRecord | undefined> {
    return (await this.#read())?.record;
  }

  /** The record of this import, or NOT_FOUND. */
  async of(importId: string): Promise<RoutingRecord> {
    const record = await this.read();
    if (record?.importId !== importId)
      throw new AppError('NOT_FOUND', `the route belongs to another import than ${importId}`);
    return record;
  }

  /** Where an import begins: everything at the source. */
  async begin(document: ImportDocument): Promise<RoutingRecord> {
    const before = await this.#read();
    const record: RoutingRecord = {
      epoch: (before?.record.epoch ?? 0) + 1,
      importId: document.id,
      database: document.database,
      primary: 'source',
      replica: 'source',
      hold: 'none',
      deadlineMs: null,
      fenced: false,
      endpoints: endpointsOf(document),
    };
    await this.#store.compareAndSet(KEY, before?.revision ?? null, record);
    return record;
  }

  /** Applies `change` if the epoch still is `expectedEpoch`; STORE_CONFLICT otherwise. Returns the new record. */
  async change(expectedEpoch: number, change: Partial<Omit<RoutingRecord, 'epoch'>>): Promise<RoutingRecord> {
    return await this.#change(expectedEpoch, expectedEpoch + 1, change);
  }

  /** As `change`, to an epoch that is also above `above`: of a decision that this store has not seen. */
  async overtake(
    expectedEpoch: number,
    above: number,
    change: Partial<Omit<RoutingRecord, 'epoch'>>,
  ): Promise<RoutingRecord> {
    return await this.#change(expectedEpoch, Math.max(expectedEpoch, above) + 1, change);
  }

  async #change(
    expectedEpoch: number,
    epoch: number,
    change: Partial<Omit<RoutingRecord, 'epoch'>>,
  ): Promise<RoutingRecord> {
    const written = this.#written?.record.epoch === expectedEpoch ? this.#written : undefined;
    this.#written = undefined;
    const before = written ?? (await this.#read());
    if (before === undefined || before.record.epoch !== expectedEpoch) {
      throw new AppError(
        'STORE_CONFLICT',
        `the route is at epoch ${before?.record.epoch ?? 'none'}, not ${expectedEpoch}`,
      );
    }
    const record = { ...before.record, ...change, epoch };
    const revision = await this.#store.compareAndSet(KEY, before.revision, record);
    this.#written = { record, revision };
    return record;
  }

  async #read(): Promise<{ record: RoutingRecord; revision: number } | undefined> {
    const found = await this.#store.get(KEY);
    if (found === undefined) return undefined;
    return { record: routingRecordSchema.parse(found.value), revision: found.revision };
  }
}

export function endpointsOf({ source, target, replicaHost }: ImportDocument): RoutingRecord['endpoints'] {
  const { user: _sourceUser, ...sourcePrimary } = source;
  const { user: _targetUser, ...targetPrimary } = target;
  const sourceReplica: Endpoint | null = replicaHost === null ? null : { ...sourcePrimary, ...replicaHost };
  return {
    source: { primary: sourcePrimary, replica: sourceReplica },
    target: { primary: targetPrimary, replica: null },
  };
}
