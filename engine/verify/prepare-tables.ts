import type { Table } from '../schema/table.ts';
import type { ConnectionPair, Flavors, OpenPair } from './connection-pair.ts';
import { selfTest } from './pair-self-test.ts';
import { pairAll, type Aggregates, type TablePair } from './table-pair.ts';

export interface TablesOfBothSides {
  flavors: Flavors;
  sourceTables: Table[];
  targetTables: Table[];
}

/** The tables with the SQL that compares them, the largest first. Rejects with VERIFY_PAIR_UNEQUAL or VERIFY_TABLES_DIFFER. */
export async function prepareTables(
  pair: ConnectionPair,
  { flavors, sourceTables, targetTables }: TablesOfBothSides,
): Promise<TablePair[]> {
  const aggregates = await pair.use(async (open) => await selfTests(open, flavors));
  const largestFirst = [...sourceTables].sort((a, b) => b.bytes - a.bytes);
  return pairAll(largestFirst, targetTables, aggregates);
}

/** Rejects with VERIFY_PAIR_UNEQUAL. */
export async function selfTests({ source, target }: OpenPair, flavors: Flavors): Promise<Aggregates> {
  return {
    source: await selfTest(source, flavors.source),
    target: await selfTest(target, flavors.target),
  };
}
