import { expect, test } from 'vitest';
import { startServerPair } from '../../servers/start-server.ts';
import { replicateHugeTransaction } from '../support/huge-transaction.ts';

const TIMEOUT_MS = 40 * 60_000;

test(
  'a transaction of ten million rows is replicated in less than 512 MiB (I8)',
  async () => {
    await using servers = await startServerPair();
    const report = await replicateHugeTransaction(servers, 10_000_000, TIMEOUT_MS);
    console.log(JSON.stringify(report));
    expect(report.equal).toBe(true);
    expect(report.residentMibMax).toBeLessThan(512);
  },
  TIMEOUT_MS,
);
