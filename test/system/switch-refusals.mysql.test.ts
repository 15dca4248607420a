import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { expect, test, vi } from 'vitest';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { selected } from '../support/selection.ts';

const ONLY_ON_SOURCE = { user: 'legacy', password: 'legacy-secret-1', database: 'shop' };

test('a switch is refused with all reasons at once, and nothing has changed', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  await using onTarget = await connect(target);
  const { user, password } = ONLY_ON_SOURCE;
  {
    // Closed at once: it would be a direct connection itself.
    await using onSource = await connect(source);
    await onSource.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${password}'; GRANT SELECT ON shop.* TO ${user}@'%'`);
  }
  await client.createImport(
    rehearsal.request({
      options: { fence: 'triggers', maxLagMs: 1000, drainBudgetMs: 300, drainPolicy: 'close-sessions' },
    }),
  );
  await rehearsal.reach('running');
  await onTarget.query('USE shop');
  const request = { kind: 'primaries' } as const;

  // A session that cannot log in on the other side.
  await using legacy = await session(rehearsal, ONLY_ON_SOURCE);
  await legacy.query('SELECT 1');
  // A verification that found something.
  await onTarget.query('UPDATE traffic_accounts SET balance = balance + 1 WHERE id = 5');
  await client.verify(IMPORT);
  await rehearsal.verdict('different');
  // A writer past the proxy.
  await using direct = await mysql
    .createConnection({
      host: '127.0.0.1',
      port: source.port,
      user: 'shop',
      password: 'app-secret-1',
      database: 'shop',
    })
    .then((opened) => Object.assign(opened, { [Symbol.asyncDispose]: async () => opened.destroy() }));
  await direct.query('SELECT 1');
  // Replication that cannot go on.
  await onTarget.query('SET GLOBAL sync_binlog = 0; LOCK TABLES traffic_counters WRITE');
  await rehearsal.asApplication('UPDATE traffic_counters SET value = value + 1');

  const before = await client.route();
  const codes = ['DIRECT_CONNECTIONS', 'LAG_TOO_HIGH', 'SESSION_CANNOT_MOVE', 'VERIFICATION_NOT_EQUAL'];
  const dryRun = await client.switchTraffic(IMPORT, { ...request, dryRun: true });
  expect(dryRun.refusals.map(({ code }) => code).toSorted()).toEqual(codes);
  // Its log will be followed.
  expect(dryRun.warnings).toContainEqual(
    expect.stringMatching(/^BINLOG_NOT_DURABLE: on the target sync_binlog is 0\. /),
  );
  await expect(client.switchTraffic(IMPORT, { ...request, force: true })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: { refusals: expect.arrayContaining(codes.map((code) => expect.objectContaining({ code }))) },
  });
  expect(await client.route()).toEqual(before);
  expect((await client.getImport(IMPORT)).phase).toBe('running');
  expect((await client.doctor(IMPORT)).servers?.source).toMatchObject({ fenceTriggers: [], readOnly: false });
  await onTarget.query('SET GLOBAL sync_binlog = 1; UNLOCK TABLES');
  legacy.destroy();
  direct.destroy();

  // An engine that does not answer: the request is not handed to it, and nothing happens when it wakes up.
  const engine = switchyard.pids('engine').at(-1) ?? 0;
  process.kill(engine, 'SIGSTOP');
  await expect(client.switchTraffic(IMPORT, { ...request, force: true })).rejects.toMatchObject({
    code: 'ENGINE_UNAVAILABLE',
  });
  process.kill(engine, 'SIGCONT');
  expect((await client.getImport(IMPORT)).phase).toBe('running');
  // Asleep it heard nothing of the servers, and may have to connect again: a lag that is over.
  await rehearsal.caughtUpWith(source);
  expect(await client.route()).toEqual(before);

  // Two operators at once: one of them.
  const both = await Promise.allSettled([
    client.switchTraffic(IMPORT, { ...request, force: true }),
    client.switchTraffic(IMPORT, { ...request, force: true }),
  ]);
  expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(both.find((result) => result.status === 'rejected')?.reason).toMatchObject({ code: 'OPERATION_IN_PROGRESS' });

  // A session that never ends its transaction: ended by the policy close-sessions, and told so.
  await using stubborn = await session(rehearsal);
  await stubborn.query('BEGIN');
  await stubborn.query('SELECT * FROM traffic_counters LIMIT 1');
  await rehearsal.caughtUpWith(target);
  expect(await client.switchTraffic(IMPORT, { ...request, back: true, force: true })).toMatchObject({ switched: true });
  await expect(stubborn.query('COMMIT')).rejects.toThrow(/drain budget|closed/);
});

