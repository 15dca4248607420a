import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile, copyFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKeyPairSync } from 'node:crypto';
import { buildProxyHeader, parseProxyHeader } from '../../core/wire/proxy-header.ts';
import { selfSignedCertificate } from '../../proxy/self-signed-certificate.ts';
import { serverBinary } from '../../servers/installation.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { sslRequest } from '../support/ssl-request.ts';

const run = promisify(execFile);

let server: RunningServer;
let folder: string;

beforeAll(async () => {
  server = await startServer({ flavor: 'mysql-9.7' });
  await createAppSchema(server);
  folder = await mkdtemp(join(tmpdir(), 'switchyard-listeners-'));
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('certificates', () => {
  const pair = (name: string) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    return {
      cert: selfSignedCertificate(privateKey, { commonName: name, days: 2, now: new Date() }),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  };

  /** What a new client is shown. */
  async function shownName(port: number, options: { maxVersion?: 'TLSv1.2' } = {}): Promise<string | undefined> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'data');
    socket.write(sslRequest());
    const secure = connectTls({ socket, rejectUnauthorized: false, ...options });
    secure.on('error', () => {});
    const { promise: settled, resolve } = Promise.withResolvers<void>();
    secure.once('secureConnect', resolve);
    secure.once('close', resolve);
    await settled;
    const name = secure.getPeerCertificate()?.subject?.CN;
    secure.destroy();
    return Array.isArray(name) ? name[0] : name;
  }

  test('are read again without a restart; a broken file leaves the former ones', async () => {
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const write = async ({ cert, key }: { cert: string; key: string }) => {
      await writeFile(certFile, cert);
      await writeFile(keyFile, key);
    };
    await write(pair('first'));
    const tls = { certFile, keyFile, minVersion: 'TLSv1.3' };
    await using proxy = await ProxyHarness.start({ source: server, target: server, proxy: { tls } });
    await using connection = await client(proxy.port, { ssl: { rejectUnauthorized: false } });
    expect(await shownName(proxy.port)).toBe('first');
    expect(await shownName(proxy.port, { maxVersion: 'TLSv1.2' })).toBeUndefined();
    await write(pair('second'));
    await proxy.reload();
    expect(await shownName(proxy.port)).toBe('second');
    await writeFile(certFile, 'no certificate');
    await expect(proxy.reload()).rejects.toThrow();
    expect(await shownName(proxy.port)).toBe('second');
    expect(await rowsOf(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('are shown to the server, and those of the server are verified', async ({ skip }) => {
    const { datadir } = server;
    if (datadir === null) return skip('the data directory of the server is elsewhere');
    await using root = await direct(server);
    await root.query(`CREATE USER certified@'%' IDENTIFIED BY 'x' REQUIRE X509`);
    const ca = await readFile(join(datadir, 'ca.pem'), 'utf8');
    for (const name of ['client-cert.pem', 'client-key.pem']) await copyFile(join(datadir, name), join(folder, name));
    const source = { certFile: join(folder, 'client-cert.pem'), keyFile: join(folder, 'client-key.pem') };
    await using proxy = await ProxyHarness.start({
      source: server,
      target: server,
      proxy: { serverCertificates: { source } },
    });
    const user = { user: 'certified', password: 'x', database: '' };
    const endpoints = (tls: object) => {
      const endpoint = { host: server.host, port: server.port };
      const { target } = proxy.record.endpoints;
      return {
        source: { primary: { ...endpoint, tls: { minVersion: 'TLSv1.2' as const, ...tls } as never }, replica: null },
        target,
      };
    };
    const cipher = `SELECT variable_value <> '' AS encrypted FROM performance_schema.session_status WHERE variable_name = 'Ssl_cipher'`;
    const serverName = /CN ?= ?([^\n,/]+)/.exec(
      (await run('openssl', ['x509', '-noout', '-subject', '-in', join(datadir, 'server-cert.pem')])).stdout,
    )?.[1];
    const elsewhere = pair('another authority').cert;
    for (const [tls, reason] of [
      [{ mode: 'verify_ca', ca }, null],
      [{ mode: 'verify_ca', ca, minVersion: 'TLSv1.3' }, null],
      [{ mode: 'verify_ca', ca: elsewhere }, /certificate/],
      [{ mode: 'verify_identity', ca }, /IP|altnames|Hostname/i],
      [{ mode: 'verify_identity', ca, serverName }, null],
    ] as const) {
      await proxy.acknowledged(proxy.push({ endpoints: endpoints(tls) }));
      if (reason === null) {
        await using connection = await client(proxy.port, user);
        expect(await rowsOf(connection, cipher)).toEqual([{ encrypted: 1 }]);
      } else {
        expect((await errorOf(client(proxy.port, user))).message).toMatch(reason);
      }
    }
    await using plain = await ProxyHarness.start({ source: server, target: server });
    expect(await errorOf(client(plain.port, user))).toMatchObject({ errno: 1045 });
  });
});

describe('PROXY protocol', () => {
  /** Between a client and the proxy: a balancer that says `header` first. */
  async function balancer(port: number, header: Buffer | string): Promise<{ port: number } & AsyncDisposable> {
    const sockets = new Set<Socket>();
    const listening = createServer((one) => {
      const other = connect(port, '127.0.0.1', () => other.write(header));
      for (const socket of [one, other]) {
        sockets.add(socket);
        socket.on('error', () => {});
      }
      one.pipe(other).pipe(one);
    });
    listening.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    return {
      port: (listening.address() as AddressInfo).port,
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy();
        listening.close();
      },
    };
  }

  test.each([
    ['version 1', 'PROXY TCP4 192.0.2.7 127.0.0.1 5555 3306\r\n', '192.0.2.7:5555'],
    ['version 2', buildProxyHeader({ host: '2001:db8::7', port: 1 }, { host: '::1', port: 2 }), '2001:db8::7:1'],
  ])('%s from a trusted network', async (_, header, address) => {
    await using proxy = await ProxyHarness.start({
      source: server,
      target: server,
      proxy: { proxyProtocolFrom: ['127.0.0.0/8'] },
    });
    await using between = await balancer(proxy.port, header);
    await using connection = await client(between.port, { ssl: { rejectUnauthorized: false } });
    expect(await rowsOf(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect((await proxy.sessions())[0]?.address).toBe(address);
    // Without it a trusted balancer is not served, and no client of another kind either.
    const socket = connect(proxy.port, '127.0.0.1');
    socket.write('GET / HTTP/1.0\r\n\r\n');
    await once(socket, 'close');
  });

  test('from anybody else it is a malformed login', async () => {
    await using proxy = await ProxyHarness.start({ source: server, target: server });
    await using between = await balancer(proxy.port, 'PROXY TCP4 192.0.2.7 127.0.0.1 5555 3306\r\n');
    expect((await errorOf(client(between.port))).errno).not.toBe(0);
  });

  test('to a server that takes it', async () => {
    const headers: (string | undefined)[] = [];
    const front = createServer((one) => {
      one.once('data', (chunk: Buffer) => {
        const header = parseProxyHeader(chunk);
        headers.push(header?.client?.host);
        const other = connect(server.port, server.host);
        for (const socket of [one, other]) socket.on('error', () => {});
        one.on('close', () => other.destroy());
        other.write(chunk.subarray(header?.length));
        one.pipe(other).pipe(one);
      });
    });
    front.listen(0, '127.0.0.1');
    await once(front, 'listening');
    const address = { host: '127.0.0.1', port: (front.address() as AddressInfo).port };
    {
      await using proxy = await ProxyHarness.start({
        source: address,
        target: server,
        proxy: { proxyProtocolTo: ['source'], proxyProtocolFrom: ['127.0.0.1'] },
      });
      await using between = await balancer(proxy.port, 'PROXY TCP4 192.0.2.7 127.0.0.1 5555 3306\r\n');
      await using connection = await client(between.port);
      expect(await rowsOf(connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(headers).toContain('192.0.2.7');
    }
    front.close();
  });
});

test('a unix socket: passwords need neither TLS nor the RSA key there, also where TLS is required', async () => {
  const path = join(folder, 'proxy.sock');
  await writeFile(path, 'left behind');
  await using proxy = await ProxyHarness.start({
    source: server,
    target: server,
    slot: 0,
    proxy: { socket: path, tls: { required: true } },
  });
  const { stdout } = await run(await serverBinary('mysql'), [
    '--no-defaults',
    `--socket=${path}`,
    '--ssl-mode=DISABLED',
    '-uapp',
    '-papp-password',
    '-N',
    'app',
    '-e',
    'SELECT DATABASE()',
  ]);
  expect(stdout).toBe('app\n');
  await using connection = await client(0, { socketPath: path });
  expect(await rowsOf(connection, 'SELECT 2 AS two')).toEqual([{ two: 2 }]);
  expect((await proxy.sessions()).map(({ address }) => address)).toContain('unix socket');
});
