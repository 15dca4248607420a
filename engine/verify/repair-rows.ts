import { AppError } from '../../core/errors.ts';
import { describeKey } from '../apply/refusal.ts';
import { writeShares } from '../apply/window-writer.ts';
import { rowKey, type FinalState, type RowKey } from '../apply/window.ts';
import { keyColumns } from '../copy/key-range.ts';
import { typedImages } from '../copy/typed-json.ts';
import type { Value, ServerConnection } from '../server/connection.ts';
import { parsePosition } from '../../core/gtid.ts';
import { ProgressRow } from '../sidecar.ts';
import { executedPosition } from '../server/position.ts';
import { readBetween } from './source-read.ts';
import { mirroredDifference, type Digests, type RowDifference } from './compare-digests.ts';
import { keyText } from './key-text.ts';
import { keyBatches, recheckKeys, type Keys, type RecheckContext } from './recheck-keys.ts';
import { recordStatement } from './repairs-table.ts';

/** Together in one transaction. */
const ROWS_MAX = 50;

export interface RepairContext extends RecheckContext {
  /** To `target`, in a session as that of the applier, with `multiStatements`. */
  writer: ServerConnection;
  /** Whether no DDL on the table was heard of since it was paired. */
  isPaired: () => boolean;
  /** See `KeptVerificationOptions`: the record is in the terms of the import. */
  mirrored: boolean;
  importId: string;
  actor: string;
}

export interface RepairResult {
  /** The same on both sides by now: by this, and without it. */
  repaired: RowKey[];
  already: RowKey[];
  left: { key: string; reason: string }[];
}

/** Why a row was left as it is. */
class Left extends Error {}

/**
 * Makes rows of the target what they are on the source, while replication runs.
 *
 * What must not happen is that an older row is put over a newer one. So each transaction (1) locks the rows on the target,
 * (2) writes them as one snapshot of the source had them, (3) reads the source again, and commits only when it shows the same still.
 * Whatever replication had applied to these rows before they were locked is shown by the source in (3), which is waited for (a
 * semi-synchronous source shows it later), so what is written is no older than that; and whatever it applies later comes later. Before that it waits until everything that the snapshot
 * shows has been applied, so that no row is written which replication is about to insert.
 *
 * Nothing is believed of it: behind the commit the rows are compared as any others are.
 */
export async function repairRows(context: RepairContext, keys: Keys): Promise<RepairResult> {
  const result: RepairResult = { repaired: [], already: [], left: [] };
  for (const batch of keyBatches(keys, ROWS_MAX)) await repairBatch(context, batch, result);
  return result;
}

async function repairBatch(context: RepairContext, keys: Keys, result: RepairResult): Promise<void> {
  const { differences, unsure } = await recheckKeys(context, keys);
  const different = new Map(differences.map((difference) => [rowKey(difference.key), difference]));
  for (const key of keys.keys()) if (!unsure.has(key) && !different.has(key)) result.already.push(key);
  for (const values of unsure.values()) leave(context, result, values, 'it is being written: try again');
  // Rows that are too many first: one of them may hold a unique value that another row needs.
  const order = { extra: 0, different: 1, missing: 2 };
  const ordered = [...different.values()].sort((a, b) => order[a.kind] - order[b.kind]);
  if (ordered.length === 0) return;
  await writeWhatIsTaken(context, ordered, result);
  const tried = new Map(ordered.map(({ key }) => [rowKey(key), key]));
  const after = await recheckKeys(context, tried);
  const open = new Set([...after.unsure.keys(), ...after.differences.map(({ key }) => rowKey(key))]);
  for (const [key, values] of tried) {
    if (!open.has(key)) result.repaired.push(key);
    else if (!result.left.some(({ key: known }) => known === textOfKey(context, values)))
      leave(context, result, values, 'it still differs');
  }
}

/**
 * Together, since rows may have to change places; without those that the target refuses. Where none is named, each by
 * itself.
 */
