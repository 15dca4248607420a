import type { RunningServer } from '../../servers/running-server.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import type { Side } from '../../core/phase.ts';
import { connect } from '../support/query.ts';
import { SourceReplica } from './source-replica.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

export const DATABASE = 'soak';
const ENGINE_USER = { user: 'switchyard', password: 'engine-secret-1' };
export const WRITER = { user: 'writer', password: 'writer-secret-1' };

/** Two servers behind relays that can break, and a Switchyard between them; used by one schedule after the other. */
export class SoakStage implements AsyncDisposable {
  readonly flavor: Flavor;
  readonly servers: Readonly<Record<Side, RunningServer>>;
  readonly relays: Readonly<Record<Side, TcpRelay>>;
  readonly switchyard: SwitchyardProcess;
  readonly #stack: AsyncDisposableStack;

  static async start(flavor: Flavor): Promise<SoakStage> {
    await using stack = new AsyncDisposableStack();
    const servers = stack.use(await startServerPair(flavor, 'mysql-9.7'));
    const relays = {
      source: stack.use(await TcpRelay.start(servers.source)),
      target: stack.use(await TcpRelay.start(servers.target)),
    };
    await prepareUsers(servers.source);
    await prepareUsers(servers.target);
    const switchyard = stack.use(await SwitchyardProcess.start({ settings: ['proxy.workers=1'] }));
    return new SoakStage(flavor, servers, relays, switchyard, stack.move());
  }

  private constructor(
    flavor: Flavor,
    servers: Record<Side, RunningServer>,
    relays: Record<Side, TcpRelay>,
    switchyard: SwitchyardProcess,
    stack: AsyncDisposableStack,
  ) {
    this.flavor = flavor;
    this.servers = servers;
    this.relays = relays;
    this.switchyard = switchyard;
    this.#stack = stack;
  }

  /** As our own user reaches a server: through its relay. */
  definition(side: Side) {
    return { host: '127.0.0.1', port: this.relays[side].port, ...ENGINE_USER };
  }

  /** Of the source, from now on. */
  async startReplica(): Promise<SourceReplica> {
    return await SourceReplica.start(this.servers.source, prepareUsers);
  }

  /** No trace of the schedule before, whatever it left. */
  async clear(): Promise<void> {
    for (const server of Object.values(this.servers)) {
      await using connection = await connect(server);
      await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}; DROP DATABASE IF EXISTS _switchyard`);
    }
    await using source = await connect(this.servers.source);
    await source.query(`CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function prepareUsers(server: RunningServer): Promise<void> {
  await using connection = await connect(server);
  for (const { user, password } of [ENGINE_USER, WRITER])
    await connection.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`);
  await connection.query(`GRANT ALL ON *.* TO ${ENGINE_USER.user}@'%'`);
  await connection.query(`GRANT ALL ON ${DATABASE}.* TO ${WRITER.user}@'%'`);
  // Without it the sessions' binlog settings are refused; XA is everybody's.
  if (server.flavor.startsWith('mysql'))
    await connection.query(`GRANT SESSION_VARIABLES_ADMIN ON *.* TO ${WRITER.user}@'%'`);
}
