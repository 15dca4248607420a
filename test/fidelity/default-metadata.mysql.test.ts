import { describe, expect, test } from 'vitest';
import { otherSide, type Side } from '../../core/phase.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { exactRows } from '../support/exact-form.ts';
import { isWhole, selected } from '../support/selection.ts';
import { FidelityPair } from './fidelity-pair.ts';
import { structureBefore, structuresOf, structureStep } from './structures.ts';
import { keyStatements, keySteps, keyTables, wideStatements, wideSteps, wideTables } from './zoo-tables.ts';

const SCHEMA = 'zoo';
const OPERATIONS = ['insert', 'update', 'delete', 'key'] as const;
const BASE = { target: 1000, source: 2000 };

/**
 * The servers of all other tests log names, charsets, signs and members with each table (`binlog_row_metadata=FULL`). What servers
 * in the field log is the default, which has next to nothing of it: then all of it comes from the definitions that the stream keeps.
 */
const METADATA = selected<[Flavor, metadata: string]>([['mariadb-11.8', 'NO_LOG']], [['mysql-9.7', 'MINIMAL']]);
describe.each(METADATA)(
  'every type from %s and back with binlog_row_metadata at its default, %s',
  (flavor, metadata) => {
    test('is as on the origin after inserts, updates, deletes and changes of keys', async () => {
      await using pair = await FidelityPair.start(flavor);
      await pair.run('source', `SET GLOBAL binlog_row_metadata = ${metadata}`);
      await pair.run('target', 'SET GLOBAL binlog_row_metadata = MINIMAL');
      const wide = wideTables(flavor);
      // What is read of a key is what is read of the same column elsewhere; that it is one, no log says.
      const keys = keyTables(wide).filter((_, index) => isWhole || index % 4 === 0);
      const structures = structuresOf(flavor).filter(({ label }) => !label.includes('over 16 MiB'));
      await pair.run('source', `CREATE DATABASE ${SCHEMA} CHARACTER SET utf8mb4`, `USE ${SCHEMA}`);
      await pair.run('source', ...wide.flatMap(wideStatements), ...keys.flatMap(keyStatements));
      await pair.run('source', 'SET SESSION collation_connection = utf8mb4_general_ci');
      await pair.run('source', ...structures.flatMap(structureBefore), 'SET SESSION collation_connection = binary');
      await pair.copy(SCHEMA);
      await pair.run('target', `USE ${SCHEMA}`);

      for (const destination of ['target', 'source'] as const) {
        const origin = otherSide(destination);
        const isForward = destination === 'target';
        const stepped = structures.filter(({ forwardOnly }) => isForward || forwardOnly !== true);
        const base = BASE[destination];
        await using following = await pair.follow(SCHEMA, destination);
        for (const operation of OPERATIONS) {
          if (operation !== 'key')
            await pair.run(origin, ...wide.flatMap((table) => wideSteps(table, base)[operation]));
          await pair.run(origin, ...keys.flatMap((table) => keySteps(table, isForward ? 0 : 1)[operation]));
          await pair.run(origin, 'SET SESSION collation_connection = utf8mb4_general_ci');
          await pair.run(origin, ...stepped.flatMap((structure) => structureStep(structure, operation, base)));
          await pair.run(origin, 'SET SESSION collation_connection = binary');
          await following.caughtUp();
          expect(await differing(pair, origin), `${operation} to the ${destination}`).toEqual([]);
        }
      }
    });
  },
);

/** Names of the tables whose rows are not the same on both sides. */
async function differing(pair: FidelityPair, origin: Side): Promise<string[]> {
  const there = await pair.tables(otherSide(origin), SCHEMA);
  const names: string[] = [];
  for (const table of await pair.tables(origin, SCHEMA)) {
    const other = there.find(({ name }) => name === table.name);
    if (other === undefined) throw new Error(`no table ${table.name}`);
    const [left, right] = [await rowsOf(origin, table), await rowsOf(otherSide(origin), other)];
    if (left !== right) names.push(table.name);
  }
  return names;

  /** An UNSIGNED INTEGER in JSON becomes an INTEGER (docs/limits.md). */
  async function rowsOf(side: Side, table: Parameters<typeof exactRows>[1]): Promise<string> {
    return JSON.stringify(await exactRows(pair.connections[side], table)).replaceAll('UNSIGNED INTEGER', 'INTEGER');
  }
}
