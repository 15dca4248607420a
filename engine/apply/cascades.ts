import { AppError } from '../../core/errors.ts';
import { insertColumns, literal } from '../schema/column-sql.ts';
import { cascadingKeys, selfUpdatingColumns, serverLogsCascades, type CascadingKey } from '../schema/foreign-keys.ts';
import type { RowImage, Table } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection } from '../server/connection.ts';
import type { RowChange, StreamTransaction } from '../stream/transaction.ts';
import { Orphans, type OrphanOptions } from './orphans.ts';
import { tableSql } from './table-sql.ts';
import type { ApplyMode, ApplyStatement } from './table-statements.ts';
import { keyValues } from './window.ts';

/** A change of the origin whose foreign keys changed other rows with it. */
export type CascadingChange = Exclude<RowChange, { kind: 'insert' }>;

export type Segment = { kind: 'plain'; changes: RowChange[] } | { kind: 'cascading'; changes: CascadingChange[] };

/**
 * Foreign keys whose doings the origin does not log (MySQL before 9.6, MariaDB): the destination has the same keys, and has to
 * carry them out itself. So a change that sets one off is applied in its place among the others, by a statement with
 * `foreign_key_checks=1`; everything else is applied without checks, as ever. See ADR 22.
 */
export class Cascades {
  readonly #database: string;
  readonly #keys: readonly CascadingKey[];
  readonly #selfUpdating: ReadonlyMap<string, readonly string[]>;
  readonly #deletedParents: ReadonlySet<string>;
  readonly #descendants = new Map<string, ReadonlySet<string>>();
  readonly #updatedColumns = new Map<string, Set<string>>();

  constructor(database: string, keys: readonly CascadingKey[], selfUpdating: ReadonlyMap<string, readonly string[]>) {
    this.#database = database;
    this.#keys = keys;
    this.#selfUpdating = selfUpdating;
    this.#deletedParents = new Set(keys.filter(({ onDelete }) => onDelete !== null).map(({ parent }) => parent));
    for (const { parent, parentColumns, onUpdate } of keys) {
      if (onUpdate === null) continue;
      const known = this.#updatedColumns.get(parent);
      this.#updatedColumns.set(parent, new Set([...(known ?? []), ...parentColumns]));
    }
  }

  /** Null where there are none, or the origin logs what they do. The keys are the destination's: they are as of its position. */
  static async read(
    destination: ServerConnection,
    origin: () => Promise<ServerConnection>,
    database: string,
  ): Promise<Cascades | null> {
    const keys = await cascadingKeys(destination, database);
    if (keys.length === 0) return null;
    await using asked = await origin();
    if (await serverLogsCascades(asked)) return null;
    return new Cascades(database, keys, await selfUpdatingColumns(destination, database));
  }

  concerns({ changes, ours }: StreamTransaction): boolean {
    return !ours && changes.some((change) => this.isCascading(change));
  }

  isCascading(change: RowChange): change is CascadingChange {
    // Without checks at the origin nothing cascaded there.
    if (change.kind === 'insert' || change.unchecked === true) return false;
    if (change.kind === 'delete') return this.#deletedParents.has(change.table.name);
    const columns = this.#updatedColumns.get(change.table.name);
    if (columns === undefined) return false;
    return change.table.columns.some(({ name }, i) => columns.has(name) && change.before[i] !== change.after[i]);
  }

  /** The changes of a transaction in their order, cut where it matters. */
  segments(changes: readonly RowChange[]): Segment[] {
    const segments: Segment[] = [];
    for (const change of changes) {
      const last = segments.at(-1);
      if (this.isCascading(change)) {
        if (last?.kind === 'cascading') last.changes.push(change);
        else segments.push({ kind: 'cascading', changes: [change] });
      } else if (last?.kind === 'plain') last.changes.push(change);
      else segments.push({ kind: 'plain', changes: [change] });
    }
    return segments;
  }

  /** Names of all tables whose rows may change with one of `parent`, directly or through others. */
  descendants(parent: string): ReadonlySet<string> {
    const known = this.#descendants.get(parent);
    if (known !== undefined) return known;
    const found = new Set<string>();
    const look = (name: string) => {
      for (const { parent: of, child } of this.#keys) {
        if (of !== name || found.has(child)) continue;
        found.add(child);
        look(child);
      }
    };
    look(parent);
    this.#descendants.set(parent, found);
    return found;
  }

  /**
   * While rows are of different times (the copy), a cascade would hit rows that came to the parent later. It is left out then,
   * and what it should have taken away is left behind without a parent: `orphans` take that away. A changed key
   * leaves children that nobody could tell from those.
   */
  refuseWhileCopying(changes: readonly RowChange[]): void {
    const update = changes.find((change) => change.kind === 'update' && this.isCascading(change));
    if (update === undefined) return;
    throw new AppError(
      'APPLY_CASCADE_WHILE_COPYING',
      `a referenced key of ${this.#database}.${update.table.name} was changed while the table's children were being copied, and the origin does not log what its foreign keys changed with it`,
      { details: { table: update.table.name } },
    );
  }

  /** See there; once, when the rows are of one time. */
  orphans(options: Pick<OrphanOptions, 'destination' | 'origin' | 'tables'>): Orphans {
    return new Orphans({
      ...options,
      database: this.#database,
      keys: this.#keys,
      selfUpdating: this.#selfUpdating,
    });
  }
}

/** One statement for one row, which the server's foreign keys follow. */
export function cascadingStatement(change: CascadingChange, mode: ApplyMode): ApplyStatement {
  const { table, before } = change;
  const sql = tableSql(table);
  const key = keyValues(table, before);
  const where = sql.whereKeys([{ key, image: null, existed: true }]);
  const expected = mode === 'exact' ? 1 : null;
  if (change.kind === 'delete') {
    const state = { key, image: null, existed: true };
    return { kind: 'delete', table, states: [state], sql: `${sql.deletePrefix}${where}`, expected };
  }
  const state = { key, image: change.after, existed: true };
  const update = `UPDATE ${sql.name} SET ${assignments(table, change.after)} WHERE ${where}`;
  return { kind: 'look_up', table, states: [state], sql: update, expected };
}

function assignments(table: Table, after: RowImage): Bytes {
  return insertColumns(table)
    .map((column) => `${quoteName(column.name)}=${literal(column)(after[table.columns.indexOf(column)] ?? null)}`)
    .join(',');
}
