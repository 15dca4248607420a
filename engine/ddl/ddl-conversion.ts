import type { Column, Table } from '../schema/table.ts';
import type { LoggedQuery } from '../stream/query-event.ts';

type Kind =
  | 'integer'
  | 'decimal'
  | 'approximate'
  | 'date'
  | 'time'
  | 'year'
  | 'bit'
  | 'enum'
  | 'set'
  | 'text'
  | 'bytes'
  | 'uuid'
  | 'inet4'
  | 'inet6'
  | 'other';

/** Conversions of which MariaDB (11.8) and MySQL (9.7) make different values, also where MariaDB was strict. */
const ALWAYS: Partial<Record<Kind, readonly Kind[]>> = {
  approximate: ['integer', 'year', 'bit', 'enum', 'set'],
  decimal: ['enum', 'set'],
  // Days without a year; 20240101 as a time.
  integer: ['date', 'time'],
  // Fractions of seconds are cut off or rounded.
  date: ['integer', 'bit'],
  time: ['integer', 'bit'],
  text: ['time'],
};
/** Further ones, of values that strict modes of MariaDB refuse: 1.5 and 1e3 as integers, times with an offset, bytes as text. */
const LOOSE: Partial<Record<Kind, readonly Kind[]>> = {
  approximate: ['date', 'time'],
  integer: ['set'],
  date: ['year'],
  time: ['year'],
  year: ['set'],
  bit: ['text'],
  text: ['integer', 'year', 'set', 'date'],
  bytes: ['integer', 'year', 'set', 'date', 'time', 'text'],
};
/** MariaDB's own, which are text in MySQL. */
const OWN: readonly Kind[] = ['uuid', 'inet4', 'inet6'];
const STRICT_MODES = 0b11n << 21n;

export interface ConversionContext {
  before: Table;
  /** On the origin and on the destination: one of them may be further on. */
  after: readonly Table[];
  ddl: LoggedQuery;
  isOfMariadb: boolean;
}

/** The column of which MariaDB and MySQL would make different values by this statement, if there is one: as tried with every pair of types. */
export function convertedOtherwise({ before, after, ddl, isOfMariadb }: ConversionContext): string | undefined {
  const isStrict = isOfMariadb && ((ddl.session.sqlMode ?? 0n) & STRICT_MODES) !== 0n;
  const mayRename = /\bCHANGE\b/i.test(ddl.sql);
  for (const { columns } of after) {
    const added = columns.filter(({ name }) => !has(before.columns, name));
    for (const old of before.columns) {
      const now = columns.find(({ name }) => isSame(name, old.name));
      const candidates = now === undefined ? (mayRename ? added : []) : [now];
      if (candidates.some((column) => differs(old, column, isStrict))) return old.name;
    }
  }
  return undefined;
}

function differs(old: Column, now: Column, isStrict: boolean): boolean {
  const [from, to] = [kindOf(old), kindOf(now)];
  // A destination that is MySQL has them as text all the time.
  if (OWN.includes(from) || OWN.includes(to)) return from !== to && !(OWN.includes(from) && to === 'text');
  if ((from === 'date' || from === 'time') && to !== 'year' && !/\(\d\)/.test(old.columnType)) return false;
  return ALWAYS[from]?.includes(to) === true || (!isStrict && LOOSE[from]?.includes(to) === true);
}

function kindOf({ dataType, charset, collation }: Column): Kind {
  switch (dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
      return 'integer';
    case 'float':
    case 'double':
      return 'approximate';
    case 'date':
    case 'datetime':
    case 'timestamp':
      return 'date';
    case 'decimal':
    case 'time':
    case 'year':
    case 'bit':
    case 'enum':
    case 'set':
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return dataType;
    default:
      if (/char|text/.test(dataType)) return charset === null && collation === null ? 'bytes' : 'text';
      return /binary|blob/.test(dataType) ? 'bytes' : 'other';
  }
}

function has(columns: readonly Column[], name: string): boolean {
  return columns.some((column) => isSame(column.name, name));
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