test('a table that was made since the import began, and left out by the policy, refuses the switch', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 50 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options: { ddl: 'IGNORE' } }));
  await rehearsal.reach('running');
  await using onSource = await connect(rehearsal.source);
  await onSource.query('CREATE TABLE shop.made_since (id INT PRIMARY KEY)');
  const refused = async () =>
    (await client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true })).refusals.filter(
      ({ code }) => code === 'TABLES_LEFT_BEHIND',
    );
  expect(await refused()).toEqual([
    {
      code: 'TABLES_LEFT_BEHIND',
      forceable: true,
      message: expect.stringContaining('alone and not replicated: made_since'),
      remedy: expect.stringContaining('Drop them'),
    },
  ]);
  // Nor does a fence keep out what the old primary receives from another server.
  const received = async () =>
    (await client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true })).warnings.filter((warning) =>
      warning.startsWith('REPLICATED_FROM_ELSEWHERE: the source goes on applying what it receives from 127.0.0.1:1,'),
    );
  await onSource.query("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1");
  expect(await received()).toEqual([]);
  await onSource.query('START REPLICA SQL_THREAD');
  expect(await received()).toHaveLength(1);
  await onSource.query('STOP REPLICA; RESET REPLICA ALL');
  await onSource.query('DROP TABLE shop.made_since');
  expect(await refused()).toEqual([]);

  // A server that does not answer is one of the reasons, told once; what the other one shows is told beside it.
  await rehearsal.target.kill();
  await using direct = await connect(rehearsal.source, 'shop');
  await direct.query('SELECT 1');
  const { refusals } = await client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
  expect(refusals.map(({ code }) => code).toSorted()).toEqual(
    expect.arrayContaining(['DIRECT_CONNECTIONS', 'SERVER_NOT_ASKED']),
  );
  expect(refusals.filter(({ code }) => code === 'SERVER_NOT_ASKED')).toEqual([
    expect.objectContaining({
      forceable: false,
      message: expect.stringMatching(
        /^SERVER_UNREACHABLE: .*; so it is not known: whether the target takes writes, whether the log of the target is durable, tables that are not replicated$/,
      ),
    }),
  ]);
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries', force: true })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
  });
  await rehearsal.target.restart();
  direct.destroy();
  expect((await client.getImport(IMPORT)).phase).toBe('running');
});

test('a table that was made since the import began is imported, too, where the policy is EXEC', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 50 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options: { ddl: 'EXEC' } }));
  await rehearsal.reach('running');
  await using onSource = await connect(rehearsal.source);
  await using onTarget = await connect(rehearsal.target);
  await onSource.query('CREATE TABLE shop.made_since (id INT PRIMARY KEY)');
  await onSource.query('INSERT INTO shop.made_since VALUES (1), (2)');
  await vi.waitFor(
    async () => expect(await rows(onTarget, 'SELECT id FROM shop.made_since')).toEqual([{ id: 1 }, { id: 2 }]),
    { timeout: 30_000 },
  );
  const { refusals } = await client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
  expect(refusals.map(({ code }) => code)).not.toContain('TABLES_LEFT_BEHIND');
});

test('policy abort: a session that cannot leave its server refuses the switch; forced, it undoes the switch, and is named', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options: { fence: 'triggers', drainBudgetMs: 1000 } }));
  await rehearsal.reach('running');
  await using stubborn = await session(rehearsal);
  await stubborn.query("SELECT GET_LOCK('report', 0)");
  const before = await client.route();
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: {
      refusals: [
        { code: 'SESSION_PINNED', forceable: true, message: expect.stringMatching(/shop from .*: user lock report$/) },
      ],
    },
  });
  expect(await client.route()).toEqual(before);
  const rejection = expect(client.switchTraffic(IMPORT, { kind: 'primaries', force: true })).rejects;
  await rejection.toMatchObject({
    code: 'SWITCH_ROLLED_BACK',
    message: expect.stringContaining('shop from 127.0.0.1'),
  });
  expect(await client.route()).toMatchObject({ primary: 'source', hold: 'none' });
  expect(await client.doctor(IMPORT)).toMatchObject({ healthy: true, phase: 'running', intent: null });
  // Unhurt.
  expect(await stubborn.query("SELECT IS_FREE_LOCK('report') AS free")).toMatchObject([
    [{ free: 0 }],
    expect.anything(),
  ]);
  expect(await client.switchTraffic(IMPORT, { kind: 'primaries', policy: 'close-sessions' })).toMatchObject({
    switched: true,
    warnings: expect.arrayContaining([expect.stringMatching(/ended by the switch .* user lock report$/)]),
  });
  await expect(stubborn.query('SELECT 1')).rejects.toThrow(/drain budget|closed/);
});

