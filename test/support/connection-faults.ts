import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Side } from '../../core/phase.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { connect, rows } from './query.ts';
import { IMPORT, Rehearsal } from './rehearsal.ts';
import { TcpRelay } from './tcp-relay.ts';

export const SIDES: readonly Side[] = ['source', 'target'];
const USER = "switchyard@'%'";

interface Scene {
  server: RunningServer;
  relay: TcpRelay;
}

/** Ways to lose a server, each undone when it resolves; the engine has to notice, come back and go on by itself. */
const FAULTS: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'connections reset': async ({ relay }) => relay.cut('reset'),
  'connections closed': async ({ relay }) => relay.cut('fin'),
  'a silent network': async ({ relay }) => {
    relay.stall();
    await delay(1500);
    relay.forward();
  },
  'silence that ends in a reset': async ({ relay }) => {
    relay.stall();
    await delay(500);
    relay.cut('reset');
    await delay(500);
    relay.forward();
  },
  'refused connections': async ({ relay }) => {
    relay.refuse();
    relay.cut('reset');
    await delay(2500);
    relay.forward();
  },
  'sessions killed': async ({ server }) => killSessions(server),
  'too many connections of the user': async ({ server }) => {
    await administer(server, `ALTER USER ${USER} WITH MAX_USER_CONNECTIONS 1`);
    await killSessions(server);
    await delay(1500);
    await administer(server, `ALTER USER ${USER} WITH MAX_USER_CONNECTIONS 0`);
  },
  'a server in offline mode': async ({ server }) => {
    // Users with administrative grants may still come in, so ours has to be without for the moment.
    await administer(server, `REVOKE CONNECTION_ADMIN, SUPER ON *.* FROM ${USER}`, 'SET GLOBAL offline_mode = ON');
    await delay(1500);
    await administer(server, 'SET GLOBAL offline_mode = OFF', `GRANT CONNECTION_ADMIN, SUPER ON *.* TO ${USER}`);
  },
  'a restart': async ({ server }) => server.restart(),
  'a crash': async ({ server }) => {
    await server.kill();
    await delay(500);
    await server.start();
  },
};

async function administer(server: RunningServer, ...statements: string[]): Promise<void> {
  await using connection = await connect(server);
  for (const statement of statements) await connection.query(statement);
}

async function killSessions(server: RunningServer): Promise<void> {
  await using connection = await connect(server);
  const sessions = await rows(
    connection,
    "SELECT ID AS id FROM performance_schema.processlist WHERE USER = 'switchyard'",
  );
  for (const { id } of sessions) await connection.query(`KILL ${String(id)}`).catch(() => {});
}

/** An import that reaches both servers through relays. */
async function stage(rowCount: number) {
  await using stack = new AsyncDisposableStack();
  const rehearsal = stack.use(await Rehearsal.start({ rows: rowCount }));
  const relays: Record<Side, TcpRelay> = {
    source: stack.use(await TcpRelay.start(rehearsal.source)),
    target: stack.use(await TcpRelay.start(rehearsal.target)),
  };
  const plain = rehearsal.request();
  const request = rehearsal.request({
    source: { ...plain.source, port: relays.source.port },
    target: { ...plain.source, port: relays.target.port },
    options: { chunkBytes: 64 * 1024, connections: 2 },
  });
  const kept = stack.move();
  return { rehearsal, relays, request, [Symbol.asyncDispose]: async () => kept.disposeAsync() };
}

async function endsEqual(rehearsal: Rehearsal, traffic: ReturnType<Rehearsal['traffic']>): Promise<void> {
  await traffic.stop();
  await rehearsal.caughtUpWith(rehearsal.source);
  expect(await compareDatabases(rehearsal.source, rehearsal.target, 'shop')).toEqual([]);
  expect(await rehearsal.ledger(traffic, rehearsal.source)).toMatchObject({ lost: 0, duplicated: 0 });
  await rehearsal.switchyard.client.verify(IMPORT);
  expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });
}

/** Each fault in turn, while replication runs under traffic; then those that only the operator can cure. */
export async function faultsWhileRunning(sidesOf: (fault: number) => readonly Side[]): Promise<void> {
  await using scene = await stage(3000);
  const { rehearsal, relays, request } = scene;
  const { client } = rehearsal.switchyard;
  await client.createImport(request);
  await rehearsal.reach('running');
  const traffic = rehearsal.traffic(100);
  for (const [i, [name, happen]] of Object.entries(FAULTS).entries()) {
    for (const side of sidesOf(i)) {
      await happen({ server: rehearsal[side], relay: relays[side] });
      await rehearsal.caughtUpWith(rehearsal.source).catch((cause: unknown) => {
        throw new Error(`${name}, ${side}`, { cause });
      });
    }
  }
  // What waiting does not cure stops at once and says why; it goes on when the cause is gone.
  for (const side of SIDES) {
    await administer(rehearsal[side], `ALTER USER ${USER} IDENTIFIED BY 'changed'`);
    await killSessions(rehearsal[side]);
    expect(await failure(rehearsal), side).toMatchObject({ code: 'LOGIN_REFUSED', fromPhase: 'running' });
    await administer(rehearsal[side], `ALTER USER ${USER} IDENTIFIED BY '${request.source.password}'`);
    await client.resume(IMPORT);
  }
  await endsEqual(rehearsal, traffic);
}

/** Each fault in turn, while rows are copied. */
export async function faultsWhileCopying(rowCount: number, sidesOf: (fault: number) => readonly Side[]): Promise<void> {
  await using scene = await stage(rowCount);
  const { rehearsal, relays, request } = scene;
  relays.target.delay(15);
  await rehearsal.switchyard.client.createImport(request);
  const traffic = rehearsal.traffic(100);
  for (const [i, [name, happen]] of Object.entries(FAULTS).entries()) {
    for (const side of sidesOf(i)) {
      const before = await copied(rehearsal);
      await happen({ server: rehearsal[side], relay: relays[side] });
      relays.target.delay(15);
      const view = await rehearsal.until(({ phase, tables }) => phase === 'running' || total(tables) > before);
      expect(view.phase, `${name}: the copy was over too early for this test`).toBe('copying');
    }
  }
  relays.target.forward();
  await rehearsal.reach('running');
  await endsEqual(rehearsal, traffic);
}

async function failure({ switchyard }: Rehearsal) {
  for (let tries = 0; tries < 300; tries += 1) {
    const { error } = await switchyard.client.getImport(IMPORT);
    if (error !== null) return error;
    await delay(50);
  }
  throw new Error('the import goes on');
}

async function copied(rehearsal: Rehearsal): Promise<number> {
  return total((await rehearsal.switchyard.client.getImport(IMPORT)).tables);
}

function total(tables: { rowsCopied: number }[]): number {
  return tables.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0);
}
