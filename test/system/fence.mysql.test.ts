import { existsSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { expect, test } from 'vitest';
import type { SwitchReport } from '../../engine/api.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import type { SwitchyardOptions } from '../../servers/switchyard-process.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { connect, rows } from '../support/query.ts';
import { selected } from '../support/selection.ts';

const SHOP = { user: 'shop', password: 'app-secret-1', database: 'shop' };
const OTHER = { user: 'other', password: 'other-secret-1', database: 'other' };
const WRITE = { shop: 'UPDATE traffic_counters SET value = value', other: 'INSERT INTO notes VALUES (NULL)' };

type Form = 'read_only' | 'triggers' | 'accounts' | 'lock_tables' | 'none';

interface DirectOptions {
  as?: mysql.ConnectionOptions;
  program?: string;
}

/** A connection that goes past the proxy. */
async function direct(
  server: RunningServer,
  { as = SHOP, program }: DirectOptions = {},
): Promise<mysql.Connection & AsyncDisposable> {
  const { host, port } = server;
  const attributes = program === undefined ? {} : { connectAttributes: { program_name: program } };
  const connection = await mysql.createConnection({ host, port, ...as, ...attributes });
  // The fence may end it, which is no error of the test.
  connection.on('error', () => {});
  return Object.assign(connection, { [Symbol.asyncDispose]: async () => connection.destroy() });
}

/** Tries one write past the proxy on a connection of its own; the server's error code, or null where it was let through. */
async function writeDirectly(server: RunningServer, to: 'shop' | 'other' = 'shop'): Promise<string | null> {
  try {
    await using connection = await direct(server, { as: to === 'shop' ? SHOP : OTHER });
    await connection.query('SET SESSION lock_wait_timeout = 1');
    // A row that matches nothing fires no trigger: the ledger's tables have rows, as the traffic puts them in.
    await connection.query(to === 'shop' ? WRITE.shop : WRITE.other);
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

async function addOtherSchema(server: RunningServer): Promise<void> {
  await using connection = await connect(server);
  await connection.query(
    `CREATE DATABASE other; CREATE TABLE other.notes (id INT PRIMARY KEY AUTO_INCREMENT);
     CREATE USER other@'%' IDENTIFIED BY '${OTHER.password}'; GRANT ALL ON other.* TO other@'%'`,
  );
}

async function administer(server: RunningServer, sql: string): Promise<void> {
  await using connection = await connect(server);
  await connection.query(sql);
}

/** An import that runs, with another schema beside it on the source. */
async function stage(
  options: {
    fence?: Form;
    withOther?: boolean;
    source?: 'mariadb-11.8';
    pauseDeadlineMs?: number;
    ddl?: 'EXEC';
    failpoints?: SwitchyardOptions['failpoints'];
  } = {},
): Promise<Rehearsal> {
  const { withOther = true, source = 'mysql-9.7', failpoints = {}, ...importOptions } = options;
  const rehearsal = await Rehearsal.start({ rows: 2000, source, failpoints });
  await using stack = new AsyncDisposableStack();
  stack.use(rehearsal);
  if (withOther) await addOtherSchema(rehearsal.source);
  await rehearsal.switchyard.client.createImport(rehearsal.request({ options: importOptions }));
  await rehearsal.reach('running');
  stack.move();
  return rehearsal;
}

const forth = async ({ switchyard }: Rehearsal): Promise<SwitchReport> =>
  await switchyard.client.switchTraffic(IMPORT, { kind: 'primaries' });
const back = async ({ switchyard }: Rehearsal): Promise<SwitchReport> =>
  await switchyard.client.switchTraffic(IMPORT, { kind: 'primaries', back: true });

/** Accounts, triggers and read_only as they are on a server: what a fence could leave behind. */
async function traces(server: RunningServer): Promise<unknown> {
  await using connection = await connect(server);
  const [readOnly] = await rows(connection, 'SELECT @@global.read_only AS value');
  const triggers = await rows(
    connection,
    "SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'",
  );
  const locked = await rows(
    connection,
    "SELECT User AS user FROM mysql.user WHERE account_locked = 'Y' AND User NOT LIKE 'mysql.%' ORDER BY 1",
  );
  return {
    readOnly: Number(readOnly?.['value']),
    triggers: triggers.length,
    locked: locked.map((row) => String(row['user'])),
  };
}

async function persisted(server: RunningServer): Promise<unknown[]> {
  await using connection = await connect(server);
  return await rows(connection, 'SELECT VARIABLE_NAME FROM performance_schema.persisted_variables');
}

async function eventually(condition: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition().catch(() => false))) {
    if (Date.now() > deadline) throw new Error('it did not come about in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const REFUSALS = {
  read_only: 'ER_OPTION_PREVENTS_STATEMENT',
  triggers: 'ER_SIGNAL_EXCEPTION',
  accounts: 'ER_ACCOUNT_HAS_BEEN_LOCKED',
} as const;

test.each(Object.entries(REFUSALS))(
  '%s: a writer past the proxy is refused, others go on, switching back frees it',
  async (form, refusal) => {
    const fence = form as keyof typeof REFUSALS;
    await using rehearsal = await stage({ fence });
    const { source } = rehearsal;
    expect(await writeDirectly(source)).toBe(null);
    await using before = await direct(source);
    await rehearsal.switchyard.client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
    expect(await writeDirectly(source)).toBe(refusal);
    // One that was connected before gets no further than a new one.
    await expect(before.query(WRITE.shop)).rejects.toThrow();
    // read_only is the server's: it was asked for by name although another schema lives there.
    expect(await writeDirectly(source, 'other')).toBe(fence === 'read_only' ? refusal : null);
    await rehearsal.asApplication(WRITE.shop);
    await rehearsal.caughtUpWith(rehearsal.target);

    expect(await back(rehearsal)).toMatchObject({ switched: true });
    expect(await writeDirectly(source)).toBe(null);
    expect(await traces(source)).toEqual({ readOnly: 0, triggers: 0, locked: [] });
    expect(await writeDirectly(rehearsal.target)).toBe(refusal);
    await rehearsal.asApplication(WRITE.shop);
    // Nobody is connected who could show that.
    const replicas = await rehearsal.switchyard.client.switchTraffic(IMPORT, { kind: 'replicas', dryRun: true });
    const lockedOut = [{ code: 'SESSION_CANNOT_MOVE', message: expect.stringContaining('could not log in') }];
    expect(replicas.refusals).toMatchObject(fence === 'accounts' ? lockedOut : []);
  },
);

test('lock_tables: holds writers back for the switch only, other schemas go on', async () => {
  await using rehearsal = await stage({
    fence: 'lock_tables',
    pauseDeadlineMs: 60_000,
    failpoints: { 'switch.fenced': 'wait:gate' },
  });
  const { switchyard, source } = rehearsal;
  const gate = join(switchyard.dataDir, 'gate');
  writeFileSync(gate, '');
  const switching = forth(rehearsal);
  await eventually(async () => (await writeDirectly(source)) === 'ER_LOCK_WAIT_TIMEOUT');
  expect(await writeDirectly(source, 'other')).toBe(null);
  rmSync(gate);
  expect(await switching).toMatchObject({ switched: true, fence: 'lock_tables' });
  expect(await writeDirectly(source)).toBe(null);
  expect((await back(rehearsal)).switched).toBe(true);
  await rehearsal.asApplication(WRITE.shop);
});

test.each(selected(['accounts'] as const, ['none', 'lock_tables', 'triggers'] as const))(
  '%s: replica traffic that stays on the target does not write while primary traffic leaves it',
  async (fence) => {
    await using rehearsal = await stage({
      fence,
      withOther: false,
      pauseDeadlineMs: 60_000,
      failpoints: { 'switch.reverse_ready': 'wait:gate' },
    });
    const { switchyard, target } = rehearsal;
    const gate = join(switchyard.dataDir, 'gate');
    await switchyard.client.switchTraffic(IMPORT, { kind: 'replicas' });
    await forth(rehearsal);
    const replica = await rehearsal.application(switchyard.replicaPort);
    const write = async () => await replica.query('UPDATE traffic_counters SET value = value + 1');
    await rehearsal.caughtUpWith(target);
    writeFileSync(gate, '');
    const switching = back(rehearsal);
    await eventually(async () => existsSync(`${gate}.reached`));
    const written = write().then(
      () => 'written',
      ({ code }: { code: string }) => code,
    );
    const isHeld = async () => (await switchyard.client.sessions()).some(({ state }) => state === 'held');
    await Promise.race([written, eventually(isHeld)]);
    rmSync(gate);
    const { switched, warnings } = await switching;
    expect(switched).toBe(true);
    expect(await written).toBe('ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION');
    expect(warnings.some((warning) => warning.includes('can open no new sessions'))).toBe(fence === 'accounts');
    await replica.query('SELECT 1');
    replica.destroy();
  },
);

test('auto takes the strongest form that hits nobody else', async () => {
  await using rehearsal = await stage();
  const dryRun = async () =>
    await rehearsal.switchyard.client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
  const withOther = await dryRun();
  expect(withOther.fence).toBe('triggers');
  expect(withOther.warnings.join()).toContain('it would also stop writes to other');
  await administer(rehearsal.source, "REVOKE TRIGGER ON *.* FROM switchyard@'%'");
  expect((await dryRun()).fence).toBe('accounts');
  // An account with two schemas cannot be locked without hitting the second.
  await administer(rehearsal.source, "GRANT SELECT ON other.* TO shop@'%'");
  const shared = await dryRun();
  expect(shared.fence).toBe('lock_tables');
  expect(shared.warnings.join()).toContain("'shop'@'%' also serves other");
  await administer(rehearsal.source, "REVOKE LOCK TABLES ON *.* FROM switchyard@'%'");
  expect((await dryRun()).refusals).toMatchObject([{ code: 'FENCE_IMPOSSIBLE', forceable: false }]);
  await administer(rehearsal.source, "GRANT ALL ON *.* TO switchyard@'%'");
  await administer(rehearsal.source, "REVOKE SELECT ON other.* FROM shop@'%'; DROP DATABASE other");
  expect((await dryRun()).fence).toBe('read_only');
  // Whoever may pass read_only and works in the schema is named.
  await administer(rehearsal.source, "GRANT CONNECTION_ADMIN ON *.* TO shop@'%'");
  expect((await dryRun()).warnings.join()).toContain("FENCE_PASSED_BY: 'shop'@'%'");
});

test('direct connections are named and refuse the switch; sessions through the proxy, ours and foreign ones do not', async () => {
  await using rehearsal = await stage({ fence: 'triggers' });
  const { switchyard, source } = rehearsal;
  const { client } = switchyard;
  const traffic = rehearsal.traffic();
  const dryRun = async () => (await client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true })).refusals;
  await using foreign = await direct(source, { as: OTHER });
  await foreign.query('SELECT 1');
  // While sessions come and go through the proxy.
  const opening = (async () => {
    for (let i = 0; i < 30; i += 1) await rehearsal.asApplication('SELECT 1');
  })();
  // MySQL cannot make information_schema.PROCESSLIST while such a statement runs.
  const emoji = foreign.query("SELECT SLEEP(2), '🚚'");
  for (let i = 0; i < 5; i += 1) expect(await dryRun()).toEqual([]);
  await Promise.all([opening, emoji]);

  await using reporting = await direct(source, { program: 'nightly-report' });
  await using idle = await direct(source, { as: { user: 'shop', password: 'app-secret-1' } });
  await reporting.query('SELECT 1');
  await idle.query('SELECT 1');
  const refusals = await dryRun();
  expect(refusals).toHaveLength(2);
  expect(refusals).toMatchObject([
    { code: 'DIRECT_CONNECTIONS', forceable: true },
    { code: 'DIRECT_CONNECTIONS', forceable: true },
  ]);
  const text = refusals.map(({ message }) => message).join('\n');
  expect(text).toMatch(/shop from (localhost|127\.0\.0\.1) \(program nightly-report, schema shop\)/);
  expect(text).toContain('no default schema');
  await expect(forth(rehearsal)).rejects.toMatchObject({ code: 'SWITCH_REFUSED', details: { refusals } });
  expect((await client.getImport(IMPORT)).traffic.primary).toBe('source');
  expect(await traces(source)).toEqual({ readOnly: 0, triggers: 0, locked: [] });

  // Our own user is no excuse for another program.
  await using console = await direct(source, {
    as: { user: 'switchyard', password: 'engine-secret-1', database: 'shop' },
    program: 'mysql',
  });
  await console.query('SELECT 1');
  expect((await dryRun()).map(({ message }) => message).join()).toContain('switchyard from');

  expect(await client.switchTraffic(IMPORT, { kind: 'primaries', force: true })).toMatchObject({ switched: true });
  await expect(reporting.query(WRITE.shop)).rejects.toMatchObject({ code: 'ER_SIGNAL_EXCEPTION' });
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
  expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
});

test.each(selected(['triggers'] as const, ['lock_tables', 'read_only', 'accounts'] as const))(
  '%s: the engine killed between fence and decision leaves nothing behind',
  async (fence) => {
    await using rehearsal = await stage({
      fence,
      ddl: 'EXEC',
      pauseDeadlineMs: 30_000,
      failpoints: { 'switch.fenced': 'kill:killed', 'switch.hold': 'wait:held', 'switch.decided': 'wait:decided' },
    });
    const { switchyard, source, target } = rehearsal;
    const inDataDir = (name: string) => join(switchyard.dataDir, name);
    const [marker, held, decided] = [inDataDir('killed'), inDataDir('held'), inDataDir('decided')];
    // An account that was locked before is none of ours to unlock.
    await administer(source, "CREATE USER retired@'%' ACCOUNT LOCK; GRANT ALL ON shop.* TO retired@'%'");
    const before = await traces(source);
    const traffic = rehearsal.traffic();
    await expect(forth(rehearsal)).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    expect(existsSync(marker)).toBe(true);
    if (fence === 'accounts') expect(await traces(source)).toMatchObject({ locked: ['retired', 'shop'] });
    await rehearsal.reach('running');
    expect(await traces(source)).toEqual(before);
    expect(await writeDirectly(source)).toBe(null);

    // A table that is made ahead of the fence, and replicated behind it.
    const reached = async (gate: string) =>
      await expect.poll(() => existsSync(`${gate}.reached`), { timeout: 20_000 }).toBe(true);
    for (const gate of [held, decided]) writeFileSync(gate, '');
    const switching = forth(rehearsal);
    switching.catch(() => {});
    await reached(held);
    {
      await using executor = await connect(target);
      await executor.query(`SELECT GET_LOCK('switchyard-ddl-forward-${IMPORT}', 10)`);
      await administer(source, 'CREATE TABLE shop.late (id INT PRIMARY KEY)');
      rmSync(held);
      if (fence === 'triggers') await eventually(async () => (await writeDirectly(source)) === REFUSALS.triggers);
    }
    await reached(decided);
    if (fence === 'triggers') {
      await using past = await direct(source);
      await expect(past.query('INSERT INTO late VALUES (1)')).rejects.toMatchObject({ code: REFUSALS.triggers });
    }
    rmSync(decided);
    expect((await switching).switched).toBe(true);
    expect((await back(rehearsal)).switched).toBe(true);
    expect(await traces(source)).toEqual(before);
    await traffic.stop();
    expect(traffic.errors).toEqual([]);
    expect(await rehearsal.ledger(traffic, source)).toMatchObject({ exact: true, lost: 0 });
  },
);

test('a source that dies or is restarted while its fence comes and goes: it is free in the end', async () => {
  const points = ['switch.fenced', 'switch.unfenced', 'switch.undone', 'switch.released'];
  const failpoints = Object.fromEntries(points.map((point) => [point, `wait:${point}`] as const));
  await using rehearsal = await stage({ fence: 'read_only', withOther: false, pauseDeadlineMs: 2000, failpoints });
  const { switchyard, source } = rehearsal;
  const gateAt = (point: string) => join(switchyard.dataDir, point);
  const outcome = async (switching: Promise<SwitchReport>) =>
    await switching.then(
      () => 'switched',
      ({ code }: { code: string }) => code,
    );
  const reached = async (point: string) => await eventually(async () => existsSync(`${gateAt(point)}.reached`));
  const open = (point: string) => rmSync(gateAt(point));
  await administer(source, 'CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.stock_events');
  const eventOn = async (server: RunningServer) => {
    await using connection = await connect(server);
    const [event] = await rows(
      connection,
      "SELECT STATUS AS s FROM information_schema.EVENTS WHERE EVENT_NAME='nightly'",
    );
    return event?.['s'];
  };
  // What is persisted is read at every start.
  const isFree = async () => (await persisted(source)).length === 0 && (await writeDirectly(source)) === null;

  writeFileSync(gateAt('switch.fenced'), '');
  const undone = outcome(forth(rehearsal));
  await reached('switch.fenced');
  await source.kill();
  open('switch.fenced');
  const code = await undone;
  await source.start();
  expect(code).toBe('SWITCH_ROLLED_BACK');
  await rehearsal.reach('running');
  await eventually(isFree);

  for (const undoing of selected([], ['switch.unfenced', 'switch.undone'])) {
    for (const point of ['switch.fenced', undoing]) writeFileSync(gateAt(point), '');
    const undoneAgain = outcome(forth(rehearsal));
    // By the deadline of the pause.
    await reached(undoing);
    expect(await traces(source)).toMatchObject({ readOnly: 0 });
    await source.restart();
    expect(await traces(source)).toMatchObject({ readOnly: 1 });
    for (const point of ['switch.fenced', undoing]) open(point);
    expect(await undoneAgain).toBe('SWITCH_ROLLED_BACK');
    await eventually(isFree);
  }

  await eventually(async () => (await forth(rehearsal)).switched);
  expect(await writeDirectly(source)).toBe('ER_OPTION_PREVENTS_STATEMENT');
  await rehearsal.caughtUpWith(rehearsal.target);
  for (const server of selected([], [rehearsal.target])) {
    rmSync(`${gateAt('switch.fenced')}.reached`);
    writeFileSync(gateAt('switch.fenced'), '');
    const undoneBack = outcome(back(rehearsal));
    await reached('switch.fenced');
    await server.kill();
    open('switch.fenced');
    expect(await undoneBack).toBe('SWITCH_ROLLED_BACK');
    // Its credentials are what the fence is taken away with.
    await expect(switchyard.client.complete(IMPORT, IMPORT)).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
    await server.start();
    await eventually(async () => (await persisted(server)).length === 0);
    expect(await traces(server)).toMatchObject({ readOnly: 0 });
    await rehearsal.caughtUpWith(server);
  }
  writeFileSync(gateAt('switch.released'), '');
  const switchedBack = outcome(back(rehearsal));
  await reached('switch.released');
  await source.kill();
  open('switch.released');
  expect(await switchedBack).toBe('switched');
  await source.start();
  await eventually(isFree);
  expect((await switchyard.client.doctor(IMPORT)).leftFence).toBe(null);
  // Enabled and disabled behind the decision, by when it was away: they ran nowhere.
  await eventually(
    async () => (await eventOn(source)) === 'ENABLED' && (await eventOn(rehearsal.target)) === 'DISABLED',
  );
});

test('sessions through the proxy in a schema that does not move are named; a fence that is taken away by hand is put back', async () => {
  await using rehearsal = await stage({ fence: 'triggers' });
  const { source, switchyard } = rehearsal;
  const port = switchyard.primaryPort;
  const other = await mysql.createConnection({ host: '127.0.0.1', port, ...OTHER });
  await other.query('SELECT 1');
  const { warnings } = await switchyard.client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
  expect(warnings.join()).toMatch(/other from 127\.0\.0\.1 uses the schema other through the proxy/);
  await other.end();
  await forth(rehearsal);
  const fenced = await traces(source);
  await using connection = await connect(source, 'shop');
  await connection.query('DROP TRIGGER _switchyard_fence_0_insert');
  // Said after it is done.
  await eventually(async () => switchyard.log().includes('was gone and is put back'));
  expect(await traces(source)).toEqual(fenced);
  // The fence of the other tables went with a table: it was taken away whole and could not be raised without that one.
  await connection.query('DROP TABLE stock_events; DROP TRIGGER _switchyard_fence_0_insert');
  await eventually(async () => switchyard.log().split('was gone and is put back').length > 2);
  expect(await writeDirectly(source)).toBe('ER_SIGNAL_EXCEPTION');
  expect((await switchyard.client.doctor(IMPORT)).findings.map(({ code }) => code)).toEqual(['STRAY_WRITES_UNAPPLIED']);
});

test.each(selected(['mysql-9.7'] as const, ['mariadb-11.8'] as const))(
  'restart of the fenced source (%s): it is fenced again',
  async (flavor) => {
    await using rehearsal = await stage({
      fence: 'read_only',
      withOther: false,
      ...(flavor === 'mariadb-11.8' ? { source: flavor } : {}),
    });
    const { source } = rehearsal;
    await forth(rehearsal);
    expect(await writeDirectly(source)).toBe('ER_OPTION_PREVENTS_STATEMENT');
    await source.kill();
    await source.start();
    await eventually(async () => (await writeDirectly(source)) === 'ER_OPTION_PREVENTS_STATEMENT');
    await back(rehearsal);
    expect(await writeDirectly(source)).toBe(null);
    // What was persisted is forgotten: the primary comes back writable.
    await source.restart();
    await eventually(async () => (await writeDirectly(source)) === null);
  },
);
