import type { Column } from './table.ts';

/** Members of an ENUM or SET column as `COLUMN_TYPE` quotes them (quotes doubled), without the outer quotes. */
export function enumMembers({ columnType }: Column): string[] {
  const members: string[] = [];
  for (let at = columnType.indexOf('('); columnType[at + 1] === "'";) {
    let end = at + 2;
    while (columnType[end] !== undefined && (columnType[end] !== "'" || columnType[end + 1] === "'")) {
      end += columnType[end] === "'" ? 2 : 1;
    }
    members.push(columnType.slice(at + 2, end));
    at = end + 1;
  }
  return members;
}

/**
 * Whether a number given as text always means an index (ENUM) or a mask (SET): the server first looks for a member of
 * that name. Charsets of two and four bytes read the digits as other characters.
 */
export function numbersMeanIndexes(column: Column): boolean {
  if (column.charset !== null && /^(ucs2|utf16|utf32)/.test(column.charset)) return false;
  return !enumMembers(column).some((member) => /^\s*[0-9]/.test(member));
}
