import mysql, { type RowDataPacket } from 'mysql2/promise';
import { checkLedger, type LedgerReport } from '../../bench/workload/check-ledger.ts';
import { createLedgerTables } from '../../bench/workload/ledger-tables.ts';
import { Workload } from '../../bench/workload/workload.ts';
import type { ImportRequestInput } from '../../admin/client.ts';
import { parsePosition, type Flavor as Family } from '../../core/gtid.ts';
import type { Phase } from '../../core/phase.ts';
import type { ImportView } from '../../engine/api.ts';
import { createShop } from '../../demo/shop.ts';
import type { ShopSize } from '../../demo/shop-size.ts';
import { FLAVOR_SPECS, type Flavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { startTogether } from '../../servers/start-together.ts';
import { SwitchyardProcess, type SwitchyardOptions } from '../../servers/switchyard-process.ts';
import { connect, rows } from './query.ts';

export const IMPORT = 'shop';
export const ENGINE_USER = { user: 'switchyard', password: 'engine-secret-1' };
export const APP_USER = { user: 'shop', password: 'app-secret-1' };
const SESSIONS = 12;

export interface RehearsalOptions extends SwitchyardOptions {
  rows?: number;
  source?: Flavor;
}

/** Two real servers, a shop with live tables, and a real Switchyard in front of them: the stage of every system test. */
export class Rehearsal implements AsyncDisposable {
  readonly source: RunningServer;
  readonly target: RunningServer;
  readonly switchyard: SwitchyardProcess;
  readonly #size: ShopSize;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    servers: { source: RunningServer; target: RunningServer },
    switchyard: SwitchyardProcess,
    size: ShopSize,
    stack: AsyncDisposableStack,
  ) {
    this.source = servers.source;
    this.target = servers.target;
    this.switchyard = switchyard;
    this.#size = size;
    this.#stack = stack;
  }

  static async start({
    rows: rowCount = 40_000,
    source = 'mysql-9.7',
    ...options
  }: RehearsalOptions = {}): Promise<Rehearsal> {
    await using stack = new AsyncDisposableStack();
    const [pair, switchyard] = await startTogether(
      stack,
      startServerPair(source, 'mysql-9.7'),
      SwitchyardProcess.start(options),
    );
    const [size] = await Promise.all([prepareSource(pair.source, rowCount), prepareUsers(pair.target)]);
    return new Rehearsal(pair, switchyard, size, stack.move());
  }

  request(change: Partial<ImportRequestInput> = {}): ImportRequestInput {
    return {
      id: IMPORT,
      database: 'shop',
      source: { host: '127.0.0.1', port: this.source.port, ...ENGINE_USER },
      target: { host: '127.0.0.1', port: this.target.port, ...ENGINE_USER },
      ...change,
    };
  }

  traffic(operationsPerSecond = 150, { reconnectsWhenTold = false } = {}): Workload {
    const endpoint = (port: number) => ({ host: '127.0.0.1', port, database: 'shop', ...APP_USER });
    return Workload.start({
      primary: endpoint(this.switchyard.primaryPort),
      replica: endpoint(this.switchyard.replicaPort),
      sessions: SESSIONS,
      operationsPerSecond,
      shop: this.#size,
      reconnectsWhenTold,
    });
  }

  /** A new connection to the proxy. */
  async application(port = this.switchyard.primaryPort): Promise<mysql.Connection> {
    // A login that is held waits for the end of the hold, not for mysql2's ten seconds.
    const patient = { connectTimeout: 60_000 };
    const connection = await mysql.createConnection({
      host: '127.0.0.1',
      port,
      database: 'shop',
      ...APP_USER,
      ...patient,
    });
    // What ends it is the test's matter.
    connection.on('error', () => {});
    return connection;
  }

  /** One statement on a new connection to the proxy. */
  async asApplication(sql: string, port = this.switchyard.primaryPort): Promise<RowDataPacket[]> {
    const connection = await this.application(port);
    try {
      return await rows(connection, sql);
    } finally {
      connection.destroy();
    }
  }

  /** For another workload on the same stage: its sessions count from 1 again. */
  async clearLedger(): Promise<void> {
    await using connection = await connect(this.source, 'shop');
    await connection.query('DELETE FROM traffic_ledger; UPDATE traffic_counters SET value = 0');
  }

  /** Waits on the import's event stream; rejects when it fails instead, or after `timeoutMs`. */
  async reach(phase: Phase, timeoutMs = 120_000): Promise<ImportView> {
    return await this.until((view) => view.phase === phase, timeoutMs);
  }

  async until(condition: (view: ImportView) => boolean, timeoutMs = 120_000): Promise<ImportView> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      // The engine may be away for a moment: tests kill it.
      const view = await this.switchyard.client.getImport(IMPORT).catch(() => undefined);
      if (view !== undefined && condition(view)) return view;
      if (view?.phase === 'error') throw new Error(`the import failed: ${JSON.stringify(view.error)}`);
      if (Date.now() > deadline) {
        throw new Error(
          `not reached in ${timeoutMs} ms: ${JSON.stringify(view)}\n${this.switchyard.log().slice(-3000)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The verification says so; the import is in the phase that goes with it, since both come to be seen together. */
  async verdict(state: 'equal' | 'different', timeoutMs = 120_000): Promise<ImportView> {
    const view = await this.until(({ verify }) => verify?.state === state, timeoutMs);
    const phase = state === 'equal' ? 'verified_data' : 'running';
    if (view.phase !== phase) throw new Error(`the verification says ${state} in phase ${view.phase}`);
    return view;
  }

  /** Everything that `from` has executed by now is applied on the other side. */
  async caughtUpWith(from: RunningServer): Promise<void> {
    const { family } = FLAVOR_SPECS[from.flavor];
    const executed = parsePosition(family, await this.#executed(from, family));
    await this.until(({ streams }) => {
      const position = streams[0]?.position;
      return typeof position === 'string' && parsePosition(family, position).covers(executed);
    });
  }

  /** Over a connection that is closed at once: to a switch, one that stays is a writer past the proxy. */
  async #executed(server: RunningServer, family: Family): Promise<string> {
    await using connection = await connect(server);
    const variable = family === 'mysql' ? 'gtid_executed' : 'gtid_binlog_pos';
    const [row] = await rows(connection, `SELECT @@global.${variable} AS executed`);
    return String(row?.['executed']);
  }

  /** Compares what clients were promised with what the server that is primary now has. */
  async ledger(workload: Workload, server: RunningServer): Promise<LedgerReport> {
    await using connection = await connect(server, 'shop');
    return await checkLedger(connection, workload.ledger);
  }

  /** Tables whose rows differ between the two servers, compared by the servers' own CHECKSUM TABLE. Needs quiet servers. */
  async differingTables(): Promise<string[]> {
    await using source = await connect(this.source, 'shop');
    await using target = await connect(this.target, 'shop');
    const names = (await rows(source, 'SHOW TABLES')).map((row) => String(Object.values(row)[0]));
    const differing: string[] = [];
    for (const name of names) {
      const [a] = await rows(source, `CHECKSUM TABLE \`${name}\``);
      const [b] = await rows(target, `CHECKSUM TABLE \`${name}\``);
      if (String(a?.['Checksum']) !== String(b?.['Checksum'])) differing.push(name);
    }
    return differing;
  }

  /** Schemas that are not the server's own. */
  async schemas(server: RunningServer): Promise<string[]> {
    await using connection = await connect(server);
    const found = (await rows(connection, 'SHOW DATABASES')).map((row) => String(Object.values(row)[0]));
    return found.filter((name) => !['information_schema', 'mysql', 'performance_schema', 'sys'].includes(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function prepareSource(server: RunningServer, rowCount: number): Promise<ShopSize> {
  await prepareUsers(server);
  await using connection = await connect(server);
  await connection.query('CREATE DATABASE shop CHARACTER SET utf8mb4');
  await connection.query('USE shop');
  const size = await createShop(connection, rowCount);
  await createLedgerTables(connection, SESSIONS);
  return size;
}

async function prepareUsers(server: RunningServer): Promise<void> {
  await using connection = await connect(server);
  for (const { user, password } of [ENGINE_USER, APP_USER]) {
    await connection.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`);
  }
  await connection.query(`GRANT ALL ON *.* TO ${ENGINE_USER.user}@'%'`);
  await connection.query(`GRANT ALL ON shop.* TO ${APP_USER.user}@'%'`);
}
