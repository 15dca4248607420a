import type { ServerConnection } from '../engine/server/connection.ts';

export const SYSBENCH_DATABASE = 'sbtest';

export interface SysbenchTables {
  tables: number;
  rowsPerTable: number;
}

export function sysbenchTableName(number: number): string {
  return `sbtest${number}`;
}

/**
 * The tables of sysbench's OLTP tests, filled in the server, the same rows every time. Durability is off meanwhile and
 * as it was afterwards.
 */
export async function makeSysbenchTables(
  connection: ServerConnection,
  { tables, rowsPerTable }: SysbenchTables,
): Promise<void> {
  await connection.write(`CREATE DATABASE IF NOT EXISTS ${SYSBENCH_DATABASE}`);
  await withoutDurability(connection, async () => {
    for (let number = 1; number <= tables; number += 1) await makeTable(connection, number, rowsPerTable);
  });
}

/** What is written by `work` is not waited for on disk. */
export async function withoutDurability(connection: ServerConnection, work: () => Promise<void>): Promise<void> {
  const before = await connection.selectOne<{ log: string; binlog: string }>(
    'SELECT @@GLOBAL.innodb_flush_log_at_trx_commit AS log, @@GLOBAL.sync_binlog AS `binlog`',
  );
  await connection.write('SET GLOBAL innodb_flush_log_at_trx_commit=0, GLOBAL sync_binlog=0');
  try {
    await work();
  } finally {
    await connection.write(
      `SET GLOBAL innodb_flush_log_at_trx_commit=${before?.log ?? 1}, GLOBAL sync_binlog=${before?.binlog ?? 1}`,
    );
  }
}

async function makeTable(connection: ServerConnection, number: number, rows: number): Promise<void> {
  const name = `${SYSBENCH_DATABASE}.${sysbenchTableName(number)}`;
  await connection.write(
    `CREATE TABLE ${name} (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', ` +
      `pad CHAR(60) NOT NULL DEFAULT '', PRIMARY KEY (id)) ENGINE=InnoDB`,
  );
  await connection.write(`SET SESSION cte_max_recursion_depth=${rows + 1}`);
  await connection.write(
    `INSERT INTO ${name} WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${rows}) ` +
      `SELECT id, 1 + CRC32(CONCAT('k', ${number}, '-', id)) % ${rows}, ${groups(number, 'c', 10)}, ${groups(number, 'p', 5)} FROM n`,
  );
  await connection.write(`ALTER TABLE ${name} ADD KEY k_${number} (k)`);
}

/** Groups of eleven digits, as sysbench's own strings are. */
function groups(number: number, salt: string, count: number): string {
  const parts = Array.from(
    { length: count },
    (_, group) => `LPAD(CRC32(CONCAT('${salt}${group}', ${number}, '-', id)), 11, '0')`,
  );
  return `CONCAT_WS('-', ${parts.join(', ')})`;
}
