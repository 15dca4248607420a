import { AppError } from '../../core/errors.ts';
import { mayNumberRows } from './ddl-numbering.ts';
import { enumMembers } from '../schema/enum-members.ts';
import type { Column, Table } from '../schema/table.ts';
import type { Definitions } from './stream-schema.ts';
import type { LoggedQuery } from '../stream/query-event.ts';
import { sqlTokens } from '../stream/sql-lexer.ts';

/**
 * Throws COPY_SCHEMA_CHANGED where a DDL statement has run on the origin while its tables were copied, and rows that were read
 * behind it do not mean on the destination, which had not executed it yet, what they meant on the origin: bytes of another
 * charset, numbers of other ENUM members, columns that have exchanged names, rows of a table that has exchanged names with
 * another one. Most of them would be there without a sign (ADR 17).
 *
 * New columns, longer ones, indexes, TRUNCATE, DROP and CREATE are no matter: what the copy has read too early or too late has
 * its events in the stream.
 */
export function checkDdlDuringCopy(before: Definitions, changed: Definitions, { sql }: LoggedQuery): void {
  const names = [...changed.keys()].filter((name) => before.get(name) != null);
  const reason = names.length === 0 ? undefined : (exchanged(sql) ?? firstReason(names, before, changed));
  if (reason === undefined) return;
  throw new AppError(
    'COPY_SCHEMA_CHANGED',
    `${reason} while the tables were copied, so that rows may have been read in one form and kept in another: ${sql.slice(0, 500)}`,
    { details: { tables: names } },
  );
}

function firstReason(names: string[], before: Definitions, changed: Definitions): string | undefined {
  for (const name of names) {
    const [old, now] = [before.get(name), changed.get(name)];
    const column = old == null || now == null ? undefined : otherColumn(old, now);
    if (column !== undefined) return `column ${column} of ${name} has changed its type`;
  }
  return undefined;
}

/** Of names, not of definitions; and numbers that are given by the order and the number of the rows that are there. */
function exchanged(sql: string): string | undefined {
  const words = [...sqlTokens(sql)].map(({ kind, text }) => (kind === 'word' ? text.toUpperCase() : ''));
  if (words[0] === 'CREATE' || words[0] === 'DROP' || words[0] === 'TRUNCATE') return undefined;
  for (const [at, word] of words.entries()) {
    const next = words[at + 1];
    if (word === 'RENAME' && next !== 'INDEX' && next !== 'KEY')
      return `${next === 'COLUMN' ? 'a column' : 'a table'} was renamed`;
    if (word === 'CHANGE') return 'a column may have been renamed';
    if (word === 'EXCHANGE') return 'a partition was exchanged';
  }
  return mayNumberRows(sql) ? 'rows were numbered' : undefined;
}

function otherColumn(old: Table, now: Table): string | undefined {
  return old.columns.find((column) => {
    const other = now.columns.find(({ name }) => name === column.name);
    return other !== undefined && !isReadAlike(column, other);
  })?.name;
}

/** What is read of one may be kept in the other. */
function isReadAlike(old: Column, now: Column): boolean {
  if (old.dataType !== now.dataType || old.charset !== now.charset) return false;
  if (old.dataType !== 'enum' && old.dataType !== 'set') return true;
  const members = enumMembers(now);
  return enumMembers(old).every((member, i) => member === members[i]);
}
