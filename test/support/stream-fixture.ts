import { parsePosition, type Flavor, type StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition } from '../../engine/api.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import type { Table } from '../../engine/schema/table.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { ChangeStream, type ChangeStreamOptions } from '../../engine/stream/change-stream.ts';
import { gtidsOf, type StreamTransaction } from '../../engine/stream/transaction.ts';
import { FLAVOR_SPECS } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';

export function definitionOf(server: RunningServer): ServerDefinition {
  return {
    host: server.host,
    port: server.port,
    user: server.adminUser,
    password: server.adminPassword,
    tls: { mode: 'preferred', minVersion: 'TLSv1.2' },
  };
}

export function familyOf(server: RunningServer): Flavor {
  return FLAVOR_SPECS[server.flavor].family;
}

/** A schema on a server, and what tests of the stream do with it. */
export class StreamFixture implements AsyncDisposable {
  readonly server: RunningServer;
  readonly connection: ServerConnection;
  readonly schema: string;
  tables: Table[] = [];

  static async create(server: RunningServer, schema: string): Promise<StreamFixture> {
    const connection = await ServerConnection.open(definitionOf(server));
    await connection.write(`CREATE DATABASE \`${schema}\``);
    await connection.write(`USE \`${schema}\``);
    return new StreamFixture(server, connection, schema);
  }

  private constructor(server: RunningServer, connection: ServerConnection, schema: string) {
    this.server = server;
    this.connection = connection;
    this.schema = schema;
  }

  async run(...statements: string[]): Promise<void> {
    for (const statement of statements) await this.connection.write(statement);
  }

  async inspect(): Promise<void> {
    this.tables = await inspectTables(this.connection, this.schema, 'all');
  }

  /** What the server has executed. */
  async position(): Promise<StreamPosition> {
    const family = familyOf(this.server);
    const rows = await this.connection.rows(
      family === 'mysql' ? 'SELECT @@GLOBAL.gtid_executed' : 'SELECT @@GLOBAL.gtid_binlog_pos',
    );
    return parsePosition(family, rows[0]?.[0] ?? '');
  }

  async open(from: StreamPosition, options: Partial<ChangeStreamOptions> = {}): Promise<ChangeStream> {
    return ChangeStream.open({
      server: definitionOf(this.server),
      flavor: familyOf(this.server),
      from,
      signal: new AbortController().signal,
      bufferBytesMax: 16 * 2 ** 20,
      inScope: (schema) => schema === this.schema,
      tableOf: (schema, name) => this.tables.find((table) => table.schema === schema && table.name === name),
      ...options,
    });
  }

  /** Everything that `work` logs. */
  async record(work: () => Promise<void>): Promise<StreamTransaction[]> {
    const from = await this.position();
    await work();
    await using stream = await this.open(from);
    return await readUntil(stream, from, await this.position());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.destroy();
  }
}

/** All logs but the last one; those that a stream reads which has just ended are kept until the server notices. */
export async function purgeLogs(connection: ServerConnection): Promise<void> {
  for (;;) {
    const logs = await connection.rows('SHOW BINARY LOGS');
    if (logs.length === 1) return;
    await connection.write(`PURGE BINARY LOGS TO '${logs.at(-1)?.[0]}'`);
  }
}

/** The transactions from `from` to `until`; fails when the stream stays behind. */
export async function readUntil(
  stream: ChangeStream,
  from: StreamPosition,
  until: StreamPosition,
): Promise<StreamTransaction[]> {
  const seen = from.clone();
  const transactions: StreamTransaction[] = [];
  while (!seen.covers(until)) {
    const transaction = await stream.next(AbortSignal.timeout(30_000));
    for (const gtid of gtidsOf(transaction)) seen.advance(gtid);
    transactions.push(transaction);
  }
  return transactions;
}
