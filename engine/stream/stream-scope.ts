import type { Flavor } from '../../core/gtid.ts';
import type { Table } from '../schema/table.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import { readImportComment } from './import-mark.ts';
import { statementEffect, type JudgedQuery, type TableName } from './statement-effect.ts';

/**
 * The one table of ours that does not mark a transaction as ours. It has a row for each stray write that was applied to
 * the primary, in the transaction that applied it: that is a write like an application's and must be replicated, and yet
 * must be done once at most. Marked in a second transaction instead, a crash between the two would leave unknown whether
 * it was applied, and the application may have changed the row back since.
 */
export const UNMARKED_TABLE = 'stray_applied';
/** Marks DDL that we run ourselves, where the server keeps comments in the log. */
export const OWN_COMMENT = '/* switchyard */';

/** Tables of `_switchyard` whose rows are read, by name; `keepsRows`: and the other rows of their transactions with them. */
export type OwnTables = ReadonlyMap<string, { table: Table; keepsRows: boolean }>;

export interface StreamScope {
  /** Of the server whose log is read. */
  readonly flavor: Flavor;
  readonly ownTables?: OwnTables;
  /** Whether what the import of that name has written is ours; else it is as an application's. Left out: all imports' are. */
  readonly isOwnImport?: (importId: string) => boolean;
  /** As it is at the position of the stream. Undefined: out of scope, or it does not exist there. */
  readonly tableOf: (schema: string, name: string) => Table | undefined;
  /** Also a table that was dropped and may come back. */
  readonly isImported: (schema: string, name: string) => boolean;
  /** Whether a statement that names this schema is about the imported one. */
  readonly inScope: (schema: string) => boolean;
  /** Whether a statement that names this table is about an imported one. */
  readonly namesImported: (schema: string, name: string) => boolean;
  /** Whether a table that comes to be in this schema is to be imported too. */
  readonly takesNew: (schema: string) => boolean;
}

/**
 * Statements keep the case in which somebody wrote a name, and with lower_case_table_names=1 that is no part of the name.
 * So any case counts: on a server that tells them apart, a table or schema of the same letters makes a stop too many.
 */
export function isSameName(written: string, imported: string): boolean {
  return written === imported || written.toLowerCase() === imported.toLowerCase();
}

/**
 * `mentions`: names in a statement that changes rows, of no imported table; they may be of what reaches one (`ReachingObjects`).
 */
export type StatementVerdict =
  | { kind: 'pass'; ours: boolean; mentions?: TableName[] }
  | { kind: 'ddl'; ours: boolean; withRows: boolean }
  | { kind: 'dml'; tables: TableName[] };

/** What a logged statement means for the stream. Unknown statements count as touching (I4). */
export function judgeStatement(query: JudgedQuery, scope: StreamScope): StatementVerdict {
  const { schema, sql } = query;
  const effect = statementEffect(query);
  const importId = readImportComment(sql);
  const marked =
    sql.includes(OWN_COMMENT) &&
    (importId === undefined || scope.isOwnImport === undefined || scope.isOwnImport(importId));
  switch (effect.kind) {
    case 'none':
      return { kind: 'pass', ours: marked || isOurs(effect.tables) };
    case 'tables': {
      const ours = marked || isOurs(effect.tables);
      const touches =
        effect.tables.some((table) => scope.namesImported(table.schema, table.name)) ||
        (effect.makes && effect.tables.some((table) => scope.takesNew(table.schema)));
      return touches ? { kind: 'ddl', ours, withRows: effect.queries === true } : { kind: 'pass', ours };
    }
    case 'schema': {
      const ours = marked || effect.schema === SIDECAR_SCHEMA;
      return scope.inScope(effect.schema) ? { kind: 'ddl', ours, withRows: false } : { kind: 'pass', ours };
    }
    case 'rows': {
      const touched = effect.tables.filter((table) => scope.namesImported(table.schema, table.name));
      if (touched.length > 0) return { kind: 'dml', tables: touched };
      const cleared = /^\s*(DELETE|TRUNCATE)\b/i.test(sql);
      return scope.inScope(schema) && !cleared
        ? { kind: 'dml', tables: [] }
        : { kind: 'pass', ours: marked || isOurs(effect.tables), mentions: effect.tables };
    }
    case 'unknown':
      return { kind: 'ddl', ours: marked, withRows: false };
    default:
      throw new Error(`no such effect: ${String(effect satisfies never)}`);
  }
}

function isOurs(tables: TableName[]): boolean {
  return tables.some(({ schema }) => schema === SIDECAR_SCHEMA);
}
