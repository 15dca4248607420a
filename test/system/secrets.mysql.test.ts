import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { expect, test } from 'vitest';
import type { ImportRequestInput } from '../../admin/client.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from '../support/query.ts';
import { ENGINE_USER, APP_USER, IMPORT, Rehearsal } from '../support/rehearsal.ts';

const MAIN = join(import.meta.dirname, '../../main.ts');
/** Each is found again wherever it went. */
const PLANTED = {
  'password of our user': ENGINE_USER.password,
  'password of an application': APP_USER.password,
  'wrong password of our user': 'planted-wrong-engine',
  'wrong password of an application': 'planted-wrong-app',
  'password of an account that is created during the import': 'planted-late',
  'private key': 'plantedMIIEvQIBADANBg',
  'password in a wrong place': 'planted-misplaced',
};

/** Everything that anybody can get out of a Switchyard, by where it comes from. */
class Outputs {
  readonly #texts: { from: string; text: string }[] = [];
  readonly #rehearsal: Rehearsal;

  constructor(rehearsal: Rehearsal) {
    this.#rehearsal = rehearsal;
  }

  add(from: string, text: string): void {
    this.#texts.push({ from, text });
  }

  async request(method: string, path: string, body?: string): Promise<void> {
    const { adminUrl } = this.#rehearsal.switchyard;
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${adminUrl}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
    const isStream = response.headers.get('content-type')?.includes('event-stream') === true;
    // Its first part: the view and the log so far.
    const first = isStream ? await response.body?.getReader().read() : undefined;
    const text = isStream ? Buffer.from(first?.value ?? []).toString() : await response.text();
    this.add(`${method} ${path} (${response.status})`, text);
    if (isStream) await response.body?.cancel().catch(() => {});
  }

  /** A body that is refused, wherever it is sent. */
  async refusals(body: string): Promise<void> {
    for (const path of ['/api/v1/validate', '/api/v1/imports']) await this.request('POST', path, body);
  }