test('a transaction that has been open for long refuses the switch before anything is held', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 50 });
  const { client } = rehearsal.switchyard;
  // So many that their triggers are made over several connections.
  for (let i = 0; i < 16; i += 1)
    await rehearsal.asApplication(`CREATE TABLE more_${i} (id INT PRIMARY KEY)`, rehearsal.source.port);
  await client.createImport(rehearsal.request({ options: { fence: 'triggers' } }));
  await rehearsal.reach('running');
  await using forgetful = await session(rehearsal);
  await forgetful.query('BEGIN');
  await forgetful.query('SELECT * FROM traffic_counters LIMIT 1');
  const age = async () => (await client.sessions()).find(({ inTransaction }) => inTransaction)?.transactionAgeMs;
  await vi.waitFor(async () => expect(await age()).toBeGreaterThan(10_000), { timeout: 60_000, interval: 500 });
  const before = await client.route();
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: {
      refusals: [
        {
          code: 'TRANSACTIONS_OPEN',
          forceable: true,
          message: expect.stringMatching(
            /: shop from 127\.0\.0\.1:\d+: open transaction, \d+ s old\. .*--policy close-sessions/,
          ),
        },
      ],
    },
  });
  // Each hold is an epoch.
  expect(await client.route()).toEqual(before);
  // It is not held where only reads move.
  expect(await client.switchTraffic(IMPORT, { kind: 'replicas', dryRun: true })).toMatchObject({ refusals: [] });
  expect(
    await client.switchTraffic(IMPORT, { kind: 'primaries', policy: 'close-sessions', dryRun: true }),
  ).toMatchObject({
    refusals: [],
    warnings: expect.arrayContaining([expect.stringMatching(/ended by the switch .*: open transaction, \d+ s old$/)]),
  });
  const forced = { kind: 'primaries', force: true, drainBudgetMs: 100 } as const;
  await expect(client.switchTraffic(IMPORT, forced)).rejects.toMatchObject({
    code: 'SWITCH_ROLLED_BACK',
    message: expect.stringMatching(/still busy after 100 ms: .*open transaction/),
  });
  await forgetful.query('COMMIT');
  expect(await age()).toBeUndefined();
  const slow = expect.stringMatching(/^FENCE_SLOW: .* on \d+ tables .* at 0\.5 s \(pauseDeadlineMs\)/);
  const hasty = { kind: 'primaries', dryRun: true, pauseDeadlineMs: 500 } as const;
  expect((await client.switchTraffic(IMPORT, hasty)).warnings).toContainEqual(slow);
  const { switched, warnings } = await client.switchTraffic(IMPORT, { kind: 'primaries', pauseDeadlineMs: 30_000 });
  expect(switched).toBe(true);
  expect(warnings.filter((warning) => warning.startsWith('FENCE_SLOW'))).toEqual([]);
  const back = await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  expect(back).toMatchObject({ switched: true });
  await using onSource = await connect(rehearsal.source);
  expect(await rows(onSource, "SELECT * FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'")).toEqual([]);
});

test.each(selected(['mysql-9.7'] as const, ['mariadb-11.8'] as const))(
  '%s: an XA transaction that is prepared after the preflight undoes the switch',
  async (source) => {
    await using rehearsal = await Rehearsal.start({ rows: 50, source, failpoints: { 'switch.intent': 'wait:gate' } });
    const { switchyard } = rehearsal;
    const { client } = switchyard;
    const gate = join(switchyard.dataDir, 'gate');
    await client.createImport(rehearsal.request({ options: { fence: 'read_only' } }));
    await rehearsal.reach('running');
    const [before] = await rehearsal.asApplication('SELECT SUM(value) AS sum FROM traffic_counters');
    writeFileSync(gate, '');
    const switching = client.switchTraffic(IMPORT, { kind: 'primaries' }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(existsSync(`${gate}.reached`)).toBe(true), { timeout: 30_000 });
    const change = 'UPDATE traffic_counters SET value = value + 1 WHERE session = 1';
    {
      // It ends: what is prepared is the server's then, and no drain waits for it.
      await using application = await session(rehearsal);
      for (const sql of ["XA START 'late'", change, "XA END 'late'", "XA PREPARE 'late'"]) await application.query(sql);
    }
    rmSync(gate);
    expect(await switching).toMatchObject({
      code: 'SWITCH_ROLLED_BACK',
      message: expect.stringContaining('1 XA transactions are prepared on the source'),
      details: { because: 'XA_PREPARED' },
    });
    expect(await client.route()).toMatchObject({ primary: 'source', hold: 'none' });
    expect(await client.doctor(IMPORT)).toMatchObject({ healthy: true, phase: 'running', intent: null });
    {
      // Closed at once: it would be a direct connection.
      await using onSource = await connect(rehearsal.source);
      expect((await rows(onSource, 'XA RECOVER')).map(({ data }) => String(data))).toEqual(['late']);
      await onSource.query("XA COMMIT 'late'");
    }
    expect(await client.switchTraffic(IMPORT, { kind: 'primaries' })).toMatchObject({ switched: true });
    const [after] = await rehearsal.asApplication('SELECT SUM(value) AS sum FROM traffic_counters');
    expect(Number(after?.['sum'])).toBe(Number(before?.['sum']) + 1);
  },
);

async function session(
  rehearsal: Rehearsal,
  as?: { user: string; password: string; database: string },
): Promise<mysql.Connection & AsyncDisposable> {
  const connection =
    as === undefined
      ? await rehearsal.application()
      : await mysql.createConnection({ host: '127.0.0.1', port: rehearsal.switchyard.primaryPort, ...as });
  connection.on('error', () => {});
  return Object.assign(connection, { [Symbol.asyncDispose]: async () => connection.destroy() });
}
