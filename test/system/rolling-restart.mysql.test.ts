import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createConnection, type ConnectionOptions } from 'mysql2';
import { expect, test } from 'vitest';
import { selfSignedCertificate } from '../../proxy/self-signed-certificate.ts';
import { sslRequest } from '../support/ssl-request.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const SHUTDOWN = 1053;

/** Opens a connection for each statement, as a script does: whoever closes a port at the wrong moment is found out. */
class Visitors {
  readonly unexpected: string[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[];
  served = 0;

  constructor(options: ConnectionOptions, count: number) {
    this.#running = Array.from({ length: count }, async () => {
      while (!this.#stop.signal.aborted) await this.#visit(options);
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #visit(options: ConnectionOptions): Promise<void> {
    // What it is told between its login and its statement, or right behind the login: the statement then fails in the driver's words.
    let told: Error | undefined;
    const connection = createConnection(options);
    connection.on('error', (error) => (told ??= error));
    try {
      await connection.promise().connect();
      await connection.promise().query('SELECT 1');
      this.served += 1;
    } catch (error) {
      const { errno, code } = (told ?? error) as { errno?: number; code?: unknown };
      if (errno !== SHUTDOWN && Number(code) !== SHUTDOWN) this.unexpected.push(String(told ?? error));
    } finally {
      connection.destroy();
    }
  }
}

/**
 * As ADR 21 recommends: else the kernel resets who connects in the microseconds in which a process closes its port, and a machine that
 * is busy draws them out. Where this may not be set, one of thousands of visitors may meet it.
 */
function migrateConnections(): Disposable {
  const setting = '/proc/sys/net/ipv4/tcp_migrate_req';
  try {
    const former = readFileSync(setting);
    writeFileSync(setting, '1');
    return { [Symbol.dispose]: () => writeFileSync(setting, former) };
  } catch {
    return { [Symbol.dispose]: () => {} };
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a new supervisor takes over under load: nothing is lost, nobody who reconnects when told sees an error', async () => {
  using _ = migrateConnections();
  using folder = temporaryFolder();
  const socketPath = join(folder.path, 'mysql.sock');
  await using rehearsal = await Rehearsal.start({
    rows: 5000,
    settings: ['proxy.workers=2', `proxy.socket=${socketPath}`, 'proxy.drainTimeoutMs=60000'],
  });
  const { switchyard } = rehearsal;
  const { client, primaryPort: port } = switchyard;
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  const traffic = rehearsal.traffic(300, { reconnectsWhenTold: true });
  const account = { user: 'shop', password: 'app-secret-1', database: 'shop' };
  const visitors = [
    new Visitors({ host: '127.0.0.1', port, ...account }, 2),
    new Visitors({ socketPath, ...account }, 1),
  ];
  for (let round = 0; round < 2; round += 1) {
    const proxies = switchyard.pids('proxy');
    const supervisor = switchyard.supervisorPid;
    const long = await rehearsal.application();
    await long.query('BEGIN');
    await long.query(`UPDATE traffic_accounts SET balance = balance + 0 WHERE id = 999`);
    const pinned = (await client.sessions()).find(({ inTransaction }) => inTransaction);
    expect(pinned).toBeDefined();
    const before = traffic.stats.acknowledgedWrites;
    await switchyard.replace();
    expect(isRunning(supervisor)).toBe(false);
    await rehearsal.until(() => traffic.stats.acknowledgedWrites > before + 200);
    // The old process is there as long as its last transaction, and no longer.
    await long.query('SELECT 1');
    expect(proxies.some(isRunning)).toBe(true);
    await long.query('COMMIT');
    await expect.poll(() => proxies.some(isRunning), { timeout: 60_000 }).toBe(false);
    await long.end().catch(() => {});
    const { instanceId } = pinned ?? {};
    await expect
      .poll(async () => (await client.sessions()).filter((session) => session.instanceId === instanceId))
      .toEqual([]);
    expect(new Set(switchyard.pids('proxy')).isDisjointFrom(new Set(proxies))).toBe(true);
  }
  // The new processes are whole ones: they switch.
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await Promise.all([traffic.stop(), ...visitors.map((visitor) => visitor.stop())]);
  expect(traffic.errors).toEqual([]);
  for (const { served, unexpected } of visitors) {
    expect(unexpected).toEqual([]);
    expect(served).toBeGreaterThan(50);
  }
  expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({
    exact: true,
    lost: 0,
    duplicated: 0,
    foreign: 0,
    unknown: 0,
  });
});

test('one that is not told to replace another refuses; ready is said when clients can connect', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 10 });
  const { switchyard } = rehearsal;
  // The harness waits for /readyz alone.
  for (const port of [switchyard.primaryPort, switchyard.replicaPort]) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  }
  const second = promisify(execFile)(process.execPath, [MAIN, 'serve', '--set', `dataDir=${switchyard.dataDir}`]);
  await expect(second).rejects.toMatchObject({ stderr: expect.stringMatching(/PORT_IN_USE.*--replace/) });
});

test('kill -HUP: every worker shows the new certificate, and no session notices', async () => {
  using folder = temporaryFolder();
  const [certFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')];
  const write = (commonName: string) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(certFile, selfSignedCertificate(privateKey, { commonName, days: 2, now: new Date() }));
  };
  write('first');
  await using rehearsal = await Rehearsal.start({
    rows: 10,
    settings: ['proxy.workers=2', `proxy.tls.certFile=${certFile}`, `proxy.tls.keyFile=${keyFile}`],
  });
  const { switchyard } = rehearsal;
  await switchyard.client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  const session = await rehearsal.application();
  const shown = async () => {
    // Enough to have met both workers, but for one time in a thousand.
    const names = await Promise.all(Array.from({ length: 10 }, async () => shownName(switchyard.primaryPort)));
    return [...new Set(names)];
  };
  expect(await shown()).toEqual(['first']);
  write('second');
  switchyard.reload();
  await expect.poll(shown).toEqual(['second']);
  writeFileSync(certFile, 'no certificate');
  switchyard.reload();
  await expect.poll(() => switchyard.log()).toContain('going on with the former certificates');
  expect(await shown()).toEqual(['second']);
  expect((await session.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }]);
  session.destroy();
});

async function shownName(port: number): Promise<string | undefined> {
  const socket: Socket = connect(port, '127.0.0.1');
  await once(socket, 'data');
  socket.write(sslRequest());
  const secure = connectTls({ socket, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  const name = secure.getPeerCertificate().subject.CN;
  secure.destroy();
  return Array.isArray(name) ? name[0] : name;
}