  async everyGet(): Promise<void> {
    const { adminUrl } = this.#rehearsal.switchyard;
    const { paths } = (await (await fetch(`${adminUrl}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const readable = Object.entries(paths).filter(([, methods]) => 'get' in methods);
    expect(readable.length).toBeGreaterThan(10);
    for (const [path] of readable) await this.request('GET', path.replace('{id}', IMPORT));
  }

  async cli(...args: string[]): Promise<void> {
    const { adminUrl } = this.#rehearsal.switchyard;
    const { promise, resolve } = Promise.withResolvers<string>();
    execFile(process.execPath, [MAIN, ...args, '--url', adminUrl], (_error, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    );
    this.add(`switchyard ${args.join(' ')}`, await promise);
  }

  /** Log, state, and the arguments and names of processes. */
  processes(): void {
    const { switchyard } = this.#rehearsal;
    const { dataDir } = switchyard;
    for (const name of readdirSync(dataDir)) {
      const file = join(dataDir, name);
      if (statSync(file).isFile()) this.add(name, readFileSync(file, 'latin1'));
    }
    for (const pid of [switchyard.supervisorPid, ...switchyard.pids('proxy'), ...switchyard.pids('engine')])
      this.add(`ps of ${pid}`, readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
  }

  /** Where each of `secrets` has come out. */
  leaks(secrets: Record<string, string>): string[] {
    return this.#texts.flatMap(({ from, text }) =>
      Object.entries(secrets).flatMap(([name, secret]) => {
        const at = text.indexOf(secret);
        return at < 0 ? [] : [`${name} in ${from}: ${text.slice(Math.max(0, at - 200), at + 60)}`];
      }),
    );
  }

  get count(): number {
    return this.#texts.length;
  }
}

/** Over a connection that is closed at once: to a switch, one that stays is a writer past the proxy. */
async function run(server: RunningServer, sql: string): Promise<mysql.RowDataPacket[]> {
  await using connection = await connect(server);
  return await rows(connection, sql);
}

test('no secret comes out of a whole import, however much of it fails', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 300, settings: ['log.level=debug'] });
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  const outputs = new Outputs(rehearsal);
  const request = rehearsal.request({ options: { users: 'create', ddl: 'EXEC' } });
  const variant = (change: Partial<ImportRequestInput['source']>): string =>
    JSON.stringify({ ...request, source: { ...request.source, ...change } });

  // Refused logins, unreachable servers, certificates and keys that are none, rights that are missing.
  const { 'private key': key, 'password in a wrong place': misplaced } = PLANTED;
  const pem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
  await run(source, `CREATE USER powerless@'%' IDENTIFIED BY '${PLANTED['wrong password of our user']}'`);
  for (const change of [
    { password: PLANTED['wrong password of our user'] },
    { user: 'powerless', password: PLANTED['wrong password of our user'] },
    { port: 1 },
    { host: `nowhere.invalid` },
    { tls: { mode: 'verify_identity' as const, ca: pem } },
    { tls: { mode: 'required' as const, cert: pem, key: pem } },
  ])
    await outputs.refusals(variant(change));
  for (const body of [
    `{"source": "mysql://u:${misplaced}@127.0.0.1/shop"}`,
    `{"password": "${misplaced}", "passwort": "${misplaced}"}`,
    JSON.stringify({ ...request, source: { ...request.source, password: { is: misplaced } } }),
    JSON.stringify({ ...request, source: { ...request.source, host: `u:${misplaced}@127.0.0.1` } }),
    JSON.stringify({ ...request, source: { ...request.source, tls: { mode: misplaced } } }),
    `{"password": "${misplaced}`,
  ])
    await outputs.refusals(body);

  await client.createImport(request);
  await rehearsal.reach('running');
  await run(
    source,
    `CREATE USER late@'%' IDENTIFIED BY '${PLANTED['password of an account that is created during the import']}'`,
  );
  await run(source, "GRANT SELECT ON shop.* TO late@'%'");
  const [account] = await run(source, "SELECT HEX(authentication_string) AS hash FROM mysql.user WHERE user = 'late'");
  const hash = Buffer.from(String(account?.['hash']), 'hex').toString('latin1').slice(-40);
  const refusedLogin = mysql.createConnection({
    host: '127.0.0.1',
    port: switchyard.primaryPort,
    database: 'shop',
    user: APP_USER.user,
    password: PLANTED['wrong password of an application'],
  });
  await expect(refusedLogin).rejects.toThrow(/Access denied/);
  const application = await rehearsal.application();
  await outputs.request('POST', `/api/v1/imports/${IMPORT}/users/script`, '{}');
  await outputs.request('POST', `/api/v1/imports/${IMPORT}/users/apply`, '{}');
  await client.verify(IMPORT);
  await rehearsal.verdict('equal');
  await outputs.everyGet();
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await application.query('SELECT 1');
  await outputs.everyGet();
  await rehearsal.caughtUpWith(target);
  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true });

  // Our own password is changed: streams end, the doctor cannot look, a switch is refused.
  await run(target, `ALTER USER ${ENGINE_USER.user}@'%' IDENTIFIED BY 'another'`);
  const ours = `SELECT id FROM information_schema.processlist WHERE user = '${ENGINE_USER.user}'`;
  for (const { id } of await run(target, ours)) await run(target, `KILL ${String(id)}`).catch(() => {});
  await outputs.request('POST', `/api/v1/imports/${IMPORT}/switch`, '{"kind":"primaries"}');
  await outputs.request('POST', `/api/v1/imports/${IMPORT}/doctor/repair`, '{}');
  for (const args of [
    ['doctor', IMPORT],
    ['import', 'show', IMPORT, '--json'],
    ['import', 'list'],
    ['users', IMPORT],
    ['sessions'],
    ['switch', 'primaries', IMPORT],
  ])
    await outputs.cli(...args);
  await outputs.everyGet();
  await application.end();
  outputs.processes();
  expect(outputs.count).toBeGreaterThan(60);
  expect(outputs.leaks({ ...PLANTED, 'hash of a password': hash })).toEqual([]);
});
