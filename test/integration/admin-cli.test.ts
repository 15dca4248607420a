import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startAdminServer } from '../../admin/server.ts';
import { refusal } from '../../engine/switch/refusal-table.ts';
import { standInImport } from '../../admin/stand-in/stand-in-import.ts';
import { startStandIn, type StandIn } from '../../admin/stand-in/start-stand-in.ts';
import { play } from '../../admin/stand-in/stand-in-play.ts';

const CLI = join(import.meta.dirname, '../../admin/stand-in/run-cli.ts');
const TOKEN = '0123456789abcdef';
const PASSWORD = 'hunter2-hunter2';
const SOURCE = [
  '--source-host',
  'db',
  '--source-user',
  'u',
  '--source-password-env',
  'DB_PASSWORD',
  '--database',
  'shop',
];

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** A process of the real CLI, without a terminal. */
function cli(standIn: Pick<StandIn, 'url'>, ...args: string[]): Promise<Outcome> {
  const env = { ...process.env, SWITCHYARD_URL: standIn.url, SWITCHYARD_TOKEN: TOKEN, DB_PASSWORD: PASSWORD };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [CLI, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.end();
  });
}

/** A server whose imports move on, as fast as a test likes. */
async function startPlaying(): Promise<StandIn> {
  const standIn = await startStandIn({ token: TOKEN });
  const timer = setInterval(() => play(standIn.backend, 4000), 50);
  onTestFinished(() => clearInterval(timer));
  return standIn;
}

test('from creation to completion', async () => {
  await using standIn = await startPlaying();
  const created = await cli(
    standIn,
    'import',
    'create',
    'shop',
    ...SOURCE,
    '--tables',
    'orders, customers',
    '--max-lag-ms',
    '500',
    '--wait',
  );
  expect(created.code).toBe(0);
  expect(created.stdout).toMatch(/^phase: +running$/m);
  expect(created.stderr).toMatch(/shop {2}copying .* rows .*%/);
  expect(standIn.backend.engine.calls[0]?.args).toMatchObject({
    id: 'shop',
    tables: ['orders', 'customers'],
    source: { host: 'db', port: 3306, user: 'u', password: PASSWORD },
    options: { maxLagMs: 500, deferIndexes: true },
    actor: expect.stringMatching(/^cli:.+@.+/),
  });
  expect(await cli(standIn, 'verify', 'shop')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^verification: equal/),
  });
  expect(await cli(standIn, 'switch', 'primaries', 'shop')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('primary traffic on target'),
  });
  expect(await cli(standIn, 'complete', 'shop')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^CONFIRMATION_REQUIRED: /),
  });
  expect(await cli(standIn, 'complete', 'shop', '--confirm', 'shop')).toMatchObject({
    code: 0,
    stdout: 'shop: completed\n',
  });
  const logs = await cli(standIn, 'import', 'logs', 'shop', '--json');
  expect(JSON.parse(logs.stdout)).toEqual(
    expect.arrayContaining([expect.objectContaining({ message: 'copy finished; replicating both ways' })]),
  );
  const list = await cli(standIn, 'import', 'list', '--json');
  expect(JSON.parse(list.stdout)).toEqual([expect.objectContaining({ id: 'shop', phase: 'completed' })]);
  for (const { stdout, stderr } of [created, logs, list]) expect(stdout + stderr).not.toContain(PASSWORD);
});

