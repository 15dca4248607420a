import { AppError, assert } from '../../core/errors.ts';
import type { Table } from '../schema/table.ts';
import {
  escapeBytes,
  textOf,
  type Bytes,
  type ServerConnection,
  type Value,
  type WriteResult,
} from '../server/connection.ts';
import { windowStatements } from './statements.ts';
import type { ApplyWindow, FinalState, TableWindow } from './window.ts';

/** Statements sent together; below the smallest usual max_allowed_packet. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/** A statement larger than that is alone in its batch. */
export function* batches(statements: Iterable<Bytes>): Generator<Bytes[]> {
  let batch: Bytes[] = [];
  let bytes = 0;
  for (const statement of statements) {
    if (bytes > 0 && bytes + statement.length > BATCH_BYTES_MAX) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(statement);
    bytes += statement.length;
  }
  if (batch.length > 0) yield batch;
}

/** Runs some of the statements of `window` inside the open transaction. Rejects with APPLY_VALUE_REFUSED. */
export async function runBatch(
  connection: ServerConnection,
  batch: Bytes[],
  window: ApplyWindow,
): Promise<WriteResult[]> {
  const results = await connection.batch(batch);
  // sql_mode is not strict, so that zero dates and ENUM index 0 pass: a warning is then the only sign of a value that
  // was changed on its way (I4).
  if (results.some(({ warnings }) => warnings > 0)) await findRefusedRow(connection, window);
  return results;
}

/** Applies the window row by row inside the open transaction, to name the row that the server warns about. */
async function findRefusedRow(connection: ServerConnection, window: ApplyWindow): Promise<void> {
  for (const { table, rows } of window.tables.values()) {
    for (const state of rows.values()) {
      const one: TableWindow = { table, rows: new Map([['', state]]) };
      for (const statement of windowStatements([one])) {
        const { warnings } = await connection.write(statement);
        if (warnings === 0) continue;
        const texts = (await connection.warnings()).filter((text) => !isHarmless(text, table, state));
        if (texts.length === 0) continue;
        throw new AppError(
          'APPLY_VALUE_REFUSED',
          `${table.schema}.${table.name}, row ${describeKey(state.key)}: ${texts.join('; ')}`,
          {
            details: { table: table.name, key: describeKey(state.key), warnings: texts },
          },
        );
      }
    }
  }
}

/**
 * Notes that say nothing about the value (deprecated syntax, collation aliases), and 1265 for index 0 of an ENUM, which
 * some definitions take only as the bare number that draws it (see `literal`).
 */
function isHarmless(warning: string, { columns }: Table, { image }: FinalState): boolean {
  if (/^(1287|3719|3778|1681):/.test(warning)) return true;
  const name = /^1265: Data truncated for column '(.*)' at row/.exec(warning)?.[1];
  const index = columns.findIndex((column) => column.name === name);
  return columns[index]?.dataType === 'enum' && image?.[index] === '0';
}

/** A key for people: at most 64 bytes of each part. */
export function describeKey(values: Value[]): string {
  assert(values.length > 0, 'a key has parts');
  return `(${values.map((value) => (value === null ? 'NULL' : textOf(escapeBytes(value.slice(0, 64))))).join(', ')})`;
}
