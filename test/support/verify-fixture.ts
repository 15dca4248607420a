import { parsePosition, type Flavor } from '../../core/gtid.ts';
import type { ServerDefinition, VerifyTableView, VerifyView } from '../../engine/api.ts';
import { openDestination } from '../../engine/apply/destination-connection.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { createSidecar } from '../../engine/sidecar.ts';
import { ConnectionPair, type Flavors } from '../../engine/verify/connection-pair.ts';
import type { Follower } from '../../engine/verify/follower.ts';
import { selfTests } from '../../engine/verify/pair-self-test.ts';
import { repairRows, type RepairResult } from '../../engine/verify/repair-rows.ts';
import { REPAIRS_DDL } from '../../engine/verify/repairs-table.ts';
import { runVerify, type VerifyOptions } from '../../engine/verify/run-verify.ts';
import { pairTables, targetOf, type TablePair } from '../../engine/verify/table-pair.ts';
import type { TableVerification } from '../../engine/verify/table-verification.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { definitionOf, familyOf } from './stream-fixture.ts';

/** A source and a target with one schema, for comparing what tests put into them. */
export class VerifyFixture implements AsyncDisposable {
  readonly source: ServerConnection;
  readonly target: ServerConnection;
  readonly #servers: Awaited<ReturnType<typeof startServerPair>>;
  readonly #schema: string;

  static async start(sourceFlavor: RunningServer['flavor'], schema = 'shop'): Promise<VerifyFixture> {
    const servers = await startServerPair(sourceFlavor, 'mysql-9.7');
    const [source, target] = [servers.source, servers.target].map((server) =>
      ServerConnection.open(definitionOf(server)),
    );
    // With these names the driver takes statements as text.
    const fixture = new VerifyFixture(servers, await required(source), await required(target), schema);
    await fixture.both('SET NAMES utf8mb4', `CREATE DATABASE \`${schema}\``, `USE \`${schema}\``);
    return fixture;
  }

  private constructor(
    servers: Awaited<ReturnType<typeof startServerPair>>,
    source: ServerConnection,
    target: ServerConnection,
    schema: string,
  ) {
    this.#servers = servers;
    this.source = source;
    this.target = target;
    this.#schema = schema;
  }

  get servers(): { source: RunningServer; target: RunningServer } {
    return this.#servers;
  }

  get flavor(): Flavor {
    return familyOf(this.#servers.source);
  }

  async onSource(...statements: string[]): Promise<void> {
    for (const statement of statements) await this.source.write(statement);
  }

  async onTarget(...statements: string[]): Promise<void> {
    for (const statement of statements) await this.target.write(statement);
  }

  async both(...statements: string[]): Promise<void> {
    await this.onSource(...statements);
    await this.onTarget(...statements);
  }

  async verify(tables: 'all' | string[], options: Partial<VerifyOptions> = {}): Promise<VerifyView> {
    const servers = {
      flavors: { source: this.flavor, target: 'mysql' },
      source: definitionOf(this.#servers.source),
      target: definitionOf(this.#servers.target),
    } as const;
    return await runVerify({
      ...servers,
      tables: await pairsOf({ ...servers, schema: this.#schema, names: tables }),
      follower: standInFollower(this.flavor),
      connections: 2,
      signal: new AbortController().signal,
      onProgress: () => {},
      ...options,
    });
  }

  async verifyOne(table: string, options: Partial<VerifyOptions> = {}): Promise<VerifyTableView> {
    const { tables } = await this.verify([table], options);
    const [view] = tables;
    if (view === undefined) throw new Error('no view of the table');
    return view;
  }

  /** Verifies the table and repairs what differs. */
  async repair(table: string, follower: Follower = standInFollower(this.flavor)): Promise<RepairResult> {
    let verified: TableVerification | undefined;
    await this.verify([table], {
      follower,
      onTables: ([found]) => {
        verified = found;
      },
    });
    if (verified === undefined) throw new Error('no such table');
    const { table: tables, progress } = verified;
    const keys = new Map([...progress.known].map(([key, difference]) => [key, difference.key]));
    const [source, target] = [definitionOf(this.#servers.source), definitionOf(this.#servers.target)];
    const flavors = { source: this.flavor, target: 'mysql' } as const;
    const { signal } = new AbortController();
    await using writer = await openDestination(target);
    await createSidecar(writer, [REPAIRS_DDL]);
    using pair = new ConnectionPair({ flavors, source, target, signal });
    return await pair.use(
      async (open) =>
        await repairRows(
          {
            pair: open,
            table: tables,
            flavors,
            follower,
            signal,
            writer,
            isPaired: () => true,
            mirrored: false,
            importId: 'fixture',
            actor: 'test',
          },
          keys,
        ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.source.destroy();
    this.target.destroy();
    await this.#servers[Symbol.asyncDispose]();
  }
}

interface PairsOptions {
  source: ServerDefinition;
  target: ServerDefinition;
  flavors: Flavors;
  schema: string;
  names?: 'all' | string[];
}

/** Tables of both sides as they are by now. Rejects with VERIFY_PAIR_UNEQUAL or VERIFY_TABLES_DIFFER. */
export async function pairsOf({ schema, names = 'all', ...servers }: PairsOptions): Promise<TablePair[]> {
  using pair = new ConnectionPair({ ...servers, signal: new AbortController().signal });
  return await pair.use(async (open) => {
    const aggregates = await selfTests(open, servers.flavors);
    const targets = await inspectTables(open.target, schema, names);
    return (await inspectTables(open.source, schema, names)).map((table) =>
      pairTables(table, targetOf(table.name, targets), aggregates),
    );
  });
}

async function required<T>(promise: Promise<T> | undefined): Promise<T> {
  if (promise === undefined) throw new Error('a pair has two servers');
  return await promise;
}

/** For data that nobody writes: everything is applied always. */
export function standInFollower(flavor: Flavor, changes: Partial<Follower> = {}): Follower {
  return {
    applied: parsePosition(flavor, ''),
    waitFor: async () => {},
    reported: async () => {},
    onTouched: () => ({ [Symbol.dispose]: () => {} }),
    onDdl: () => ({ [Symbol.dispose]: () => {} }),
    ...changes,
  };
}