async function writeWhatIsTaken(
  context: RepairContext,
  differences: readonly RowDifference[],
  result: RepairResult,
): Promise<void> {
  if (differences.length === 0) return;
  try {
    await writeRows(context, differences);
  } catch (error) {
    await undo(context, error);
    const refused = refusedOf(differences, error);
    if (refused !== undefined) {
      leave(context, result, refused.key, (error as Error).message);
      const others = differences.filter((difference) => difference !== refused);
      await writeWhatIsTaken(context, others, result);
    } else {
      for (const difference of differences) await writeWhatIsTaken(context, [difference], result);
    }
  }
}

function refusedOf(differences: readonly RowDifference[], error: unknown): RowDifference | undefined {
  if (differences.length === 1) return differences[0];
  const key = error instanceof AppError ? error.details['key'] : undefined;
  return differences.find((difference) => describeKey(difference.key) === key);
}

/** What the server, or we, say of the rows leaves the connection as it was. */
async function undo({ writer }: RepairContext, error: unknown): Promise<void> {
  if (writer.broken || !(error instanceof AppError || error instanceof Left)) throw error;
  await writer.write('ROLLBACK');
}

async function writeRows(context: RepairContext, differences: readonly RowDifference[]): Promise<void> {
  const { pair, table, isPaired, mirrored, flavors, follower, signal, writer, importId, actor } = context;
  const keys = differences.map(({ key }) => key);
  await pair.source.write('START TRANSACTION READ ONLY');
  const before = table.source.parse(await pair.source.rows(table.source.rowsOf(keys)));
  const images = await typedImages(pair.source, table.source.table, ` WHERE ${table.source.oneOf(keys)}`);
  await pair.source.write('ROLLBACK');
  const imageOf = new Map(images.map(({ key, image }) => [rowKey(key), image]));
  await follower.waitFor(await executedPosition(pair.source, flavors.source), signal);
  const records = differences.map((difference) => ({
    importId,
    table: table.name,
    actor,
    key: textOfKey(context, difference.key),
    difference: mirrored ? mirroredDifference(difference) : difference,
  }));
  await writer.write('BEGIN');
  await writer.write(recordStatement(records));
  const locked = table.target.parse(await writer.rows(`${table.target.rowsOf(keys)} FOR UPDATE`));
  // The target runs none from here on, until the rows are let go.
  if (!isPaired()) throw new Left('the table is changed by DDL, and compared anew: repair behind that');
  const states: FinalState[] = differences.map(({ key, kind }) => {
    const name = rowKey(key);
    if (locked.has(name) === (kind === 'missing') || before.has(name) === (kind === 'extra'))
      throw new Left('it has changed meanwhile: try again');
    return { key, image: imageOf.get(name) ?? null, existed: locked.has(name) };
  });
  await writeShares({
    connection: writer,
    begin: [],
    isClaimed: false,
    shares: [{ table: table.source.table, states }],
    mode: 'replay',
    way: 'careful',
    origin: async () => await Promise.reject(new AppError('INTERNAL', 'a repair resolves nothing')),
  });
  const now = await readBetween({
    connection: pair.source,
    flavor: flavors.source,
    from: await appliedThere(context),
    sql: table.source.rowsOf(keys),
    signal,
  });
  if (now === null || !isSame(keys, before, table.source.parse(now.rows)))
    throw new Left('it was written meanwhile: try again');
  await writer.write('COMMIT');
}

/** How far the stream is, now that the rows are locked: READ COMMITTED. Its row is in the transactions that write them. */
async function appliedThere({ writer, importId, mirrored, flavors }: RepairContext) {
  const position = await new ProgressRow(importId, mirrored ? 'reverse' : 'forward').read(writer);
  return position === undefined ? undefined : parsePosition(flavors.source, position);
}

function isSame(keys: readonly Value[][], before: Digests, now: Digests): boolean {
  return keys.every((key) => before.get(rowKey(key))?.digest === now.get(rowKey(key))?.digest);
}

function leave(context: RepairContext, { left }: RepairResult, values: Value[], reason: string): void {
  left.push({ key: textOfKey(context, values), reason });
}

function textOfKey({ table }: RepairContext, values: readonly Value[]): string {
  return keyText(keyColumns(table.source.table), values);
}
