import { parsePosition, type Flavor, type StreamPosition } from '../../core/gtid.ts';
import type { StrayImage } from '../api.ts';
import type { TransactionSource } from '../apply/window-collector.ts';
import type { WindowTransaction } from '../apply/window.ts';
import type { RowImage, Table } from '../schema/table.ts';
import { valueOf } from '../stray/stray-image.ts';
import type { Definitions } from '../ddl/stream-schema.ts';
import { gtidsOf, type RowChange, type StreamTransaction } from '../stream/transaction.ts';
import { conflictStatements } from './conflicts.ts';
import { messagesOf, sumOf, type LostChange, type Message } from './message.ts';
import { WrittenKeys } from './written-keys.ts';

/** Transactions that the stream to the target has taken to be written there. */
export interface WriteBackTally {
  /** Of applications and of the write-back. */
  all: number;
  /** Because of the write-back alone. */
  returned: number;
}

export interface JudgedSourceOptions {
  stream: TransactionSource;
  from: StreamPosition;
  /** Of the source. */
  flavor: Flavor;
  importId: string;
  /** As they are at the stream's place. */
  definitions: Definitions;
  tally: WriteBackTally;
}

/**
 * The source's transactions as the target is to have them, while the write-back brings testers' transactions from the
 * target to the source (ADR 19).
 *
 * A transaction of the write-back is on the target already, where it came from, and is passed over; but not where this
 * stream has written one of its keys to the target after the tester did, nor where the source has changed other rows with
 * it than the tester had: then the source's rows are written like an application's. A conflict is written as what the
 * source had for the tester's keys at this place, together with the record of what was lost.
 */
export class JudgedSource implements TransactionSource {
  readonly #options: JudgedSourceOptions;
  readonly #written: WrittenKeys;
  #parts: { gtid: string; own: RowChange[]; changes: RowChange[] } | undefined;

  constructor(options: JudgedSourceOptions) {
    this.#options = options;
    this.#written = new WrittenKeys(options.from);
  }

  tryNext(): WindowTransaction | undefined {
    for (;;) {
      const transaction = this.#options.stream.tryNext();
      if (transaction === undefined) return undefined;
      const judged = this.#judge(transaction);
      if (judged !== undefined) return judged;
    }
  }

  async next(signal: AbortSignal): Promise<WindowTransaction> {
    for (;;) {
      const judged = this.#judge(await this.#options.stream.next(signal));
      if (judged !== undefined) return judged;
    }
  }

  async nextWithin(waitMs: number | undefined, signal: AbortSignal): Promise<WindowTransaction | undefined> {
    for (;;) {
      const transaction = await this.#options.stream.nextWithin(waitMs, signal);
      if (transaction === undefined) return undefined;
      const judged = this.#judge(transaction);
      if (judged !== undefined) return judged;
    }
  }

  /** Undefined for a part of one of ours: it is judged as a whole. */
  #judge(transaction: StreamTransaction): WindowTransaction | undefined {
    const { gtid, ours, partial } = transaction;
    if (!ours) {
      this.#parts = undefined;
      return this.#taken(transaction);
    }
    const { own = [], changes } = transaction;
    const before = this.#parts?.gtid === gtid ? this.#parts : { gtid, own: [], changes: [] };
    const whole = { gtid, own: [...before.own, ...own], changes: [...before.changes, ...changes] };
    this.#parts = partial ? whole : undefined;
    if (partial) return undefined;
    const [first, ...rest] = messagesOf(whole.own);
    if (first?.kind === 'applied') return this.#judgeApplied(transaction, whole.changes, first);
    if (first?.kind === 'conflict') {
      const lost = rest.filter((message) => message.kind === 'lost');
      return this.#writeConflict(transaction, first, lost);
    }
    return this.#passedOver(transaction);
  }

  #judgeApplied(
    transaction: StreamTransaction,
    changes: RowChange[],
    { seen, sum }: Extract<Message, { kind: 'applied' }>,
  ): WindowTransaction {
    const position = seen === null ? null : parsePosition(this.#options.flavor, seen);
    if (sumOf(changes) === sum && !this.#written.isWrittenSince(position, changes))
      return this.#passedOver(transaction);
    this.#options.tally.returned += 1;
    return this.#taken({ ...transaction, ours: false, changes });
  }

  #writeConflict(
    transaction: StreamTransaction,
    { gtid, committedAtMs, reason }: Extract<Message, { kind: 'conflict' }>,
    lost: LostChange[],
  ): WindowTransaction {
    const { definitions, importId, tally } = this.#options;
    const changes = repairsOf(lost, definitions);
    tally.returned += 1;
    const taken = this.#taken({ ...transaction, ours: false, changes });
    const statements = conflictStatements(importId, { gtid, committedAtMs, reason, changes: lost });
    return { ...taken, lost: { gtid, reason, statements } };
  }

  /** Written to the target. */
  #taken(transaction: StreamTransaction): StreamTransaction {
    if (transaction.changes.length > 0) this.#options.tally.all += 1;
    this.#written.note(transaction.changes, transaction.gtid);
    if (!transaction.partial) this.#written.advance(gtidsOf(transaction));
    return transaction;
  }

  #passedOver(transaction: StreamTransaction): StreamTransaction {
    this.#written.advance(gtidsOf(transaction));
    return { ...transaction, changes: [] };
  }
}

/** Rows that the write-back has changed on the source, or has had repaired on the target, with this transaction of ours. */
export function broughtRows(
  { own = [], changes }: StreamTransaction,
  definitions: ReadonlyMap<string, Table | null>,
): RowChange[] {
  const lost = messagesOf(own).filter((message) => message.kind === 'lost');
  return [...changes, ...repairsOf(lost, definitions)];
}

function repairsOf(lost: readonly LostChange[], definitions: ReadonlyMap<string, Table | null>): RowChange[] {
  return lost.flatMap(({ table: name, now }) => {
    const table = definitions.get(name);
    return table == null ? [] : now.map((row) => repairOf(table, row));
  });
}

function repairOf(table: Table, { key, row }: { key: StrayImage; row: StrayImage | null }): RowChange {
  return row === null
    ? { kind: 'delete', table, before: namedImage(table, key) }
    : { kind: 'insert', table, after: namedImage(table, row) };
}

function namedImage({ columns }: Table, named: StrayImage): RowImage {
  return columns.map(({ name }) => {
    const value = named[name];
    return value === undefined ? undefined : valueOf(value);
  });
}
