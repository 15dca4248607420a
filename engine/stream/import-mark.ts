import type { BinlogEvent } from './event.ts';
import { openRows } from './rows-event.ts';

/** Tables of `_switchyard` that are written to beside imported rows. Their first column is `import_id`, of 64 characters at most. */
const MARKS: ReadonlySet<string> = new Set(['progress', 'progress_lanes', 'copy_chunks']);

export function isImportMark(table: string): boolean {
  return MARKS.has(table);
}

/** Whose import writes: of the first row of an event on such a table. */
export function readImportMark(event: BinlogEvent): string {
  const { columns, bitmaps, cursor } = openRows(event);
  let present = 0;
  for (let at = 0; at < columns; at += 1) present += ((bitmaps.first[at >> 3] ?? 0) >> (at & 7)) & 1;
  cursor.skip((present + 7) >> 3);
  return cursor.slice(cursor.uint8()).toString('latin1');
}

/** For DDL, which changes no row of those tables, beside `OWN_COMMENT`. */
export function importComment(importId: string): string {
  return `/* import ${importId} */`;
}

export function readImportComment(sql: string): string | undefined {
  return /\/\* import ([a-z0-9-]+) \*\//.exec(sql)?.[1];
}
