import { readFileSync } from 'node:fs';
import { LABELS } from './labels.ts';
import type { Cell, Cells, Operation, Results } from './cells.ts';

const BEGIN = '<!-- made from test/fidelity/results.json by npm run docs -->';
const END = '<!-- end of what is made -->';

/** A column of the table is one or more directions; reverse streams copy nothing. */
const COLUMNS: { title: string; directions: string[]; operations: Operation[] }[] = [
  {
    title: 'MySQL → MySQL',
    directions: ['mysql-9.7 → mysql-9.7', 'mysql-9.7 → mysql-9.7, back'],
    operations: ['copy', 'insert', 'update', 'delete', 'key'],
  },
  {
    title: 'MariaDB → MySQL',
    directions: ['mariadb-10.11 → mysql-9.7', 'mariadb-11.8 → mysql-9.7'],
    operations: ['copy', 'insert', 'update', 'delete', 'key'],
  },
  {
    title: 'back to MariaDB',
    directions: ['mysql-9.7 → mariadb-10.11, back', 'mysql-9.7 → mariadb-11.8, back'],
    operations: ['insert', 'update', 'delete', 'key'],
  },
];

/** docs/limits.md with its table of values made anew. */
export function limitsPage(): string {
  const page = readFileSync('docs/limits.md', 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end === -1) throw new Error('docs/limits.md has lost the marks of its table');
  const results = JSON.parse(readFileSync(new URL('results.json', import.meta.url), 'utf8')) as Results;
  return `${page.slice(0, begin + BEGIN.length)}\n\n${table(results)}\n${page.slice(end)}`;
}

function table(results: Results): string {
  const titles = COLUMNS.flatMap(({ title, operations }) =>
    operations.map((operation, index) => (index === 0 ? `${title}: ${name(operation)}` : name(operation))),
  );
  const rows = LABELS.map((label) => {
    const cells = COLUMNS.flatMap(({ directions, operations }) =>
      operations.map((operation) =>
        shown(
          directions.map((direction) => results[direction]?.[label]),
          operation,
        ),
      ),
    );
    return [label, ...cells];
  });
  const lines = [['type', ...titles], ['---', ...titles.map(() => ':-:')], ...rows];
  return `${lines.map((line) => `| ${line.join(' | ')} |`).join('\n')}\n`;
}

function name(operation: Operation): string {
  return operation === 'key' ? 'as key' : operation;
}

/** ✓ for exact everywhere; a dash where there is no such thing; otherwise what the servers that have it said. */
function shown(found: (Cells | undefined)[], operation: Operation): string {
  const cells = [...new Set(found.flatMap((row): Cell[] => [row?.[operation] ?? []].flat()))];
  if (cells.length === 0) return '–';
  return cells.map((cell) => (cell === 'exact' ? '✓' : cell)).join(', ');
}
