import { parsePosition, type Flavor } from '../../core/gtid.ts';
import { AppError } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';
import { COPY_TABLES } from '../../engine/copy/copy-chunks-table.ts';
import { addDeferredIndexes, addForeignKeys } from '../../engine/copy/deferred-parts.ts';
import { runCopy } from '../../engine/copy/run-copy.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { createSchema, createTable, openForDdl, targetDdls } from '../../engine/schema/create-target.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import type { Table } from '../../engine/schema/table.ts';
import { ServerConnection, type Bytes } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { runVerify } from '../../engine/verify/run-verify.ts';
import { importRequestSchema, type ValidationReport, type VerifyView } from '../../engine/api.ts';
import { validateImport } from '../../engine/preflight/validate-import.ts';
import type { Flavor as ServerFlavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { definitionOf, familyOf } from '../support/stream-fixture.ts';
import { pairsOf, standInFollower } from '../support/verify-fixture.ts';

/** Far apart, so that a time that is taken as local anywhere is off. */
const OPTIONS = {
  source: ['--default-time-zone=+05:30', '--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'],
  target: ['--default-time-zone=-08:00', '--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'],
};

/** A session that takes every value of the zoo, on either side. */
const WRITER: Bytes[] = ["SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"];

/** Two servers, and the engine's own parts between them, in either direction. */
export class FidelityPair implements AsyncDisposable {
  readonly servers: Record<Side, RunningServer>;
  readonly connections: Record<Side, ServerConnection>;
  readonly #stack: AsyncDisposableStack;

  static async start(source: ServerFlavor, target: ServerFlavor = 'mysql-9.7'): Promise<FidelityPair> {
    await using stack = new AsyncDisposableStack();
    const [first, second] = await Promise.all([
      startServer({ flavor: source, role: 'source', options: OPTIONS.source }),
      startServer({ flavor: target, role: 'target', options: OPTIONS.target }),
    ]);
    const servers = { source: stack.use(first), target: stack.use(second) };
    const open = async (side: Side) =>
      stack.use(await ServerConnection.open(definitionOf(servers[side]), { session: WRITER }));
    const connections = { source: await open('source'), target: await open('target') };
    await createSidecar(connections.target, COPY_TABLES);
    await createSidecar(connections.source);
    return new FidelityPair(servers, connections, stack.move());
  }

  private constructor(
    servers: Record<Side, RunningServer>,
    connections: Record<Side, ServerConnection>,
    stack: AsyncDisposableStack,
  ) {
    this.servers = servers;
    this.connections = connections;
    this.#stack = stack;
  }

  flavorOf(side: Side): Flavor {
    return familyOf(this.servers[side]);
  }

  async tables(side: Side, schema: string): Promise<Table[]> {
    return await inspectTables(this.connections[side], schema, 'all');
  }

  async run(side: Side, ...statements: Bytes[]): Promise<void> {
    for (const statement of statements) await this.connections[side].write(statement);
  }

  /** Creates the schema's tables on the target and copies them, as an import does. */
  async copy(schema: string): Promise<Table[]> {
    const target = definitionOf(this.servers.target);
    const tables = await this.tables('source', schema);
    await using ddl = await openForDdl(target);
    const ddls = await targetDdls(ddl, tables, true);
    await createSchema(this.connections.source, ddl, schema);
    for (const statements of ddls) await createTable(ddl, statements);
    const signal = new AbortController().signal;
    await runCopy({
      importId: schema,
      source: definitionOf(this.servers.source),
      target,
      tables,
      connections: 2,
      signal,
      onProgress: () => {},
    });
    const later = { target, ddls, connections: 2, signal, onProgress: () => {} };
    await addDeferredIndexes(later);
    await addForeignKeys(later);
    return tables;
  }

  /** A stream to `destination`, from now on. */
  async follow(schema: string, destination: Side): Promise<Following> {
    const side: Side = destination === 'target' ? 'source' : 'target';
    const direction = destination === 'target' ? 'forward' : 'reverse';
    const origin = this.connections[side];
    const flavor = this.flavorOf(side);
    const from = await executedPosition(origin, flavor);
    await new ProgressRow(schema, direction).reset(this.connections[destination], from.toString());
    const replication = new Replication(
      {
        importId: schema,
        direction,
        origin: origin.server,
        destination: definitionOf(this.servers[destination]),
        flavor,
        database: schema,
        loadTables: async () => await this.tables(side, schema),
        onDdl: async ({ ddl }) => {
          throw new AppError('DDL_STOPPED', ddl.sql);
        },
      },
      new AbortController().signal,
    );
    return {
      replication,
      /** Rejects with what stopped the stream. */
      caughtUp: async () =>
        await replication.waitFor(await executedPosition(origin, flavor), AbortSignal.timeout(60_000)),
      [Symbol.asyncDispose]: async () => await replication.stop(),
    };
  }

  async validate(schema: string): Promise<ValidationReport> {
    return await validateImport({
      ...importRequestSchema.parse({ id: 'zoo', database: schema, source: definitionOf(this.servers.source) }),
      target: definitionOf(this.servers.target),
    });
  }

  async verify(schema: string): Promise<VerifyView> {
    const servers = {
      flavors: { source: this.flavorOf('source'), target: this.flavorOf('target') },
      source: definitionOf(this.servers.source),
      target: definitionOf(this.servers.target),
    };
    return await runVerify({
      ...servers,
      tables: await pairsOf({ ...servers, schema }),
      follower: standInFollower(this.flavorOf('source'), { applied: parsePosition(this.flavorOf('source'), '') }),
      connections: 2,
      signal: new AbortController().signal,
      onProgress: () => {},
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

export interface Following extends AsyncDisposable {
  replication: Replication;
  caughtUp(): Promise<void>;
}
