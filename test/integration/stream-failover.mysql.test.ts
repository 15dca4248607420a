import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerConnection } from '../../engine/server/connection.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { definitionOf, readUntil, StreamFixture } from '../support/stream-fixture.ts';

let pair: Awaited<ReturnType<typeof startServerPair>>;
let primary: StreamFixture;
let promoted: ServerConnection;

beforeAll(async () => {
  pair = await startServerPair();
  primary = await StreamFixture.create(pair.source, 'app');
  promoted = await ServerConnection.open(definitionOf(pair.target));
  await primary.run('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
  await primary.inspect();
  const { host, port, adminUser, adminPassword } = pair.source;
  await promoted.write('RESET BINARY LOGS AND GTIDS');
  await promoted.write(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='${adminUser}', ` +
      `SOURCE_PASSWORD='${adminPassword}', SOURCE_SSL=1, SOURCE_AUTO_POSITION=1`,
  );
  await promoted.write('START REPLICA');
});

afterAll(async () => {
  await promoted?.close();
  await primary?.[Symbol.asyncDispose]();
  await pair?.[Symbol.asyncDispose]();
});

test('reading goes on from a replica that has become primary: another server id, the same history', async () => {
  const from = await primary.position();
  for (let id = 0; id < 10; id += 1) await primary.run(`INSERT INTO t VALUES (${id}, 0)`);
  const before = await primary.position();
  await using first = await primary.open(from);
  const read = await readUntil(first, from, before);
  for (let id = 10; id < 20; id += 1) await primary.run(`INSERT INTO t VALUES (${id}, 0)`);
  const last = await primary.position();
  await promoted.rows(`SELECT WAIT_FOR_EXECUTED_GTID_SET('${last.toString()}', 30)`);
  await promoted.write('STOP REPLICA');
  await promoted.write('INSERT INTO app.t VALUES (100, 0)');
  // The last transaction that was read is looked at again, and is the same on the replica.
  const [newest, ...earlier] = read.toReversed();
  const allBefore = from.clone();
  for (const { gtid } of earlier) allBefore.advance(gtid);
  const anchor = { gtid: newest?.gtid ?? '', stamp: newest?.stamp ?? '', before: allBefore };
  await using second = await primary.open(before, { server: definitionOf(pair.target), anchor });
  const rest = [];
  while (rest.length < 11) rest.push(await second.next(AbortSignal.timeout(30_000)));
  const ids = [...read, ...rest].flatMap(({ changes }) =>
    changes.map((change) => (change.kind === 'insert' ? change.after[0] : '')),
  );
  expect(ids).toEqual([...Array.from({ length: 20 }, (_, id) => String(id)), '100']);
  expect(new Set(rest.map(({ gtid }) => gtid.split(':')[0])).size).toBe(2);
});

test('a replica that was behind when it became primary is refused: it lacks what was read (I4)', async () => {
  await primary.run('INSERT INTO t VALUES (200, 0)');
  const ahead = await primary.position();
  await expect(primary.open(ahead, { server: definitionOf(pair.target) })).rejects.toMatchObject({
    code: 'STREAM_DIVERGED',
    entry: { kind: 'fatal' },
  });
});
