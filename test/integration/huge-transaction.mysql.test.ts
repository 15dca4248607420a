import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerConnection } from '../../engine/server/connection.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { HUGE_COLUMNS, hugeTransaction, measureReplication } from '../support/measured-replication.ts';
import { isWhole } from '../support/selection.ts';
import { definitionOf } from '../support/stream-fixture.ts';

const TIMEOUT_MS = 240_000;

let servers: Awaited<ReturnType<typeof startServerPair>>;

beforeAll(async () => {
  servers = await startServerPair();
  await setPacket('source', 256);
});
afterAll(async () => {
  await servers?.[Symbol.asyncDispose]();
});

async function setPacket(side: 'source' | 'target', mib: number): Promise<void> {
  await using connection = await ServerConnection.open(definitionOf(servers[side]));
  await connection.write(`SET GLOBAL max_allowed_packet = ${mib * 2 ** 20}`);
}

/** The one of ten million is in test/long. */
test('a transaction of 300,000 rows is replicated in bounded memory (I8)', async () => {
  const transaction = hugeTransaction(300_000);
  const options = { schema: 'many', columns: HUGE_COLUMNS, transaction, timeoutMs: TIMEOUT_MS };
  const measured = await measureReplication(servers, options);
  console.log(JSON.stringify(measured));
  expect(measured.equal).toBe(true);
  // As one piece it takes more than 500.
  expect(measured.residentMibMax).toBeLessThan(256);
});

const BIG = {
  columns: 'id INT PRIMARY KEY, b LONGBLOB',
  transaction: [
    'BEGIN',
    ...[1, 2].map((id) => `INSERT INTO t VALUES (${id}, REPEAT(CHAR(0, 39, 65, 255, ${id}), ${(64 * 2 ** 20) / 8}))`),
    'UPDATE t SET b = CONCAT(b, 1) WHERE id = 1',
    'COMMIT',
  ],
  timeoutMs: TIMEOUT_MS,
};

/** What the copy is held to as well (test/integration/copy-endurance). */
test('rows of 16 MB are replicated in less than 512 MiB: inserted, updated, deleted', async () => {
  await setPacket('target', 64);
  const ids = Array.from({ length: 10 }, (_, id) => id);
  const transaction = [
    'BEGIN',
    // A fifth of the bytes is escaped in a statement.
    ...ids.map((id) => `INSERT INTO t VALUES (${id}, REPEAT(CHAR(0, 200, 65, 255, ${id + 65}), 3200000))`),
    'UPDATE t SET b = CONCAT(b, 1) WHERE id < 5',
    'DELETE FROM t WHERE id = 1',
    'COMMIT',
  ];
  const measured = await measureReplication(servers, { schema: 'sixteen', ...BIG, transaction });
  console.log(JSON.stringify(measured));
  expect(measured.equal).toBe(true);
  expect(measured.residentMibMax).toBeLessThan(512);
});

/** Before and after image of one update are an event of 128 MiB, which is in memory as a whole. */
test.runIf(isWhole)('values of 64 MiB are replicated in bounded memory', async () => {
  await setPacket('target', 256);
  const measured = await measureReplication(servers, { schema: 'big', ...BIG });
  console.log(JSON.stringify(measured));
  expect(measured.equal).toBe(true);
  expect(measured.residentMibMax).toBeLessThan(1536);
});

test('a row that the target would not take in one statement stops with the remedy', async () => {
  await setPacket('target', 32);
  await expect(measureReplication(servers, { schema: 'refused', ...BIG })).rejects.toThrow(
    /STATEMENT_TOO_LARGE|max_allowed_packet \(33554432\)/,
  );
});
