import { expect, test } from 'vitest';
import { startServerPair } from '../../servers/start-server.ts';
import { replicateHugeTransaction } from '../support/huge-transaction.ts';

/** The one of ten million is in test/long. */
test('a transaction of 300,000 rows is replicated in bounded memory (I8)', async () => {
  await using servers = await startServerPair();
  const report = await replicateHugeTransaction(servers, 300_000, 120_000);
  console.log(JSON.stringify(report));
  expect(report.equal).toBe(true);
  // As one piece it takes more than 500.
  expect(report.residentMibMax).toBeLessThan(256);
});