test('a refused switch names every reason on a line, with exit code 1; a dry run too', async () => {
  await using standIn = await startPlaying();
  await cli(standIn, 'import', 'create', 'shop', ...SOURCE, '--wait');
  standIn.backend.engine.refusals = [
    refusal('DIRECT_CONNECTIONS', 'cron@10.0.0.9 writes past the proxy'),
    refusal('DIRECT_CONNECTIONS', 'cron@10.0.0.8 writes past the proxy'),
    refusal('LAG_TOO_HIGH', '14 s behind'),
  ];
  const reasons = [
    '  - DIRECT_CONNECTIONS: cron@10.0.0.9 writes past the proxy (can be forced)',
    '  - DIRECT_CONNECTIONS: cron@10.0.0.8 writes past the proxy (can be forced)',
    expect.stringMatching(/^ {4}what to do: Point those programs at the proxy/),
    '  - LAG_TOO_HIGH: 14 s behind',
    expect.stringMatching(/^ {4}what to do: Wait/),
  ];
  const refused = await cli(standIn, 'switch', 'primaries', 'shop');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr.split('\n')).toEqual(
    expect.arrayContaining([expect.stringMatching(/^SWITCH_REFUSED: /), ...reasons]),
  );
  const dryRun = await cli(standIn, 'switch', 'primaries', 'shop', '--dry-run');
  expect(dryRun.code).toBe(1);
  expect(dryRun.stderr.split('\n')).toEqual(expect.arrayContaining(reasons));
  const json = await cli(standIn, 'switch', 'primaries', 'shop', '--json');
  expect(JSON.parse(json.stderr)).toMatchObject({
    code: 'SWITCH_REFUSED',
    details: { refusals: standIn.backend.engine.refusals },
  });
  // What it was forced over is told, and is no failure.
  standIn.backend.engine.refusals.pop();
  const forced = await cli(standIn, 'switch', 'primaries', 'shop', '--force');
  expect(forced).toMatchObject({ code: 0, stdout: expect.stringContaining('primary traffic on target') });
  expect(forced.stderr.split('\n')).toEqual(
    expect.arrayContaining(['forced over:', '  - DIRECT_CONNECTIONS: cron@10.0.0.8 writes past the proxy']),
  );
});

test('stray writes: listed, chosen ones applied, without a choice nothing is', async () => {
  await using standIn = await startStandIn({ token: TOKEN });
  const { engine } = standIn.backend;
  engine.imports.set('shop', standInImport({ id: 'shop' }));
  const write = { gtid: '0-1-7', committedAtMs: 1, table: 'orders', statement: null, applied: false } as const;
  engine.strayWrites = [
    { ...write, id: 1, kind: 'insert', key: '(7)', before: null, after: { id: '7', note: 'late\u001b[31m' } },
    { ...write, id: 2, kind: 'delete', key: '(8)', before: { id: '8' }, after: null },
  ];
  const listed = await cli(standIn, 'stray', 'list', 'shop', '--unapplied', '--limit', '5');
  expect(listed).toMatchObject({ code: 0, stdout: expect.stringMatching(/insert {2}\(7\).*"note":"late/) });
  expect(engine.calls.at(-1)?.args).toEqual({ id: 'shop', after: 0, limit: 5, unapplied: true });
  expect(await cli(standIn, 'stray', 'apply', 'shop')).toMatchObject({ code: 2 });
  expect(await cli(standIn, 'stray', 'apply', 'shop', '--id', '1', '--all')).toMatchObject({ code: 2 });
  expect(await cli(standIn, 'stray', 'apply', 'shop', '--id', '1,x')).toMatchObject({ code: 2 });
  const applied = await cli(standIn, 'stray', 'apply', 'shop', '--id', '2');
  expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('1 applied, 0 in conflict') });
  expect(engine.strayWrites.map(({ applied }) => applied)).toEqual([false, true]);
});

test('a verification: slowly, paused, gone on, what differs with both values, repaired', async () => {
  await using standIn = await startStandIn({ token: TOKEN });
  const { engine } = standIn.backend;
  const view = standInImport({ id: 'shop' });
  engine.imports.set('shop', view);
  engine.move(view, 'running');
  expect(await cli(standIn, 'verify', 'shop', '--no-wait', '--rows-per-second', '500')).toMatchObject({ code: 0 });
  expect(engine.calls.at(-1)).toEqual({
    method: 'verify',
    args: { id: 'shop', rowsPerSecond: 500, actor: expect.any(String) },
  });
  expect(await cli(standIn, 'verify', 'shop', '--pause')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('verification: paused'),
  });
  expect(await cli(standIn, 'verify', 'shop', '--resume', '--no-wait')).toMatchObject({ code: 0 });
  const { verify } = view;
  if (verify === null) throw new Error('nothing is verified');
  Object.assign(verify, { state: 'different', recheck: { keys: 3, tables: ['orders'], behindMs: 20, compared: 9 } });
  Object.assign(verify.tables[0] ?? {}, {
    differencesTotal: 1,
    differences: [
      {
        key: '(7)',
        kind: 'different',
        columns: ['name'],
        values: [{ column: 'name', source: 'Ada', target: 'spoilt' }],
      },
    ],
  });
  engine.move(view, 'running');
  const { stdout } = await cli(standIn, 'import', 'show', 'shop');
  expect(stdout).toMatch(/different +\(7\) +name +Ada +spoilt/);
  expect(stdout).toContain(
    '9 rows written on the source since compared again; 3 and all of orders wait, the oldest since 20 ms',
  );
  expect(await cli(standIn, 'verify', 'shop', '--repair')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('1 rows repaired'),
  });
  expect(engine.calls.at(-1)?.method).toBe('repairDifferences');
});

