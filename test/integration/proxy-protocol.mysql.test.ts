import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serverBinary } from '../../servers/installation.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { client, createAppSchema, executeRows, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';

const run = promisify(execFile);

let server: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  server = await startServer({ flavor: 'mysql-9.7', options: ['--local-infile=ON', '--max-allowed-packet=67108864'] });
  await createAppSchema(server);
  proxy = await ProxyHarness.start({ source: server, target: server });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function mysql(options: string[], sql: string): Promise<string> {
  const login = [
    '--no-defaults',
    '--protocol=tcp',
    '-h127.0.0.1',
    `-P${proxy.port}`,
    '-uapp',
    '-papp-password',
    '-N',
    '--max-allowed-packet=67108864',
  ];
  const { stdout } = await run(await serverBinary('mysql'), [...login, ...options, 'app', '-e', sql], {
    maxBuffer: 1 << 26,
  });
  return stdout;
}

function socketOf(connection: unknown): Socket {
  return (connection as { connection: { stream: Socket } }).connection.stream;
}

describe('compression', () => {
  test.each(['zlib', 'zstd'])('%s, with TLS and without: fewer bytes, the same answers', async (algorithm) => {
    for (const tls of ['REQUIRED', 'DISABLED']) {
      const options = [`--ssl-mode=${tls}`, '--get-server-public-key', `--compression-algorithms=${algorithm}`];
      const sql = `SELECT REPEAT('a', 1000000); SELECT 2; SELECT nothing`;
      await expect(mysql(options, sql)).rejects.toThrow(/1054/);
      // TLS is below the packets: those of more than 16 MiB go through one of each.
      const length = (tls === 'REQUIRED') === (algorithm === 'zlib') ? 17_000_000 : 100_000;
      expect(await mysql(options, `SELECT REPEAT('a', ${length}); SELECT 2`)).toBe(`${'a'.repeat(length)}\n2\n`);
    }
  });

  test('packets of more than 16 MiB both ways, and prepared statements', async () => {
    await using connection = await client(proxy.port, { compress: true });
    const bytes = Buffer.alloc(17 * 1024 * 1024, 'large');
    const before = socketOf(connection).bytesWritten;
    await connection.query('INSERT INTO t (id, b) VALUES (1, ?)', [bytes]);
    expect(socketOf(connection).bytesWritten - before).toBeLessThan(bytes.length);
    const received = socketOf(connection).bytesRead;
    const [row] = await executeRows(connection, 'SELECT b FROM t WHERE id = ?', [1]);
    expect(bytes.equals(row?.['b'])).toBe(true);
    expect(socketOf(connection).bytesRead - received).toBeLessThan(bytes.length / 10);
    await connection.query('DELETE FROM t');
  });

  test('a compressed packet that unpacks to more than it says, or not at all, ends its session only', async () => {
    await using other = await client(proxy.port, { compress: true });
    const bomb = deflateSync(Buffer.alloc(1 << 24));
    for (const payload of [bomb, Buffer.from('no zlib at all')]) {
      await using connection = await client(proxy.port, { compress: true });
      const header = Buffer.alloc(7);
      header.writeUIntLE(payload.length, 0, 3);
      header.writeUIntLE(100, 4, 3);
      const closed = once(socketOf(connection), 'close');
      socketOf(connection).write(Buffer.concat([header, payload]));
      await closed;
      expect(await rowsOf(other, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    }
    expect(await proxy.metrics()).toContain('switchyard_proxy_refusals_total{reason="malformed packet"} 2');
  });
});
