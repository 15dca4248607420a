import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { LABELS } from './labels.ts';

/** `exact`, `converted: how`, or `refused: CODE`. */
export type Cell = string;

export const OPERATIONS = ['copy', 'insert', 'update', 'delete', 'key'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What was found of one subject; an operation that it does not have is missing. */
export type Cells = Partial<Record<Operation, Cell>>;

/** From → to, then what docs/limits.md calls the subject. */
export type Results = Record<string, Record<string, Cells>>;

const FILE = path.join(import.meta.dirname, 'results.json');

export async function committedResults(): Promise<Results> {
  return JSON.parse(await readFile(FILE, 'utf8')) as Results;
}

/** Replaces what is committed of one direction: only with SWITCHYARD_FIDELITY=write. */
export async function writeResults(direction: string, cells: Record<string, Cells>): Promise<void> {
  const results: Results = { ...(await committedResults().catch(() => ({}))), [direction]: cells };
  const sorted = Object.fromEntries(Object.entries(results).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  await writeFile(FILE, `${JSON.stringify(sorted, null, 2)}\n`);
}

/** Collects cells; of several columns under one label the worst is kept. */
export class CellTable {
  readonly #cells = new Map<string, Map<Operation, Cell>>();

  note(label: string, operation: Operation, cell: Cell): void {
    const row = this.#cells.get(label) ?? new Map<Operation, Cell>();
    this.#cells.set(label, row);
    const known = row.get(operation);
    if (known === undefined || known === 'exact') row.set(operation, cell);
  }

  /** In the order of `LABELS`, whatever was noted first. */
  toJson(): Record<string, Cells> {
    const sorted = [...this.#cells].toSorted(([a], [b]) => LABELS.indexOf(a) - LABELS.indexOf(b));
    return Object.fromEntries(
      sorted.map(([label, row]) => [
        label,
        Object.fromEntries(
          OPERATIONS.flatMap((operation) => (row.has(operation) ? [[operation, row.get(operation)]] : [])),
        ),
      ]),
    );
  }
}
