import { setTimeout as delay } from 'node:timers/promises';
import type { ServerConnection } from '../../engine/server/connection.ts';
import { SYSBENCH_DATABASE, sysbenchTableName } from '../sysbench-tables.ts';

/** Pages that are left to be written: about as many as an idle server keeps. */
const DIRTY_PAGES_MAX = 200;

/** Drops the database, and waits until what earlier rounds wrote is on disk, so that no round pays for another's. */
export async function emptyTarget(target: ServerConnection): Promise<void> {
  await target.write(`DROP DATABASE IF EXISTS ${SYSBENCH_DATABASE}`);
  await target.write('SET GLOBAL innodb_max_dirty_pages_pct=0');
  while ((await dirtyPages(target)) > DIRTY_PAGES_MAX) await delay(100);
  await target.write('SET GLOBAL innodb_max_dirty_pages_pct=90');
}

/** Throws unless every table has all its rows and its secondary index. */
export async function checkTarget(
  target: ServerConnection,
  { tables, rowsPerTable }: { tables: number; rowsPerTable: number },
): Promise<void> {
  for (let number = 1; number <= tables; number += 1) {
    const name = sysbenchTableName(number);
    const [row] = await target.rows(
      `SELECT COUNT(*), (SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='${SYSBENCH_DATABASE}' AND TABLE_NAME='${name}' AND INDEX_NAME='k_${number}') FROM ${SYSBENCH_DATABASE}.${name}`,
    );
    if (Number(row?.[0]) !== rowsPerTable || row?.[1] !== '1')
      throw new Error(`${name} has ${row?.[0]} rows of ${rowsPerTable} and ${row?.[1]} secondary indexes of 1`);
  }
}

async function dirtyPages(target: ServerConnection): Promise<number> {
  const [row] = await target.rows("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'");
  return Number(row?.[1] ?? 0);
}
