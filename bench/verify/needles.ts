import { SYSBENCH_DATABASE } from '../sysbench-tables.ts';
import type { VerifyStage } from './verify-stage.ts';

const TABLE = `${SYSBENCH_DATABASE}.sbtest1`;

/** One change of one row on the target alone, and how it is undone. */
const NEEDLES = [
  {
    name: 'a single flipped bit',
    hide: `UPDATE ${TABLE} SET c = CONCAT(LEFT(c, 59), CHAR(ASCII(SUBSTR(c, 60, 1)) ^ 1), SUBSTR(c, 61)) WHERE id = 12345`,
  },
  { name: 'a missing row', hide: `DELETE FROM ${TABLE} WHERE id = 23456` },
  { name: 'an extra row', hide: `INSERT INTO ${TABLE} (id, k, c, pad) VALUES (2000000000, 1, 'extra', '')` },
  // Equal in the column's collation, other bytes.
  { name: 'a differing collation-equal string', hide: `UPDATE ${TABLE} SET pad = UPPER(pad) WHERE id = 34567` },
];

export interface NeedleResult {
  name: string;
  found: boolean;
  differences: number;
}

/** Hides each needle alone, verifies, and puts the target right again by hand. */
export async function findAll(stage: VerifyStage, onProgress: (message: string) => void): Promise<NeedleResult[]> {
  const results: NeedleResult[] = [];
  await stage.onSource(`UPDATE ${TABLE} SET pad = 'a string of letters' WHERE id = 34567`);
  await stage.verify();
  for (const { name, hide } of NEEDLES) {
    await stage.onTarget(`CREATE TABLE _switchyard.needle AS SELECT * FROM ${TABLE} WHERE id IN (12345, 23456, 34567)`);
    await stage.onTarget(hide);
    const { view } = await stage.verify();
    const differences = view.tables.reduce((sum, table) => sum + table.differencesTotal, 0);
    results.push({ name, found: view.state === 'different' && differences === 1, differences });
    onProgress(`${name}: ${view.state}, ${differences} differences`);
    await stage.onTarget(`REPLACE INTO ${TABLE} SELECT * FROM _switchyard.needle`);
    await stage.onTarget(`DELETE FROM ${TABLE} WHERE id = 2000000000`);
    await stage.onTarget('DROP TABLE _switchyard.needle');
  }
  return results;
}
