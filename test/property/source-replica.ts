import { setTimeout as delay } from 'node:timers/promises';
import { FLAVOR_SPECS } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { connect, rows } from '../support/query.ts';

/** A replica of the source, from which an import may copy. */
export class SourceReplica implements AsyncDisposable {
  readonly server: RunningServer;
  readonly #words: 'REPLICA' | 'SLAVE';

  /** Follows what the source writes from now on; `prepare` is done on it before. */
  static async start(source: RunningServer, prepare: (server: RunningServer) => Promise<void>): Promise<SourceReplica> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startServer({ flavor: source.flavor }));
    await prepare(server);
    await using here = await connect(source);
    await using there = await connect(server);
    const { host, port, adminUser, adminPassword } = source;
    if (FLAVOR_SPECS[source.flavor].family === 'mysql') {
      const [at] = await rows(here, 'SELECT @@global.gtid_executed AS position');
      await there.query(
        `RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged='${String(at?.['position'])}'; CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='${adminUser}', SOURCE_PASSWORD='${adminPassword}', SOURCE_SSL=1, SOURCE_AUTO_POSITION=1, SOURCE_CONNECT_RETRY=1; START REPLICA`,
      );
    } else {
      const [at] = await rows(here, 'SELECT @@global.gtid_binlog_pos AS position');
      await there.query(
        `RESET MASTER; SET GLOBAL gtid_slave_pos='${String(at?.['position'])}'; CHANGE MASTER TO MASTER_HOST='${host}', MASTER_PORT=${port}, MASTER_USER='${adminUser}', MASTER_PASSWORD='${adminPassword}', MASTER_SSL=0, MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1; START SLAVE`,
      );
    }
    stack.move();
    return new SourceReplica(server);
  }

  private constructor(server: RunningServer) {
    this.server = server;
    this.#words = FLAVOR_SPECS[server.flavor].family === 'mysql' ? 'REPLICA' : 'SLAVE';
  }

  /** It falls behind. */
  async stopApplying(ms: number): Promise<void> {
    await using connection = await connect(this.server);
    await connection.query(`STOP ${this.#words} SQL_THREAD`);
    await delay(ms);
    await connection.query(`START ${this.#words} SQL_THREAD`);
  }

  /** Why it no longer follows, where that is so: nothing of ours then. */
  async error(): Promise<string | null> {
    await using connection = await connect(this.server);
    const [status] = await rows(connection, `SHOW ${this.#words} STATUS`);
    const text = String(status?.['Last_SQL_Error'] ?? '');
    return text === '' ? null : text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}
