import mysql from 'mysql2/promise';
import type { ImportRequestInput } from '../admin/client.ts';
import { createLedgerTables } from '../bench/workload/ledger-tables.ts';
import type { TrafficEndpoint } from '../bench/workload/traffic-connection.ts';
import type { Flavor } from '../servers/flavor.ts';
import type { RunningServer } from '../servers/running-server.ts';
import { startServer } from '../servers/start-server.ts';
import { SwitchyardProcess } from '../servers/switchyard-process.ts';
import { createAccounts, ENGINE_ACCOUNT, SHOP_ACCOUNT, SHOP_DATABASE } from './accounts.ts';
import { createShop } from './shop.ts';
import type { ShopSize } from './shop-size.ts';

export interface StageOptions {
  source: Flavor;
  target: Flavor;
  /** Rows of the sample shop, about. */
  rows: number;
  /** Sessions of the live traffic. */
  sessions: number;
  /** More options for both servers. */
  serverOptions?: readonly string[];
  onProgress?: (message: string) => void;
}

/** Everything that the demo and the benchmark of the switch play on: two servers, the shop on one, Switchyard between. */
export interface Stage extends AsyncDisposable {
  source: RunningServer;
  target: RunningServer;
  switchyard: SwitchyardProcess;
  shop: ShopSize;
  /** For applications: the proxy's listeners. */
  primary: TrafficEndpoint;
  replica: TrafficEndpoint;
  importRequest: ImportRequestInput & { id: string };
}

/** The import writes as fast as it can; the default of 100 MB is for small servers. */
const SERVER_OPTIONS = { mysql: ['--innodb-redo-log-capacity=1G'], mariadb: ['--innodb-log-file-size=512M'] };

export async function startStage({
  source,
  target,
  rows,
  sessions,
  serverOptions = [],
  onProgress = () => undefined,
}: StageOptions): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  onProgress(`starting ${source} as source and ${target} as target`);
  const start = async (flavor: Flavor, role: 'source' | 'target') =>
    startServer({ flavor, role, options: [...optionsOf(flavor), ...serverOptions] });
  const sourceServer = stack.use(await start(source, 'source'));
  const targetServer = stack.use(await start(target, 'target'));
  await createAccounts(sourceServer);
  await createAccounts(targetServer);
  onProgress(`creating the sample shop, about ${rows.toLocaleString('en')} rows`);
  const shop = await createDatabase(sourceServer, { rows, sessions });
  onProgress('starting switchyard serve');
  const switchyard = stack.use(await SwitchyardProcess.start());
  const application = { host: switchyard.host, ...SHOP_ACCOUNT, database: SHOP_DATABASE };
  const kept = stack.move();
  return {
    source: sourceServer,
    target: targetServer,
    switchyard,
    shop,
    primary: { ...application, port: switchyard.primaryPort },
    replica: { ...application, port: switchyard.replicaPort },
    importRequest: {
      id: 'shop',
      database: SHOP_DATABASE,
      source: { host: sourceServer.host, port: sourceServer.port, ...ENGINE_ACCOUNT },
      target: { host: targetServer.host, port: targetServer.port, ...ENGINE_ACCOUNT },
    },
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
}

async function createDatabase(
  server: RunningServer,
  { rows, sessions }: { rows: number; sessions: number },
): Promise<ShopSize> {
  const connection = await mysql.createConnection(server.dsn);
  try {
    await connection.query(`DROP DATABASE IF EXISTS ${SHOP_DATABASE}`);
    await connection.query(`CREATE DATABASE ${SHOP_DATABASE} DEFAULT CHARACTER SET utf8mb4`);
    await connection.query(`USE ${SHOP_DATABASE}`);
    const shop = await createShop(connection, rows);
    await createLedgerTables(connection, sessions);
    return shop;
  } finally {
    await connection.end();
  }
}

function optionsOf(flavor: Flavor): string[] {
  return flavor.startsWith('mariadb') ? SERVER_OPTIONS.mariadb : SERVER_OPTIONS.mysql;
}
