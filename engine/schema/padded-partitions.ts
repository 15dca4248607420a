import type { Table } from './table.ts';

/**
 * Columns of padded text that decide on the partition of a row, as `name (collation)`.
 *
 * Partitions by KEY hash the text, and the UCA collations that pad hash what stands at its end although they take it for spaces (a
 * no-break space). Then rows of equal keys are in different partitions, and the server, asked for a range of keys, may look into one of
 * them alone (MySQL 9.7): the copy and the verification would both miss the others.
 */
export function paddedPartitionColumns(table: Table): string[] {
  const clause = /\bPARTITION BY (?:LINEAR )?KEY (?:ALGORITHM = \d )?\(([^)]*)\)/.exec(
    afterDefinitions(table.createSql),
  );
  if (clause === null) return [];
  const named = (clause[1] ?? '').split(',').map((name) => name.trim().replace(/^`|`$/g, ''));
  const isNamed = (name: string, at: number) =>
    clause[1]?.trim() === '' ? table.key?.columns.includes(at) === true : named.includes(name);
  return table.columns
    .filter(({ name, collation }, at) => isNamed(name, at) && isPaddedUca(collation))
    .map(({ name, collation }) => `${name} (${collation})`);
}

/** The options and partitions stand on the last lines; column comments do not. */
export function afterDefinitions(createSql: string): string {
  return createSql.slice(createSql.lastIndexOf('\n) ') + 1);
}

/** Of the Unicode charsets all but those that compare by code point, do not pad, or know no weights of several characters. */
function isPaddedUca(collation: string | null): boolean {
  return (
    collation !== null &&
    /^(utf8|utf8mb3|utf8mb4|ucs2|utf16|utf32|uca1400)_/.test(collation) &&
    !/_bin$|_general_|_0900_|nopad|tolower/.test(collation)
  );
}
