import type { Column } from '../schema/table.ts';
import { charsetOfCollation } from './client-charset.ts';
import type { MappedColumn } from './table-map.ts';

/** One is the others' beginning: what is text in several of them is the same text. */
const UNICODE: ReadonlySet<string> = new Set(['ascii', 'utf8mb3', 'utf8mb4']);

/**
 * The charset in which the log has the texts of a column, where that is not the one in which they would be read: they would be other
 * texts, most of them without a sign. So where the definition is of another time than the rows: DDL that came between the position of
 * a stream and the look at the tables, a table made by other defaults. Undefined also where the log does not tell.
 */
export function otherCharset({ collation }: MappedColumn, { charset }: Column): string | undefined {
  const logged = collation === null ? undefined : charsetOfCollation(collation);
  if (logged === undefined || charset === null) return undefined;
  // Bytes stay bytes, whichever of the two calls them text.
  if (logged === 'binary' || charset === 'binary') return undefined;
  const read = charset === 'utf8' ? 'utf8mb3' : charset;
  return logged === read || (UNICODE.has(logged) && UNICODE.has(read)) ? undefined : logged;
}
