import { AppError, assert } from '../../core/errors.ts';
import { isHarmlessWarning } from '../schema/harmless-warning.ts';
import type { Table } from '../schema/table.ts';
import { errnoOf, escapeBytes, textOf, type Value } from '../server/connection.ts';
import type { ApplyStatement } from './table-statements.ts';
import type { FinalState } from './window.ts';

const DUPLICATE_KEY = 1062;
const SHOWN_BYTES = 64;

/** Why a statement did not do what it should have. */
export type Refusal =
  | { kind: 'error'; error: AppError }
  | { kind: 'warnings'; texts: string[] }
  /** Fewer rows than expected were there. */
  | { kind: 'missing' };

export function isDuplicate(refusal: Refusal): boolean {
  return refusal.kind === 'error' && errnoOf(refusal.error) === DUPLICATE_KEY;
}

/** The error for the one row of `statement` that was refused. */
export function refusedRow({ table, states }: ApplyStatement, refusal: Refusal): AppError {
  const [state] = states;
  assert(state !== undefined, 'a refused row is known');
  const where = `${table.schema}.${table.name}, row ${describeKey(state.key)}`;
  const details = { schema: table.schema, table: table.name, key: describeKey(state.key) };
  if (refusal.kind === 'missing') {
    return new AppError('APPLY_ROW_MISSING', `${where}: it was changed on the origin and is not on the destination`, {
      details,
    });
  }
  const text = refusal.kind === 'error' ? serverText(refusal.error) : refusal.texts.join('; ');
  const column = refusedColumn(table, text);
  const value = column === undefined ? undefined : describeValue(state, table, column);
  const place = column === undefined ? where : `${where}, column ${column}, value ${value}`;
  return new AppError(isDuplicate(refusal) ? 'APPLY_ROW_CONFLICT' : 'APPLY_VALUE_REFUSED', `${place}: ${text}`, {
    ...(refusal.kind === 'error' ? { cause: refusal.error } : {}),
    details: { ...details, column: column ?? null, value: value ?? null },
  });
}

/**
 * Notes that say nothing about the value (deprecated syntax, collation aliases), and 1265 for index 0 of an ENUM, which
 * some definitions take only as the bare number that draws it (see `literal`).
 */
export function isHarmless(warning: string, { table: { columns }, states }: ApplyStatement): boolean {
  if (isHarmlessWarning(warning)) return true;
  const [, name, row] = /^1265: Data truncated for column '(.*)' at row (\d+)/.exec(warning) ?? [];
  const index = columns.findIndex((column) => column.name === name);
  return columns[index]?.dataType === 'enum' && states[Number(row) - 1]?.image?.[index] === '0';
}

/** A key for people: at most 64 bytes of each part. */
export function describeKey(values: Value[]): string {
  assert(values.length > 0, 'a key has parts');
  return `(${values.map(shown).join(', ')})`;
}

function describeValue({ image }: FinalState, table: Table, name: string): string {
  return shown(image?.[table.columns.findIndex((column) => column.name === name)] ?? null);
}

function shown(value: Value): string {
  return value === null ? 'NULL' : textOf(escapeBytes(value.slice(0, SHOWN_BYTES)));
}

/** What the server itself said, without the address in front. */
function serverText(error: AppError): string {
  return error.cause instanceof Error ? `${errnoOf(error)}: ${error.cause.message}` : error.message;
}

/** 1406, 1366, 1264, 1048, 1265 and others name the column; 1062 the key, whose first column stands for it. */
function refusedColumn({ columns, uniqueKeys, key }: Table, text: string): string | undefined {
  const named = /[Cc]olumn '([^']*)'/.exec(text)?.[1] ?? /for column `[^`]*`\.`[^`]*`\.`([^`]*)`/.exec(text)?.[1];
  // 3140 has the table in front.
  const column = columns.find(({ name }) => name === named) ?? columns.find(({ name }) => named?.endsWith(`.${name}`));
  if (column !== undefined) return column.name;
  const index = /for key '(?:[^']*\.)?([^'.]*)'/.exec(text)?.[1];
  const unique = [...(key === null ? [] : [key]), ...uniqueKeys].find(({ name }) => name === index);
  return columns[unique?.columns[0] ?? -1]?.name;
}
