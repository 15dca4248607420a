import { AppError } from '../../core/errors.ts';
import type { StrayApplyReport, StrayApplyRequest, StrayImage, StrayWriteView } from '../api.ts';
import { comparand, literal, normalizer, selectExpression } from '../schema/column-sql.ts';
import { inspectTables } from '../schema/inspect.ts';
import type { Column, Table } from '../schema/table.ts';
import { errnoOf, quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { sameValue, valueOf } from './stray-image.ts';
import { listStrayWrites, markAppliedStatement } from './stray-writes.ts';

const DUPLICATE_KEY = 1062;
const PAGE = 1000;

export interface StrayApplyOptions {
  /** To the primary of now; a session of its own. */
  connection: ServerConnection;
  importId: string;
  database: string;
  ids: StrayApplyRequest['ids'];
  actor: string;
}

/** Why a write was left as it was. */
class Conflict extends Error {}

/**
 * Applies stray writes in the order of their commits, each in a transaction of its own that is replicated like an
 * application's (`UNMARKED_TABLE` says how it is done exactly once all the same). The row is locked and must be, byte for
 * byte, what the stray write found: then applying it means here what it meant there. Anything else is a conflict for
 * people to judge. Foreign keys, triggers and constraints hold as for an application.
 */
export async function applyStrayWrites(options: StrayApplyOptions): Promise<Omit<StrayApplyReport, 'strayWrites'>> {
  const { connection, importId, database, ids } = options;
  const tables = new Map((await inspectTables(connection, database, 'all')).map((table) => [table.name, table]));
  const report: Omit<StrayApplyReport, 'strayWrites'> = { applied: 0, already: 0, conflicts: [] };
  if (ids !== 'all') {
    const known = await listStrayWrites(connection, { importId, ids, limit: ids.length });
    const unknown = ids.filter((id) => !known.some((write) => write.id === id));
    if (unknown.length > 0)
      throw new AppError('NOT_FOUND', `there are no stray writes ${unknown.slice(0, 10).join(', ')}`);
    for (const write of known) await applyOne(write, tables, options, report);
    return report;
  }
  for (let after = 0; ;) {
    const page = await listStrayWrites(connection, { importId, unappliedOnly: true, after, limit: PAGE });
    for (const write of page) await applyOne(write, tables, options, report);
    after = page.at(-1)?.id ?? 0;
    if (page.length < PAGE) return report;
  }
}

async function applyOne(
  write: StrayWriteView,
  tables: Map<string, Table>,
  { connection, actor }: StrayApplyOptions,
  report: Omit<StrayApplyReport, 'strayWrites'>,
): Promise<void> {
  if (write.applied) {
    report.already += 1;
    return;
  }
  await connection.write('BEGIN');
  try {
    const table = tables.get(write.table);
    if (write.kind === 'ddl' || write.kind === 'statement')
      throw new Conflict('it is a statement: run it by hand where it is wanted');
    if (table === undefined) throw new Conflict(`there is no table ${write.table}`);
    await applyChange(connection, table, write);
    await connection.write(markAppliedStatement(write.id, actor));
    await connection.write('COMMIT');
    report.applied += 1;
  } catch (error) {
    if (connection.broken) throw error;
    await connection.write('ROLLBACK');
    // What the server says of a row (a constraint, a trigger) is about this write; the connection is fine.
    if (!(error instanceof Conflict) && errnoOf(error) === undefined) throw error;
    const reason = errnoOf(error) === DUPLICATE_KEY ? 'another row has its key' : (error as Error).message;
    report.conflicts.push({ id: write.id, reason });
  }
}

async function applyChange(
  connection: ServerConnection,
  table: Table,
  { before, after }: StrayWriteView,
): Promise<void> {
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`;
  const where = keyCondition(table, before ?? after ?? {});
  const compared = table.columns.filter(({ generated }) => generated === null);
  const [row, second] = await connection.rows(
    `SELECT ${compared.map(selectExpression).join(',')} FROM ${name} WHERE ${where} FOR UPDATE`,
  );
  if (second !== undefined) throw new Conflict('more than one row has its key');
  if (before === null) {
    if (row !== undefined) throw new Conflict('a row with its key is there');
  } else {
    if (row === undefined) throw new Conflict('the row is not there');
    const changed = compared
      .filter((column, index) => differs(column, before, row[index] ?? null))
      .map((column) => column.name);
    if (changed.length > 0) throw new Conflict(`the row is another one in ${changed.join(', ')}`);
  }
  const { affectedRows, warnings } = await connection.write(
    changeStatement(table, { name, where, after, isInsert: before === null }),
  );
  // Not strict, like all sessions of ours: a warning is the only sign of a value that was changed on its way (I4).
  if (warnings > 0) throw new Conflict(`the server would change a value: ${(await connection.warnings()).join('; ')}`);
  // An update to what the row is already affects none.
  if (affectedRows > 1 || (affectedRows === 0 && after === null))
    throw new Conflict(`it would change ${affectedRows} rows`);
}

function differs(column: Column, before: StrayImage, current: Value): boolean {
  const stored = before[column.name];
  if (stored === undefined) return false;
  const normalize = normalizer(column);
  return !sameValue(column, valueOf(stored), current === null || normalize === null ? current : normalize(current));
}

function keyCondition(table: Table, image: StrayImage): Bytes {
  if (table.key === null) throw new Conflict(`the table ${table.name} has no key`);
  return table.key.columns
    .map((index) => {
      const column = table.columns[index];
      const value = column === undefined ? undefined : image[column.name];
      if (column === undefined || value === undefined) throw new Conflict('its key is not known');
      return `${quoteName(column.name)} = ${comparand(column)(valueOf(value))}`;
    })
    .join(' AND ');
}

function changeStatement(
  table: Table,
  { name, where, after, isInsert }: { name: Bytes; where: Bytes; after: StrayImage | null; isInsert: boolean },
): Bytes {
  if (after === null) return `DELETE FROM ${name} WHERE ${where}`;
  const unknown = Object.keys(after).filter((column) => !table.columns.some((known) => known.name === column));
  if (unknown.length > 0) throw new Conflict(`the table has no column ${unknown.join(', ')}`);
  const written = table.columns.flatMap((column) => {
    const value = after[column.name];
    return value === undefined || column.generated !== null
      ? []
      : [[quoteName(column.name), literal(column)(valueOf(value))] as const];
  });
  if (isInsert)
    return `INSERT INTO ${name} (${written.map(([column]) => column).join(',')}) VALUES (${written.map(([, value]) => value).join(',')})`;
  return `UPDATE ${name} SET ${written.map((pair) => pair.join('=')).join(',')} WHERE ${where}`;
}