test('an import that stops while waited for is a failure with its code', async () => {
  await using standIn = await startPlaying();
  const waiting = cli(standIn, 'import', 'create', 'shop', ...SOURCE, '--wait');
  await expect.poll(() => standIn.backend.engine.imports.size, { timeout: 15_000 }).toBe(1);
  const view = standIn.backend.engine.find('shop');
  view.phase = 'error';
  view.error = {
    code: 'DDL_STOPPED',
    message: 'ALTER TABLE x',
    details: {},
    fromPhase: 'copying',
    atMs: 1,
    remedy: 'Make the change.',
  };
  standIn.backend.engine.changed(view);
  expect(await waiting).toMatchObject({ code: 1, stderr: expect.stringContaining('DDL_STOPPED: ALTER TABLE x') });
});

test('a request file, with options laid over it; a validation that fails', async () => {
  await using standIn = await startStandIn({ token: TOKEN });
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'import.json');
  writeFileSync(
    file,
    JSON.stringify({
      id: 'shop',
      database: 'shop',
      source: { host: 'db', user: 'u', password: PASSWORD },
      options: { ddl: 'EXEC' },
    }),
  );
  const outcome = await cli(
    standIn,
    'validate',
    '--file',
    file,
    '--source-user',
    'nobody',
    '--connections',
    '8',
    '--replica-host',
    'r1:3307',
  );
  expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('GRANT_MISSING') });
  expect(standIn.backend.engine.calls[0]?.args).toMatchObject({
    source: { host: 'db', user: 'nobody', password: PASSWORD },
    replicaHost: { host: 'r1', port: 3307 },
    options: { ddl: 'EXEC', connections: 8 },
  });
  writeFileSync(file, `{"password":"${PASSWORD}`);
  const malformed = await cli(standIn, 'validate', '--file', file);
  expect(malformed).toMatchObject({ code: 2, stderr: expect.stringContaining('is not valid JSON') });
  expect(malformed.stderr).not.toContain(PASSWORD);
});

test.each([
  [['import', 'create']],
  [['switch', 'everything', 'shop']],
  [['import', 'show']],
  [['import', 'create', 'shop', '--ddl', 'MAYBE']],
  [['import', 'create', 'shop', '--source-host', 'db', '--source-user', 'u', '--database', 'shop']],
  [['import', 'create', 'Not A Name', ...SOURCE]],
  [['resume', 'shop', '--skip-ddl', '--apply-ddl']],
  [['import', 'list', '--url', 'nonsense']],
  [[]],
])('usage: %j', async (args) => {
  await using standIn = await startStandIn({ token: TOKEN });
  const { code, stderr } = await cli(standIn, ...args);
  expect(code).toBe(2);
  expect(stderr).not.toBe('');
});

test('failures: no server, no such import, no token; help is none', async () => {
  await using standIn = await startStandIn({ token: TOKEN });
  expect(await cli({ url: 'http://127.0.0.1:9' }, 'import', 'list')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^ADMIN_UNREACHABLE: /),
  });
  expect(await cli(standIn, 'import', 'show', 'nope')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^NOT_FOUND: /),
  });
  expect(await cli(standIn, 'import', 'list', '--token', 'wrong')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^UNAUTHORIZED: /),
  });
  expect(await cli(standIn, '--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('switchyard serve') });
});

test('following an import survives a restart of the admin server', async () => {
  const first = await startPlaying();
  const view = standInImport({ id: 'shop' });
  first.backend.engine.imports.set('shop', view);
  first.backend.engine.move(view, 'running');
  const watching = cli(first, 'import', 'show', 'shop', '--watch', '--json');
  await expect.poll(() => first.backend.subscribers, { timeout: 15_000 }).toBe(2);
  await first.server.close();
  const listen = { host: '127.0.0.1', port: first.server.address.port };
  const second = await startAdminServer({
    listen,
    token: TOKEN,
    backend: first.backend,
    signal: new AbortController().signal,
  });
  onTestFinished(() => second.close());
  await expect.poll(() => first.backend.subscribers, { timeout: 15_000 }).toBe(2);
  first.backend.engine.move(view, 'completed');
  const { code, stdout } = await watching;
  expect(code).toBe(0);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ phase: 'completed' });
});
