import type { Table } from '../schema/table.ts';
import type { Bytes } from '../server/connection.ts';
import { tableSql } from './table-sql.ts';
import type { FinalState } from './window.ts';

/** A statement is ended when it grows past this; max_allowed_packet is 64 MiB by default, 16 MiB on MariaDB. */
const STATEMENT_BYTES_MAX = 1024 * 1024;
/** Past some ten thousand keys MySQL gives up using the index (range_optimizer_max_mem_size). */
const STATEMENT_ROWS_MAX = 4000;

/**
 * `exact`: the destination is what the origin was when the window began, so every statement must find what it expects.
 * `replay`: some rows are newer already, from the copy or from lanes that were ahead (ADR 8).
 */
export type ApplyMode = 'exact' | 'replay';

/** Rows of one table. */
export interface TableShare {
  table: Table;
  states: FinalState[];
}

export interface ApplyStatement {
  kind: 'delete' | 'look_up' | 'insert' | 'replace';
  table: Table;
  states: readonly FinalState[];
  sql: Bytes;
  /** Rows that it must affect, or find; null where that cannot be told. */
  expected: number | null;
}

/** What takes rows away, or makes sure of them: before `writeStatements` of the same table. */
export function* clearStatements({ table, states }: TableShare, mode: ApplyMode): Generator<ApplyStatement> {
  const { isPlain } = tableSql(table);
  const isExact = mode === 'exact';
  const there = isExact ? states.filter(({ existed }) => existed) : states;
  // Where a row can stand in the way of another one, all that change are taken away first: whatever order their unique
  // values went round in, none of them is held any more.
  const taken = isPlain ? there.filter(({ image }) => image === null) : there;
  yield* statements('delete', table, taken, isExact);
  if (isExact && isPlain)
    yield* statements(
      'look_up',
      table,
      there.filter(({ image }) => image !== null),
      true,
    );
}

export function* writeStatements({ table, states }: TableShare, mode: ApplyMode): Generator<ApplyStatement> {
  const present = states.filter(({ image }) => image !== null);
  if (!tableSql(table).isPlain) {
    yield* statements('insert', table, present, true);
  } else if (mode === 'replay') {
    yield* statements('replace', table, present, false);
  } else {
    yield* statements(
      'replace',
      table,
      present.filter(({ existed }) => existed),
      false,
    );
    yield* statements(
      'insert',
      table,
      present.filter(({ existed }) => !existed),
      true,
    );
  }
}

/** The statement for some of the rows of another one. */
export function narrowed({ kind, table, expected }: ApplyStatement, states: readonly FinalState[]): ApplyStatement {
  return { kind, table, states, sql: sqlOf(kind, table, states), expected: expected === null ? null : states.length };
}

function* statements(
  kind: ApplyStatement['kind'],
  table: Table,
  states: readonly FinalState[],
  isCounted: boolean,
): Generator<ApplyStatement> {
  const rowsMax = tableSql(table).isScattered && (kind === 'delete' || kind === 'look_up') ? 1 : STATEMENT_ROWS_MAX;
  for (const part of parts(states, rowsMax)) {
    yield { kind, table, states: part, sql: sqlOf(kind, table, part), expected: isCounted ? part.length : null };
  }
}

function* parts(states: readonly FinalState[], rowsMax: number): Generator<readonly FinalState[]> {
  let first = 0;
  let bytes = 0;
  for (const [index, { key, image }] of states.entries()) {
    for (const value of image ?? key) bytes += 16 + (value?.length ?? 0);
    if (bytes < STATEMENT_BYTES_MAX && index + 1 - first < rowsMax) continue;
    yield states.slice(first, index + 1);
    first = index + 1;
    bytes = 0;
  }
  if (first < states.length) yield first === 0 ? states : states.slice(first);
}

function sqlOf(kind: ApplyStatement['kind'], table: Table, states: readonly FinalState[]): Bytes {
  const sql = tableSql(table);
  switch (kind) {
    case 'delete':
      return `${sql.deletePrefix}${sql.whereKeys(states)}`;
    case 'look_up':
      return `${sql.lookUpPrefix}${sql.whereKeys(states)}`;
    case 'insert':
      return `INSERT INTO ${sql.name} (${sql.columnList}) VALUES ${states.map((state) => sql.row(state)).join(',')}`;
    case 'replace':
      return `REPLACE INTO ${sql.name} (${sql.columnList}) VALUES ${states.map((state) => sql.row(state)).join(',')}`;
    default:
      throw new Error(`no such statement: ${String(kind satisfies never)}`);
  }
}
