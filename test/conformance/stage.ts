import { readFileSync } from 'node:fs';
import path from 'node:path';
import mysql from 'mysql2/promise';
import { FLAVOR_SPECS, type Flavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import type { ClientTarget } from './client.ts';

const ACCOUNT = { user: 'conformance', password: 'conformance-password', database: 'conformance' };
const SCHEMA = readFileSync(path.join(import.meta.dirname, 'schema.sql'), 'utf8');

/** One server, reached directly and through a proxy, with the same schema before every program. */
export class ConformanceStage implements AsyncDisposable {
  readonly server: RunningServer;
  readonly #proxy: ProxyHarness;

  private constructor(server: RunningServer, proxy: ProxyHarness) {
    this.server = server;
    this.#proxy = proxy;
  }

  static async start(flavor: Flavor): Promise<ConformanceStage> {
    await using stack = new AsyncDisposableStack();
    const options = ['--max-allowed-packet=64M', '--local-infile=ON', '--net-buffer-length=16K'];
    const server = stack.use(await startServer({ flavor, options }));
    await using root = await connect(server);
    const plugin = FLAVOR_SPECS[flavor].family === 'mysql' ? 'WITH caching_sha2_password BY' : 'BY';
    for (const sql of [
      `CREATE USER ${ACCOUNT.user}@'%' IDENTIFIED ${plugin} '${ACCOUNT.password}'`,
      `GRANT ALL ON \`${ACCOUNT.database}\`.* TO ${ACCOUNT.user}@'%'`,
      // What dump programs ask for.
      `GRANT RELOAD, PROCESS, REPLICATION CLIENT, SELECT ON *.* TO ${ACCOUNT.user}@'%'`,
    ]) {
      await root.query(sql);
    }
    const proxy = stack.use(await ProxyHarness.start({ source: server, target: server }));
    stack.move();
    return new ConformanceStage(server, proxy);
  }

  /** A fresh schema, and where to find it. */
  async target(way: 'direct' | 'proxy', tls: boolean): Promise<ClientTarget> {
    await using root = await connect(this.server);
    await root.query(`DROP DATABASE IF EXISTS ${ACCOUNT.database}`);
    await root.query(`CREATE DATABASE ${ACCOUNT.database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`);
    await root.query(`USE ${ACCOUNT.database}`);
    await root.query(SCHEMA);
    return { ...ACCOUNT, tls, host: '127.0.0.1', port: way === 'direct' ? this.server.port : this.#proxy.port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

async function connect(server: RunningServer): Promise<mysql.Connection & AsyncDisposable> {
  const connection = await mysql.createConnection({
    host: server.host,
    port: server.port,
    user: server.adminUser,
    password: server.adminPassword,
    multipleStatements: true,
  });
  return Object.assign(connection, { [Symbol.asyncDispose]: async () => connection.destroy() });
}
