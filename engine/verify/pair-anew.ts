import { abortable } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition } from '../api.ts';
import { existingTables } from '../schema/existing-tables.ts';
import { settledPosition } from '../server/position.ts';
import type { ComparedTables } from './compared-tables.ts';
import { ConnectionPair, type Flavors } from './connection-pair.ts';
import type { Follower } from './follower.ts';
import { selfTests } from './pair-self-test.ts';
import { pairTables, targetOf } from './table-pair.ts';

/** Looks at tables that differ in their definitions, before that is believed. */
const LOOKS = 3;

export interface PairAnewOptions {
  tables: ComparedTables;
  database: string;
  flavors: Flavors;
  source: ServerDefinition;
  target: ServerDefinition;
  follower: Follower;
  signal: AbortSignal;
}

/**
 * Pairs tables that are not, at first and after DDL has touched them, until `signal` aborts. Rejects with VERIFY_STALE where one cannot be
 * compared any more: the sides have different definitions for good; with VERIFY_TABLES_DIFFER where no DDL was heard of.
 */
export async function pairAnew(options: PairAnewOptions): Promise<never> {
  const { tables, signal } = options;
  const backoff = new Backoff({ initialMs: 20, maxMs: 2000 });
  using pair = new ConnectionPair(options);
  let looks = 0;
  for (;;) {
    const { generation } = tables;
    const heard = tables.nextDdl();
    if (tables.unpaired.length === 0) {
      await abortable(heard, signal);
      looks = 0;
      continue;
    }
    try {
      await pairOnce(options, pair);
      backoff.reset();
    } catch (error) {
      signal.throwIfAborted();
      looks = tables.generation === generation ? looks + 1 : 0;
      if (isOfTables(error) && looks >= LOOKS) throw cannotBeCompared(tables, error);
      if (!isPassing(error)) throw error;
      await backoff.wait(signal);
    }
  }
}

/**
 * Both sides show the definitions of one and the same place: everything that the source had executed before and behind the look
 * at them is applied, and no DDL was heard of meanwhile.
 */
async function pairOnce(
  { tables, database, flavors, follower, signal }: PairAnewOptions,
  pair: ConnectionPair,
): Promise<void> {
  const { generation, unpaired } = tables;
  await pair.use(async ({ source, target }) => {
    const settle = async () => {
      const position = await settledPosition(source, flavors.source, signal);
      if (position !== undefined) await follower.waitFor(position, signal);
      return position !== undefined && tables.generation === generation;
    };
    if (!(await settle())) return;
    await failpoint('verify.paired_anew');
    const sources = await existingTables(source, database, unpaired);
    const targets = await existingTables(target, database, unpaired);
    if (!(await settle())) return;
    const aggregates = await selfTests({ source, target }, flavors);
    if (tables.generation !== generation) return;
    for (const name of unpaired) {
      const table = sources.find((one) => one.name === name);
      const other = targetOf(name, targets);
      if (table === undefined && other === undefined) tables.leave(name);
      else if (table === undefined)
        throw new AppError('VERIFY_TABLES_DIFFER', `${database}.${name}: one side does not have it`);
      else tables.paired(pairTables(table, other, aggregates));
    }
  });
}

function isOfTables(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'VERIFY_TABLES_DIFFER';
}

/** Of a server that is away, or of a replication that has ended, which says so itself. */
function isPassing(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code !== 'SERVER_ERROR' &&
    error.code !== 'VERIFY_PAIR_UNEQUAL' &&
    error.code !== 'VERIFY_ROW_UNREADABLE'
  );
}

function cannotBeCompared({ pendingReason }: ComparedTables, cause: AppError): AppError {
  if (pendingReason === null) return cause;
  return new AppError('VERIFY_STALE', `${cause.message} (${pendingReason})`, { cause });
}
