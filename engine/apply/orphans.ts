import { keyColumns, rangePredicate, type Bound } from '../copy/key-range.ts';
import { normalizer, selectExpression } from '../schema/column-sql.ts';
import type { CascadingKey } from '../schema/foreign-keys.ts';
import type { Table } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { tableSql } from './table-sql.ts';
import { rowKey } from './window.ts';

/** In one statement, and in memory. */
const ROWS_MAX = 500;
/** Keys that are remembered to have no parent on the origin either; what is beyond is asked for again. */
const KEPT_MAX = 50_000;

export interface OrphanOptions {
  destination: ServerConnection;
  origin: ServerConnection;
  database: string;
  /** The imported ones. */
  tables: ReadonlyMap<string, Table | null>;
  keys: readonly CascadingKey[];
  /** See `selfUpdatingColumns`. */
  selfUpdating: ReadonlyMap<string, readonly string[]>;
}

/**
 * Takes away what foreign keys should have taken away while rows of different times were copied: children without a parent, or
 * their tie to it. To be called until it changes nothing, since a row that goes may be a parent.
 *
 * Not those that the origin has: with foreign_key_checks=0 it takes rows without a parent, and they are its data. It is asked as it
 * is by now, which is later than the stream. A row that it has by now, and had to lose before, was made anew since, and one that it
 * had, and has not by now, was deleted since: the log has either, and the stream brings it, which must not mind that this row is
 * there or not until it is where the origin was asked (`ReplicationSession`). Whether it has a parent there by now says nothing.
 */
export class Orphans {
  readonly #options: OrphanOptions;
  /** By foreign key. */
  readonly #kept = new Map<CascadingKey, Set<string>>();
  #keptCount = 0;
  #hasAsked = false;

  constructor(options: OrphanOptions) {
    this.#options = options;
  }

  /** The origin was asked of some. */
  get hasAsked(): boolean {
    return this.#hasAsked;
  }

  /** How many rows it has changed. */
  async remove(): Promise<number> {
    let changed = 0;
    for (const key of this.#options.keys) {
      const table = this.#options.tables.get(key.child);
      if (key.onDelete !== null && table != null) changed += await this.#removeOf(key, table);
    }
    return changed;
  }

  async #removeOf(key: CascadingKey, table: Table): Promise<number> {
    let changed = 0;
    let above: Bound | null = null;
    for (;;) {
      const found: Value[][] = await this.#orphans(this.#options.destination, { key, table, above });
      changed += await this.#removeSome(key, table, found);
      const last = found.at(-1);
      if (last === undefined || found.length < ROWS_MAX) return changed;
      above = last.map((value) => value ?? '');
    }
  }

  async #removeSome(key: CascadingKey, table: Table, found: readonly Value[][]): Promise<number> {
    const { destination, origin } = this.#options;
    const kept = this.#kept.get(key) ?? new Set<string>();
    this.#kept.set(key, kept);
    const unknown = found.filter((values) => !kept.has(rowKey(values)));
    const rowsMax = tableSql(table).isScattered ? 1 : ROWS_MAX;
    let changed = 0;
    for (let first = 0; first < unknown.length; first += rowsMax) {
      const some = unknown.slice(first, first + rowsMax);
      this.#hasAsked = true;
      const there = new Set((await this.#existing(origin, { key, table, among: some })).map(rowKey));
      this.#keep(kept, there);
      const gone = some.filter((values) => !there.has(rowKey(values)));
      if (gone.length === 0) continue;
      changed += (await destination.write(this.#removal(key, table, gone))).affectedRows;
    }
    return changed;
  }

  #keep(kept: Set<string>, keys: ReadonlySet<string>): void {
    if (this.#keptCount + keys.size > KEPT_MAX) return;
    for (const key of keys) kept.add(key);
    this.#keptCount += keys.size;
  }

  /** Keys of the next children without a parent. */
  async #orphans(
    connection: ServerConnection,
    { key, table, above }: { key: CascadingKey; table: Table; above: Bound | null },
  ): Promise<Value[][]> {
    const { child, parent, childColumns, parentColumns } = key;
    const schema = quoteName(this.#options.database);
    const columns = keyColumns(table);
    const own = childColumns.map((name) => `${schema}.${quoteName(child)}.${quoteName(name)}`);
    const matches = own.map((name, i) => `p.${quoteName(parentColumns[i] ?? '')} = ${name}`).join(' AND ');
    const conditions = [
      ...(above === null ? [] : [rangePredicate(columns, { lower: above, upper: null }).replace(/^ WHERE /, '')]),
      ...own.map((name) => `${name} IS NOT NULL`),
      `NOT EXISTS (SELECT 1 FROM ${schema}.${quoteName(parent)} p WHERE ${matches})`,
    ];
    return await this.#keys(
      connection,
      table,
      `${conditions.join(' AND ')} ORDER BY ${columns.map(({ name }) => quoteName(name)).join(', ')} LIMIT ${ROWS_MAX}`,
    );
  }

  /** Of those, the keys of rows that there are, with the tie that would be taken from them. */
  async #existing(
    connection: ServerConnection,
    { key, table, among }: { key: CascadingKey; table: Table; among: readonly Value[][] },
  ): Promise<Value[][]> {
    const tied = key.onDelete === 'cascade' ? [] : key.childColumns.map((name) => `${quoteName(name)} IS NOT NULL`);
    return await this.#keys(connection, table, [whereKeys(table, among), ...tied].join(' AND '));
  }

  async #keys(connection: ServerConnection, table: Table, where: Bytes): Promise<Value[][]> {
    const columns = keyColumns(table);
    const rows = await connection.rows(
      `SELECT ${columns.map(selectExpression).join(',')} FROM ${tableSql(table).name} WHERE ${where}`,
    );
    return rows.map((row) =>
      columns.map((column, i) => {
        const value = row[i] ?? null;
        return value === null ? null : (normalizer(column)?.(value) ?? value);
      }),
    );
  }

  #removal({ child, childColumns, onDelete }: CascadingKey, table: Table, gone: readonly Value[][]): Bytes {
    const { name, deletePrefix } = tableSql(table);
    const where = whereKeys(table, gone);
    if (onDelete === 'cascade') return `${deletePrefix}${where}`;
    // A foreign key does not touch them.
    const same = (this.#options.selfUpdating.get(child) ?? []).map(quoteName);
    const set = [
      ...childColumns.map((column) => `${quoteName(column)} = NULL`),
      ...same.map((one) => `${one} = ${one}`),
    ];
    return `UPDATE ${name} SET ${set.join(', ')} WHERE ${where}`;
  }
}

function whereKeys(table: Table, keys: readonly Value[][]): Bytes {
  return tableSql(table).whereKeys(keys.map((key) => ({ key: [...key], image: null, existed: true })));
}
