import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { ServerConnection } from '../engine/server/connection.ts';
import { startServer } from '../servers/start-server.ts';
import type { BenchOptions, BenchResult } from './bench.ts';
import { serverDefinition, withFolder, type CopyPeer, type CopyStage } from './copy/copy-stage.ts';
import { SwitchyardCopy } from './copy/switchyard.ts';
import { checkTarget, emptyTarget } from './copy/target-tables.ts';
import { loadDataPeer } from './peers/load-data-files.ts';
import { mydumperPeer } from './peers/mydumper.ts';
import { mysqldumpPeer } from './peers/mysqldump.ts';
import { percentile } from './percentile.ts';
import { makeSysbenchTables } from './sysbench-tables.ts';

const TABLES = 4;
const ROWS_PER_TABLE = 250_000;
const ROUNDS = 3;
/** The same on both servers, for everybody. Durability is at MySQL's defaults, which are the strict ones. */
const SERVER_OPTIONS = [
  '--innodb-buffer-pool-size=1G',
  '--innodb-redo-log-capacity=2G',
  '--sync-binlog=1',
  '--innodb-flush-log-at-trx-commit=1',
];

/** The whole copy of sysbench's tables, ours and the peers' in turn, until rows and indexes are there. */
export async function benchCopy({ quick, onProgress }: BenchOptions): Promise<BenchResult> {
  const size = { tables: TABLES, rowsPerTable: quick ? ROWS_PER_TABLE / 5 : ROWS_PER_TABLE };
  const rounds = quick ? 1 : ROUNDS;
  return await withFolder(tmpdir(), async (folder) => {
    // The servers run as a user of their own.
    await chmod(folder, 0o777);
    await using stack = new AsyncDisposableStack();
    const source = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'source', options: SERVER_OPTIONS }));
    const target = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'target', options: SERVER_OPTIONS }));
    const there = stack.use(await ServerConnection.open(serverDefinition(target)));
    const { bytes, version } = await fillSource(serverDefinition(source), size);
    onProgress(`${TABLES} tables of ${size.rowsPerTable} rows, ${Math.round(bytes / 1e6)} MB`);
    const stage: CopyStage = { source, target, tables: TABLES, folder };
    const ours = stack.use(await SwitchyardCopy.start(stage));
    const limit = await loadDataPeer(stage);
    const [mydumper, mysqldump] = [await mydumperPeer(stage), await mysqldumpPeer(stage)];
    const ways: CopyPeer[] = [ours, limit, mydumper, mysqldump].filter((way) => way !== null);
    const walls = new Map(ways.map(({ name }): [string, number[]] => [name, []]));
    // The first round warms up servers and code; it does not count.
    for (let round = 0; round <= rounds; round += 1) {
      for (const way of ways) {
        if (round === 0 && way === mysqldump) continue;
        await emptyTarget(there);
        const wallMs = await way.copy();
        await checkTarget(there, size);
        if (way === ours) await ours.forget();
        if (round > 0) walls.get(way.name)?.push(Math.round(wallMs));
        onProgress(`round ${round}: ${way.name} ${Math.round(wallMs)} ms`);
      }
    }
    const median = (name: string) => percentile(walls.get(name) ?? [], 0.5);
    const ratio = (way: CopyPeer | null) =>
      way === null ? Number.NaN : Math.round((median(ours.name) / median(way.name)) * 1000) / 1000;
    return {
      peers: {
        'LOAD DATA': limit.version,
        mydumper: mydumper?.version ?? 'absent',
        mysqldump: mysqldump?.version ?? 'absent',
      },
      figures: {
        wallRatioMydumper: ratio(mydumper),
        wallRatioLoadData: ratio(limit),
        wallRatioMysqldump: ratio(mysqldump),
        rowsPerSecond: Math.round((size.tables * size.rowsPerTable) / (median(ours.name) / 1000)),
      },
      raw: { server: version, ...size, bytes, serverOptions: SERVER_OPTIONS, wallMs: Object.fromEntries(walls) },
    };
  });
}

async function fillSource(
  server: Parameters<typeof ServerConnection.open>[0],
  size: { tables: number; rowsPerTable: number },
): Promise<{ bytes: number; version: string }> {
  await using connection = await ServerConnection.open(server);
  await makeSysbenchTables(connection, size);
  await connection.rows(
    `ANALYZE TABLE ${Array.from({ length: size.tables }, (_, i) => `sbtest.sbtest${i + 1}`).join(',')}`,
  );
  await connection.write('SET SESSION information_schema_stats_expiry=0');
  const [row] = await connection.rows(
    "SELECT SUM(DATA_LENGTH), VERSION() FROM information_schema.TABLES WHERE TABLE_SCHEMA='sbtest'",
  );
  return { bytes: Number(row?.[0]), version: row?.[1] ?? '' };
}
