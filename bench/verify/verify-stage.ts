import { assertNoError } from '../../admin/cli/assert-no-error.ts';
import { followImport } from '../../admin/cli/follow-import.ts';
import type { ImportView, VerifyView } from '../../engine/api.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { makeSysbenchTables, SYSBENCH_DATABASE, sysbenchTableName, type SysbenchTables } from '../sysbench-tables.ts';

const IMPORT = 'bench';
const SERVER_OPTIONS = ['--innodb-buffer-pool-size=1G', '--innodb-redo-log-capacity=1G'];

/** Two servers and a real Switchyard with an import that is running. */
export class VerifyStage implements AsyncDisposable {
  readonly source: RunningServer;
  readonly target: RunningServer;
  readonly #switchyard: SwitchyardProcess;
  readonly #tables: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    servers: { source: RunningServer; target: RunningServer; switchyard: SwitchyardProcess; tables: number },
    stack: AsyncDisposableStack,
  ) {
    this.source = servers.source;
    this.target = servers.target;
    this.#switchyard = servers.switchyard;
    this.#tables = servers.tables;
    this.#stack = stack;
  }

  static async start({
    onProgress,
    ...tables
  }: SysbenchTables & { onProgress: (message: string) => void }): Promise<VerifyStage> {
    await using stack = new AsyncDisposableStack();
    const options = SERVER_OPTIONS;
    const source = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'source', options }));
    const target = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'target', options }));
    onProgress(`making ${tables.tables} tables of ${tables.rowsPerTable.toLocaleString('en')} rows`);
    await using connection = await connect(source);
    await makeSysbenchTables(connection, tables);
    const switchyard = stack.use(await SwitchyardProcess.start());
    const stage = new VerifyStage({ source, target, switchyard, tables: tables.tables }, stack.move());
    onProgress('importing');
    await switchyard.client.createImport({
      id: IMPORT,
      database: SYSBENCH_DATABASE,
      source: definitionOf(source),
      target: definitionOf(target),
    });
    await stage.#until(({ phase }) => phase === 'running');
    return stage;
  }

  /** One verification through the API; `wallMs` is from its start to its verdict, as the engine notes them. */
  async verify(): Promise<{ wallMs: number; rows: number; view: VerifyView }> {
    const askedAtMs = Date.now();
    await this.#switchyard.client.verify(IMPORT);
    const { verify } = await this.#until(
      ({ phase, verify }) => phase !== 'verifying_data' && (verify?.finishedAtMs ?? 0) >= askedAtMs,
    );
    if (verify?.finishedAtMs == null) throw new Error('a verification without an end');
    return { wallMs: verify.finishedAtMs - verify.startedAtMs, rows: verify.rows, view: verify };
  }

  /** ms for one `CHECKSUM TABLE` of all tables on each side, both sides at once. */
  async checksumTables(): Promise<number> {
    await using source = await connect(this.source);
    await using target = await connect(this.target);
    const names = this.#names();
    const startedAtMs = performance.now();
    await Promise.all([source, target].map((side) => side.rows(`CHECKSUM TABLE ${names.join(', ')}`)));
    return performance.now() - startedAtMs;
  }

  /** The rows of the others into the first one: a million in one table. */
  async growFirstTable(): Promise<void> {
    const [first, ...others] = this.#names();
    for (const other of others) await this.onSource(`INSERT INTO ${first} (k, c, pad) SELECT k, c, pad FROM ${other}`);
  }

  async onTarget(sql: string): Promise<void> {
    await using target = await connect(this.target);
    await target.write(sql);
  }

  async onSource(sql: string): Promise<void> {
    await using source = await connect(this.source);
    await source.write(sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #names(): string[] {
    return Array.from({ length: this.#tables }, (_, table) => `${SYSBENCH_DATABASE}.${sysbenchTableName(table + 1)}`);
  }

  async #until(done: (view: ImportView) => boolean): Promise<ImportView> {
    const view = await followImport(this.#switchyard.client, IMPORT, {
      onView: () => {},
      done: (view) => view.error !== null || done(view),
    });
    assertNoError(view);
    return view;
  }
}

function definitionOf({ host, port, adminUser, adminPassword }: RunningServer) {
  return { host, port, user: adminUser, password: adminPassword };
}

async function connect(server: RunningServer): Promise<ServerConnection & AsyncDisposable> {
  const connection = await ServerConnection.open({
    ...definitionOf(server),
    tls: { mode: 'preferred', minVersion: 'TLSv1.2' },
  });
  return Object.assign(connection, { [Symbol.asyncDispose]: async () => connection.destroy() });
}
