import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { StrayWatch } from '../../engine/stray/stray-watch.ts';
import { WriteBack } from '../../engine/write-back/write-back.ts';
import { definitionOf, familyOf } from '../support/stream-fixture.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

let targetServer: RunningServer;
let target: ServerConnection;

beforeAll(async () => {
  targetServer = await startServer({ flavor: 'mysql-9.7', role: 'target' });
  target = await ServerConnection.open(definitionOf(targetServer));
  await createSidecar(target);
});

afterAll(async () => {
  await target?.close();
  await targetServer?.[Symbol.asyncDispose]();
});

// As after a crash of its machine with sync_binlog=0.
describe.each(['mysql-9.7', 'mariadb-11.8'] as const)('a %s that comes back without its last transaction', (flavor) => {
  let server: RunningServer;
  let source: ServerConnection;

  beforeAll(async () => {
    server = await startServer({ flavor });
    source = await ServerConnection.open(definitionOf(server));
  });

  afterAll(async () => {
    await source?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test.each([
    ['while the engine runs', false],
    ['while the engine is away', true],
  ])('and gives its GTID to another one stops the stream: %s (I4)', async (_, isAway) => {
    await using relay = await TcpRelay.start(server);
    const family = familyOf(server);
    const name = `lost_${family}_${isAway ? 'away' : 'there'}`;
    for (const connection of [source, target]) {
      await connection.write(`CREATE DATABASE ${name}`);
      await connection.write(`CREATE TABLE ${name}.t (id INT PRIMARY KEY)`);
    }
    const position = async () => await executedPosition(source, family);
    await new ProgressRow(name, 'forward').reset(target, (await position()).toString());
    const origin = { ...definitionOf(server), host: relay.host, port: relay.port };
    const start = (signal: AbortSignal) =>
      new Replication(
        {
          importId: name,
          direction: 'forward',
          origin: { ...origin, tls: { mode: 'disabled', minVersion: 'TLSv1.2' } },
          destination: target.server,
          flavor: family,
          database: name,
          loadTables: () => inspectTables(source, name, 'all'),
          onDdl: () => Promise.reject(new Error('no DDL was expected')),
        },
        signal,
      );
    const controller = new AbortController();
    let replication = start(controller.signal);
    try {
      await source.write(`INSERT INTO ${name}.t VALUES (1)`);
      const kept = (await position()).toString();
      await source.write(`INSERT INTO ${name}.t VALUES (2)`);
      await replication.waitFor(await position(), AbortSignal.timeout(30_000));
      const lost = (await position()).toString();
      if (isAway) await replication.stop();
      relay.refuse();
      relay.cut('reset');

      await loseLast({ source, family, name, kept, lost });
      relay.forward();
      if (isAway) replication = start(controller.signal);
      const goesOn = replication.waitFor(await position(), AbortSignal.timeout(30_000));
      await expect(goesOn).rejects.toMatchObject({ code: 'STREAM_DIVERGED' });
      expect(await target.rows(`SELECT id FROM ${name}.t ORDER BY id`)).toEqual([['1'], ['2']]);
    } finally {
      controller.abort();
      await replication.done.catch(() => {});
    }
  });

  test('ends the sight of the watch for stray writes: what it may have missed is alarmed', async () => {
    const family = familyOf(server);
    const name = `lost_${family}_watched`;
    for (const connection of [source, target]) {
      await connection.write(`CREATE DATABASE ${name}`);
      await connection.write(`CREATE TABLE ${name}.t (id INT PRIMARY KEY)`);
    }
    await source.write(`INSERT INTO ${name}.t VALUES (0)`);
    const position = async () => await executedPosition(source, family);
    await new ProgressRow(name, 'forward').reset(target, (await position()).toString());
    await using relay = await TcpRelay.start(server);
    const origin = { ...definitionOf(server), host: relay.host, port: relay.port };
    const controller = new AbortController();
    let unwatched = 0;
    const watch = new StrayWatch(
      {
        importId: name,
        direction: 'forward',
        oldPrimary: { ...origin, tls: { mode: 'disabled', minVersion: 'TLSv1.2' } },
        newPrimary: target.server,
        flavor: family,
        database: name,
        allTables: false,
        tableNames: [],
        isOwnImport: (id) => id === name,
        loadTables: () => inspectTables(source, name, 'all'),
        log: () => {},
        mayBegin: async () => {},
        onDiverged: async () => {},
        onUnwatched: async () => void (unwatched += 1),
        onChanged: () => {},
      },
      controller.signal,
    );
    try {
      await source.write(`INSERT INTO ${name}.t VALUES (1)`);
      const kept = (await position()).toString();
      await source.write(`INSERT INTO ${name}.t VALUES (2)`);
      await watch.waitFor(await position(), AbortSignal.timeout(30_000));
      const lost = (await position()).toString();
      relay.refuse();
      relay.cut('reset');
      await loseLast({ source, family, name, kept, lost });
      relay.forward();
      await expect.poll(() => watch.view()?.watch, { timeout: 30_000 }).toBe('failed');
      expect(unwatched).toBeGreaterThan(0);
    } finally {
      await watch.stop();
    }
  });
});

test.each([
  ['while the engine runs', false],
  ['while the engine is away', true],
])(
  'a target that comes back without its last transaction stops the write-back, which has brought it to the source: %s (I4)',
  async (_, isAway) => {
    await using server = await startServer({ flavor: 'mysql-9.7' });
    await using origin = await ServerConnection.open(definitionOf(server));
    await createSidecar(origin);
    const name = `lost_back_${isAway ? 'away' : 'there'}`;
    for (const connection of [origin, target]) {
      await connection.write(`CREATE DATABASE ${name}`);
      await connection.write(`CREATE TABLE ${name}.t (id INT PRIMARY KEY)`);
    }
    const position = async () => await executedPosition(origin, 'mysql');
    await new ProgressRow(name, 'reverse').reset(target, (await position()).toString());
    await using relay = await TcpRelay.start(server);
    const start = (signal: AbortSignal) =>
      new WriteBack(
        {
          importId: name,
          target: {
            ...definitionOf(server),
            host: relay.host,
            port: relay.port,
            tls: { mode: 'disabled', minVersion: 'TLSv1.2' },
          },
          source: target.server,
          flavor: 'mysql',
          database: name,
          tables: () => ['t'],
          allTables: false,
          ddlDecisionOn: () => undefined,
          mayBegin: async () => {},
          onTouched: () => {},
          onChanged: () => {},
          onRetry: () => {},
          log: () => {},
        },
        signal,
      );
    const controller = new AbortController();
    let writeBack = start(controller.signal);
    try {
      await origin.write(`INSERT INTO ${name}.t VALUES (1)`);
      const kept = (await position()).toString();
      await origin.write(`INSERT INTO ${name}.t VALUES (2)`);
      await writeBack.waitFor(await position(), AbortSignal.timeout(30_000));
      const lost = (await position()).toString();
      if (isAway) await writeBack.stop();
      relay.refuse();
      relay.cut('reset');
      await loseLast({ source: origin, family: 'mysql', name, kept, lost });
      relay.forward();
      if (isAway) writeBack = start(controller.signal);
      const goesOn = writeBack.waitFor(await position(), AbortSignal.timeout(30_000));
      await expect(goesOn).rejects.toMatchObject({ code: 'STREAM_DIVERGED' });
      expect(await target.rows(`SELECT id FROM ${name}.t ORDER BY id`)).toEqual([['1'], ['2']]);
    } finally {
      controller.abort();
      await writeBack.done.catch(() => {});
    }
  },
);

interface Loss {
  source: ServerConnection;
  family: 'mysql' | 'mariadb';
  name: string;
  /** The position before the last transaction, and behind it. */
  kept: string;
  lost: string;
}

/** The row 2, and with it the transaction that made it; 3 is made under its GTID, and 4 behind it. */
async function loseLast({ source, family, name, kept, lost }: Loss) {
  const [second] = await source.rows('SELECT NOW()');
  await expect.poll(async () => await source.rows('SELECT NOW()')).not.toEqual([second]);
  await source.write('SET SESSION sql_log_bin = 0');
  await source.write(`DELETE FROM ${name}.t WHERE id = 2`);
  await source.write('SET SESSION sql_log_bin = 1');
  if (family === 'mysql') {
    await source.write('RESET BINARY LOGS AND GTIDS');
    await source.write(`SET GLOBAL gtid_purged = '${kept}'`);
  } else {
    await source.write('RESET MASTER');
    await source.write(`SET GLOBAL gtid_binlog_state = '${kept}'`);
  }
  await source.write(`INSERT INTO ${name}.t VALUES (3)`);
  expect((await executedPosition(source, family)).toString()).toBe(lost);
  await source.write(`INSERT INTO ${name}.t VALUES (4)`);
}
