import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherSide, type Side } from '../../core/phase.ts';
import type { Table } from '../../engine/schema/table.ts';
import { quoteName, type Value } from '../../engine/server/connection.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { exactRows } from '../support/exact-form.ts';
import { CellTable, committedResults, writeResults, type Operation } from './cells.ts';
import { FidelityPair, type Following } from './fidelity-pair.ts';
import { refusalsOf, type Refusal } from './refusals.ts';
import { structureBefore, structuresOf, structureStep, structureTables } from './structures.ts';
import { keyStatements, keySteps, keyTables, wideStatements, wideSteps, wideTables } from './zoo-tables.ts';

const SCHEMA = 'zoo';
/** New rows of each direction are numbered from here. */
const BASE = { target: 1000, source: 2000 };
/** Rows whose columns are changed on the target, one each, for the verification to find. */
const MISSES_FROM = 100_000;

/**
 * Every type and every special table, copied and replicated from `flavor` to MySQL 9.7 and back, in the order of an import:
 * copy, stream, verification, the stream of the other direction after a switch. What both servers say of each value is
 * compared by `exactForm`, and what was found is what docs/limits.md shows (`results.json`).
 */
export function testFidelity(flavor: Flavor): void {
  const wide = wideTables(flavor);
  const keys = keyTables(wide);
  const structures = structuresOf(flavor);
  /** The label of a column in the table of docs/limits.md. */
  const labels = new Map<string, string>([
    ...wide.flatMap(({ name, types }) => types.map((type) => [`${name}.${type.name}`, type.label] as const)),
    ...structures.flatMap((structure) => structureTables(structure).map((name) => [name, structure.label] as const)),
  ]);
  let pair: FidelityPair;

  beforeAll(async () => {
    pair = await FidelityPair.start(flavor);
    await pair.run('source', `CREATE DATABASE ${SCHEMA} CHARACTER SET utf8mb4`, `USE ${SCHEMA}`);
    await pair.run('source', ...wide.flatMap(wideStatements), ...keys.flatMap(keyStatements));
    for (const { name, types, rows } of wide) {
      // A literal that the server turned into NULL would make its case empty.
      const counts = await pair.connections.source.rows(
        `SELECT ${types.map((type) => `COUNT(${type.name})`).join(',')} FROM ${name}`,
      );
      expect([name, ...(counts[0] ?? [])]).toEqual([name, ...types.map(() => String(rows - 1))]);
    }
    await pair.run('source', 'SET SESSION collation_connection = utf8mb4_general_ci');
    await pair.run('source', ...structures.flatMap(structureBefore), 'SET SESSION collation_connection = binary');
  });
  afterAll(async () => {
    await pair?.[Symbol.asyncDispose]();
  });

  describe.each(['target', 'source'] as const)('to the %s', (destination: Side) => {
    const origin = otherSide(destination);
    const cells = new CellTable();
    const isForward = destination === 'target';
    const stepped = structures.filter(({ forwardOnly }) => isForward || forwardOnly !== true);
    let following: Following;

    afterAll(async () => {
      await following?.[Symbol.asyncDispose]();
    });

    test.runIf(isForward)('copy', async () => {
      await pair.copy(SCHEMA);
      await pair.run('target', `USE ${SCHEMA}`);
      await compare('copy');
      const view = await pair.verify(SCHEMA);
      expect(view.tables.filter(({ state }) => state !== 'equal')).toEqual([]);
    });

    test.each(['insert', 'update', 'delete', 'key'] as const)('%s', async (operation) => {
      following ??= await pair.follow(SCHEMA, destination);
      const base = BASE[destination];
      if (operation !== 'key') await pair.run(origin, ...wide.flatMap((table) => wideSteps(table, base)[operation]));
      await pair.run(origin, ...keys.flatMap((table) => keySteps(table, isForward ? 0 : 1)[operation]));
      await pair.run(origin, 'SET SESSION collation_connection = utf8mb4_general_ci');
      await pair.run(origin, ...stepped.flatMap((structure) => structureStep(structure, operation, base)));
      await pair.run(origin, 'SET SESSION collation_connection = binary');
      await following.caughtUp();
      await compare(operation);
    });

    test('the verification agrees, and finds a changed value of every column', async () => {
      await plantMisses();
      await following.caughtUp();
      expect((await pair.verify(SCHEMA)).tables.filter(({ state }) => state !== 'equal')).toEqual([]);
      await following[Symbol.asyncDispose]();
      const planted = new Map<string, Miss[]>();
      for (const { name } of wide) planted.set(name, await changeMisses(name));
      const { tables } = await pair.verify(SCHEMA);
      for (const { name, types } of wide) {
        const misses = planted.get(name) ?? [];
        expect(misses.length).toBe(types.length);
        const view = tables.find((table) => table.name === name);
        expect([name, view?.differencesTotal]).toEqual([name, misses.length]);
        const expected = misses.map(({ id, column }) => ({ key: `(${id})`, kind: 'different', columns: [column] }));
        // The view holds the first differences only.
        expect(expected).toEqual(
          expect.arrayContaining((view?.differences ?? []).map(({ key, kind, columns }) => ({ key, kind, columns }))),
        );
      }
      // Gone on both sides before the other direction begins.
      for (const side of [origin, destination])
        await pair.run(side, ...wide.map(({ name }) => `DELETE FROM ${name} WHERE id >= ${MISSES_FROM}`));
    });

    test.runIf(isForward)('what cannot go to the target stops with its code, and nothing is changed', async () => {
      for (const [index, refusal] of refusalsOf(flavor).entries()) await refuse(refusal, `refused${index}`);
      await pair.run('source', `USE ${SCHEMA}`);
    });

    test('docs/limits.md says so', async () => {
      const direction = isForward ? `${flavor} → mysql-9.7` : `mysql-9.7 → ${flavor}, back`;
      if (process.env['SWITCHYARD_FIDELITY'] === 'write') await writeResults(direction, cells.toJson());
      expect(cells.toJson()).toEqual((await committedResults())[direction]);
    });

    /** Notes what each label's values are like on both servers; fails where they are neither equal nor known to be converted. */
    async function compare(operation: Operation): Promise<void> {
      const [from, to] = [await pair.tables(origin, SCHEMA), await pair.tables(destination, SCHEMA)];
      const different: string[] = [];
      for (const table of from) {
        const other = to.find(({ name }) => name === table.name);
        if (other === undefined) throw new Error(`no table ${table.name}`);
        const here = await exactRows(pair.connections[origin], table);
        const there = await exactRows(pair.connections[destination], other);
        if (here.length !== there.length) different.push(`${table.name}: ${here.length} rows, ${there.length} rows`);
        for (const [at, column] of table.columns.entries()) {
          const cell = cellOf(here, there, at);
          if (cell === 'different') different.push(`${table.name}.${column.name} ${firstDifference(here, there, at)}`);
          note(table, column.name, operation, cell);
        }
      }
      expect(different).toEqual([]);
    }

    function note(table: Table, column: string, operation: Operation, cell: string): void {
      const key = keys.find(({ name }) => name === table.name);
      // A key table counts for "as key" only, whatever was done to its rows.
      if (key !== undefined) cells.note(key.type.label, 'key', cell);
      else {
        const label = labels.get(table.name) ?? labels.get(`${table.name}.${column}`);
        const isStructure = labels.has(table.name);
        const hasStep = stepped.some(
          ({ label: name, steps }) => name === label && operation !== 'copy' && (steps[operation] ?? []).length > 0,
        );
        if (label !== undefined && (isStructure ? operation === 'copy' || hasStep : operation !== 'key'))
          cells.note(label, operation, cell);
      }
    }

    async function refuse({ label, before, insert, update, codes }: Refusal, schema: string): Promise<void> {
      await pair.run('source', `CREATE DATABASE ${schema}`, `USE ${schema}`, ...before);
      const { findings } = await pair.validate(schema);
      if (insert === undefined) {
        expect([label, ...findings.map(({ code }) => code)]).toContain(codes.copy);
        cells.note(label, 'copy', `refused: ${codes.copy}`);
        return;
      }
      await pair.run('source', insert);
      await expect(pair.copy(schema)).rejects.toMatchObject({ code: codes.copy });
      expect(await pair.connections.target.rows(`SELECT COUNT(*) FROM ${schema}.t`)).toEqual([['0']]);
      cells.note(label, 'copy', `refused: ${codes.copy}`);
      await pair.run('source', 'DELETE FROM t');
      const changes = { insert: [insert], ...(update === undefined ? {} : { update: [update.insert, update.update] }) };
      for (const [operation, statements] of Object.entries(changes)) {
        await using stopped = await pair.follow(schema, 'target');
        await pair.run('source', ...statements);
        await expect(stopped.caughtUp()).rejects.toMatchObject({ code: codes.stream });
        cells.note(label, operation as Operation, `refused: ${codes.stream}`);
      }
    }

    /** Copies of rows, made by the origin, each of which will get another value in one column. */
    async function plantMisses(): Promise<void> {
      for (const { name, types } of wide) {
        const table = await tableOf(origin, name);
        const columns = types.map((type) => type.name).join(',');
        for (const { copied, at } of await missesOf(origin, table))
          await pair.run(
            origin,
            `INSERT INTO ${name} (id,${columns}) SELECT ${MISSES_FROM + at},${columns} FROM ${name} WHERE id = ${copied}`,
          );
      }
    }

    async function changeMisses(name: string): Promise<Miss[]> {
      const table = await tableOf(origin, name);
      const planted = await missesOf(origin, table);
      const put = (column: string, at: number, from: number) =>
        `UPDATE ${name} a JOIN (SELECT ${quoteName(column)} AS x FROM ${name} WHERE id = ${from}) b SET a.${quoteName(column)} = b.x WHERE a.id = ${MISSES_FROM + at}`;
      await pair.run(destination, ...planted.map(({ column, at, changed }) => put(column, at, changed)));
      return planted.map(({ column, at }) => ({ id: MISSES_FROM + at, column }));
    }

    async function tableOf(side: Side, name: string): Promise<Table> {
      return (await pair.tables(side, SCHEMA)).find((table) => table.name === name) ?? expect.fail();
    }

    /** For each column: the row that is copied, and another one with another value. */
    async function missesOf(side: Side, table: Table) {
      const rows = (await exactRows(pair.connections[side], table)).filter(([id]) => idOf(id) < MISSES_FROM);
      return table.columns.slice(1).map(({ name }, index) => {
        const at = index + 1;
        const copied = rows.findIndex((row) => row[at] !== null);
        const changed = rows.findLastIndex((row) => row[at] !== null && row[at] !== rows[copied]?.[at]);
        return { column: name, at, copied: idOf(rows[copied]?.[0]), changed: idOf(rows[changed]?.[0]) };
      });
    }
  });
}

/** A row whose `column` alone was changed on one side. */
interface Miss {
  id: number;
  column: string;
}

/** From the exact form of an INT. */
function idOf(value: Value | undefined): number {
  return Number(Buffer.from(value ?? '', 'hex').toString('latin1'));
}

function cellOf(here: Value[][], there: Value[][], at: number): 'exact' | 'different' | 'converted: INTEGER' {
  const pairs = here.map((row, index) => [row[at], there[index]?.[at]] as const);
  if (pairs.every(([a, b]) => a === b)) return 'exact';
  const folded = (value: Value | undefined) => value?.replaceAll('UNSIGNED INTEGER', 'INTEGER');
  return pairs.every(([a, b]) => folded(a) === folded(b)) ? 'converted: INTEGER' : 'different';
}

function firstDifference(here: Value[][], there: Value[][], at: number): string {
  const index = here.findIndex((row, i) => row[at] !== there[i]?.[at]);
  return `row ${index}: ${String(here[index]?.[at]).slice(0, 100)} and ${String(there[index]?.[at]).slice(0, 100)}`;
}
