import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { ENGINE_ACCOUNT, type Account } from '../../demo/accounts.ts';
import { startServer } from '../../servers/start-server.ts';
import { SwitchyardProcess, type SwitchyardOptions } from '../../servers/switchyard-process.ts';
import type { RunningServer } from '../../servers/running-server.ts';

export const BENCH_DATABASE = 'sbtest';
export const BENCH_ACCOUNT: Account = { user: 'sbtest', password: 'sysbench-1' };

/** A server with nothing but the benchmark's load on it, and Switchyard in front as a completed import leaves it. */
export interface ProxyStage extends AsyncDisposable {
  server: RunningServer;
  switchyard: SwitchyardProcess;
  serverVersion: string;
}

/** Fits into memory, and takes thousands of sessions at a time. */
const SERVER_OPTIONS = ['--max-connections=12000', '--innodb-buffer-pool-size=512M', '--innodb-redo-log-capacity=1G'];

/**
 * `switchyard serve` proxies to where an import leads, so there is one: of an empty database, switched and completed. From
 * then on no stream runs and no source is there, and the whole of the machine is for the traffic.
 */
export async function startProxyStage(options: SwitchyardOptions = {}): Promise<ProxyStage> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'target', options: SERVER_OPTIONS }));
  const switchyard = stack.use(await SwitchyardProcess.start(options));
  const source = await startServer({ flavor: 'mysql-9.7', role: 'source' });
  try {
    await createAccounts(source, server);
    await importAndComplete({ source, server, switchyard });
  } finally {
    await source[Symbol.asyncDispose]();
  }
  const serverVersion = await version(server);
  const kept = stack.move();
  return { server, switchyard, serverVersion, [Symbol.asyncDispose]: async () => kept.disposeAsync() };
}

async function createAccounts(...servers: RunningServer[]): Promise<void> {
  for (const { dsn } of servers) {
    const connection = await mysql.createConnection(dsn);
    for (const { user, password } of [ENGINE_ACCOUNT, BENCH_ACCOUNT]) {
      await connection.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
    }
    await connection.query(`GRANT ALL ON *.* TO '${ENGINE_ACCOUNT.user}'@'%' WITH GRANT OPTION`);
    await connection.query(`GRANT ALL ON ${BENCH_DATABASE}.* TO '${BENCH_ACCOUNT.user}'@'%'`);
    await connection.end();
  }
  const [source] = servers;
  if (source === undefined) return;
  const connection = await mysql.createConnection(source.dsn);
  await connection.query(`CREATE DATABASE ${BENCH_DATABASE}`);
  await connection.query(`CREATE TABLE ${BENCH_DATABASE}.one (id INT PRIMARY KEY)`);
  await connection.end();
}

async function importAndComplete({
  source,
  server,
  switchyard: { client },
}: {
  source: RunningServer;
  server: RunningServer;
  switchyard: SwitchyardProcess;
}): Promise<void> {
  const id = 'bench';
  // Without TLS, as the peers: on one machine it would only measure the cipher.
  const endpoint = ({ host, port }: RunningServer) => ({
    host,
    port,
    ...ENGINE_ACCOUNT,
    tls: { mode: 'disabled' as const },
  });
  await client.createImport({ id, database: BENCH_DATABASE, source: endpoint(source), target: endpoint(server) });
  while ((await client.getImport(id)).phase !== 'running') await delay(100);
  await client.switchTraffic(id, { kind: 'primaries' });
  await client.complete(id, id);
}

async function version({ dsn }: RunningServer): Promise<string> {
  const connection = await mysql.createConnection(dsn);
  try {
    const [rows] = await connection.query<mysql.RowDataPacket[]>('SELECT VERSION() AS version');
    return String(rows[0]?.['version']);
  } finally {
    await connection.end();
  }
}
