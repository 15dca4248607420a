import { stripVTControlCharacters } from 'node:util';

export interface Column {
  title: string;
  align?: 'left' | 'right';
}

/** Rows in aligned columns, two blanks apart, titles in upper case. What a server sent cannot steer the terminal. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map(({ title }) => title.toUpperCase()), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  return cells
    .map((row) =>
      columns
        .map(({ align }, at) => {
          const width = widths[at] ?? 0;
          return align === 'right' ? (row[at] ?? '').padStart(width) : (row[at] ?? '').padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One line, without control characters: names and messages come from databases. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}]+/gu, ' ');
}
