import { expect, test } from 'vitest';
import { startServerPair } from '../../servers/start-server.ts';
import { HUGE_COLUMNS, hugeTransaction, measureReplication } from '../support/measured-replication.ts';

const TIMEOUT_MS = 40 * 60_000;

test(
  'a transaction of ten million rows is replicated in less than 512 MiB (I8)',
  async () => {
    await using servers = await startServerPair();
    const transaction = hugeTransaction(10_000_000);
    const options = { schema: 'many', columns: HUGE_COLUMNS, transaction, timeoutMs: TIMEOUT_MS };
    const measured = await measureReplication(servers, options);
    console.log(JSON.stringify(measured));
    expect(measured.equal).toBe(true);
    expect(measured.residentMibMax).toBeLessThan(512);
  },
  TIMEOUT_MS,
);
