import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Side } from '../../core/phase.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import type { AccountName } from '../../engine/switch/accounts.ts';
import { applyPlans } from '../../engine/users/apply-plans.ts';
import { readUserPlans } from '../../engine/users/read-plans.ts';
import { userFindings } from '../../engine/users/user-findings.ts';
import { usersScript } from '../../engine/users/users-script.ts';
import type { Flavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { connect, rows } from '../support/query.ts';
import { definitionOf } from '../support/stream-fixture.ts';

const ENGINE = { user: 'switchyard', password: 'engine-1' };
/** In both dialects. */
const SCHEMA = [
  'CREATE DATABASE my_shop',
  'CREATE TABLE my_shop.orders (id INT PRIMARY KEY, note INT); CREATE TABLE my_shop.`odd, one` (id INT PRIMARY KEY)',
  `CREATE USER ${ENGINE.user}@'%' IDENTIFIED BY '${ENGINE.password}'`,
  `GRANT ALL ON *.* TO ${ENGINE.user}@'%' WITH GRANT OPTION`,
  `CREATE DEFINER=${ENGINE.user}@'%' PROCEDURE my_shop.count_orders() SELECT COUNT(*) FROM my_shop.orders`,
];
const ACCOUNTS = [
  'CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (id INT PRIMARY KEY)',
  'CREATE ROLE reader, nobody',
  'GRANT SELECT ON `my%`.* TO reader; GRANT SELECT ON elsewhere.* TO nobody',
  "CREATE USER app@'%' IDENTIFIED BY 'app-secret' WITH MAX_USER_CONNECTIONS 7",
  "GRANT INSERT, UPDATE ON `my\\_shop`.* TO app@'%'; GRANT SELECT (id), DELETE ON my_shop.`odd, one` TO app@'%' WITH GRANT OPTION",
  "GRANT EXECUTE ON PROCEDURE my_shop.count_orders TO app@'%'; GRANT SELECT ON elsewhere.* TO app@'%'; GRANT PROCESS ON *.* TO app@'%'",
  "GRANT reader TO app@'%'; GRANT nobody TO app@'%'",
  "CREATE USER sleeper@'10.0.0.%' IDENTIFIED BY 'x' ACCOUNT LOCK; GRANT SELECT ON my_shop.orders TO sleeper@'10.0.0.%'",
  "CREATE USER wide@'%' IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO wide@'%'",
  "CREATE USER other@'%' IDENTIFIED BY 'x'; GRANT ALL ON elsewhere.* TO other@'%'",
  "CREATE USER owner@'%' IDENTIFIED BY 'x'; CREATE DEFINER=owner@'%' SQL SECURITY INVOKER VIEW my_shop.seen AS SELECT id FROM my_shop.orders",
  "CREATE USER present@'%' IDENTIFIED BY 'x'; GRANT SELECT, INSERT ON my_shop.* TO present@'%'",
];
const PRESENT =
  "CREATE USER present@'%' IDENTIFIED BY 'y' ACCOUNT LOCK; GRANT SELECT, DELETE ON my_shop.* TO present@'%'";

class Stage implements AsyncDisposable {
  readonly servers: Record<Side, RunningServer>;
  readonly flavors: Record<Side, 'mysql' | 'mariadb'>;
  readonly #pair: AsyncDisposable;

  private constructor(pair: Awaited<ReturnType<typeof startServerPair>>, source: Flavor) {
    this.servers = pair;
    this.flavors = { source: source.startsWith('mariadb') ? 'mariadb' : 'mysql', target: 'mysql' };
    this.#pair = pair;
  }

  static async start(source: Flavor): Promise<Stage> {
    const pair = await startServerPair(source, 'mysql-9.7');
    for (const sql of SCHEMA) for (const side of [pair.source, pair.target]) await on(side, sql);
    return new Stage(pair, source);
  }

  /** As the engine asks, over connections of its own. */
  async ask<T>(
    work: (found: Awaited<ReturnType<typeof readUserPlans>>, target: ServerConnection) => T | Promise<T>,
    { from = 'source', ours = [] }: { from?: Side; ours?: AccountName[] } = {},
  ): Promise<T> {
    const open = async (side: Side) => ServerConnection.open({ ...definitionOf(this.servers[side]), ...ENGINE });
    await using source = await open('source');
    await using target = await open('target');
    const found = await readUserPlans({
      database: 'my_shop',
      from,
      connections: { source, target },
      flavors: this.flavors,
      isFenced: false,
      ours,
    });
    return await work(found, from === 'source' ? target : source);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pair[Symbol.asyncDispose]();
  }
}

async function on(server: RunningServer, sql: string) {
  await using connection = await connect(server);
  await connection.query("SET SESSION sql_mode = ''");
  return await rows(connection, sql);
}

async function grants(server: RunningServer, account: string): Promise<string[]> {
  return (await on(server, `SHOW GRANTS FOR ${account}`)).map((row) => String(Object.values(row)[0]));
}

async function loginTo(server: RunningServer, user: string, password: string): Promise<string> {
  try {
    const connection = await mysql.createConnection({ host: '127.0.0.1', port: server.port, user, password });
    await connection.end();
    return 'in';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

let stage: Stage;
let maria: Stage;

beforeAll(async () => {
  [stage, maria] = [await Stage.start('mysql-9.7'), await Stage.start('mariadb-11.8')];
  for (const { servers } of [stage, maria]) {
    for (const sql of ACCOUNTS) await on(servers.source, sql);
    await on(servers.target, PRESENT);
  }
  await on(stage.servers.source, "SET DEFAULT ROLE reader TO app@'%'");
  await on(maria.servers.source, "SET DEFAULT ROLE reader FOR app@'%'");
});

afterAll(async () => {
  for (const started of [stage, maria]) await started[Symbol.asyncDispose]();
});

test('MySQL to MySQL: absent accounts come with password, limits, lock, roles and the privileges on the schema alone', async () => {
  const { source, target } = stage.servers;
  const before = await grants(target, "present@'%'");
  const found = await stage.ask(({ view, plans }) => ({ view, script: usersScript(plans, { hashes: false }) }));
  expect(found.view.serverWide).toEqual(["'root'@'%'", "'wide'@'%'"]);
  expect(found.view.users.map(({ account, state, isRole }) => [account, state, isRole])).toEqual([
    ["'app'@'%'", 'absent', false],
    ["'owner'@'%'", 'absent', false],
    ["'present'@'%'", 'different', false],
    ["'reader'@'%'", 'absent', true],
    ["'sleeper'@'10.0.0.%'", 'absent', false],
  ]);
  expect(found.view.users[0]?.left).toEqual(['PROCESS ON *.*', 'SELECT ON `elsewhere`.*']);
  expect(found.view.users[2]?.differences).toEqual([
    'lacks INSERT ON `my_shop`.*',
    'has more: DELETE ON `my_shop`.*',
    'it is locked, and was not',
  ]);
  const hash = await on(source, "SELECT HEX(authentication_string) AS hash FROM mysql.user WHERE user = 'app'");
  const secret = String(hash[0]?.['hash']);
  const noticed: AccountName[] = [];
  const report = await stage.ask(async ({ plans }, to) =>
    applyPlans({ connection: to, database: 'my_shop' }, plans, async (names) => void noticed.push(...names)),
  );
  expect(report).toEqual({
    created: ["'app'@'%'", "'owner'@'%'", "'reader'@'%'", "'sleeper'@'10.0.0.%'"],
    refused: [],
  });
  expect(noticed.map(({ user }) => user)).toEqual(['app', 'owner', 'reader', 'sleeper']);
  for (const said of [found, report, userFindings(found.view)])
    expect(JSON.stringify(said).toUpperCase()).not.toContain(secret);

  expect(await loginTo(target, 'app', 'app-secret')).toBe('in');
  expect(await loginTo(target, 'app', 'x')).toBe('ER_ACCESS_DENIED_ERROR');
  expect(await grants(target, "app@'%'")).toEqual([
    'GRANT USAGE ON *.* TO `app`@`%`',
    'GRANT INSERT, UPDATE ON `my\\_shop`.* TO `app`@`%`',
    'GRANT SELECT (`id`), DELETE ON `my_shop`.`odd, one` TO `app`@`%` WITH GRANT OPTION',
    'GRANT EXECUTE ON PROCEDURE `my_shop`.`count_orders` TO `app`@`%`',
    'GRANT `reader`@`%` TO `app`@`%`',
  ]);
  // Nothing of the patterns on the source reaches further.
  expect(await grants(target, 'reader')).toContain('GRANT SELECT ON `my\\_shop`.* TO `reader`@`%`');
  for (const account of ["app@'%'", "sleeper@'10.0.0.%'", 'reader']) {
    const shown = async (server: RunningServer) =>
      (await on(server, `SET print_identified_with_as_hex=ON; SHOW CREATE USER ${account}`)).at(-1);
    expect(await shown(target)).toEqual(await shown(source));
  }
  // What was there is as it was, and there is nothing left to do.
  expect(await grants(target, "present@'%'")).toEqual(before);
  const after = await stage.ask(async ({ plans, view }, to) => ({
    view,
    report: await applyPlans({ connection: to, database: 'my_shop' }, plans, async () => {}),
  }));
  expect(after.report).toEqual({ created: [], refused: [] });
  expect(after.view.users.map(({ state }) => state)).toEqual(['same', 'same', 'different', 'same', 'same']);

  // The way back: what the new primary has got since.
  await on(target, "CREATE USER newcomer@'%' IDENTIFIED BY 'n'; GRANT SELECT ON my_shop.* TO newcomer@'%'");
  const back = await stage.ask(
    async ({ plans, view }, to) => ({
      view,
      report: await applyPlans({ connection: to, database: 'my_shop' }, plans, async () => {}),
    }),
    {
      from: 'target',
    },
  );
  expect(back.view.users.find(({ account }) => account.includes('newcomer'))).toMatchObject({ state: 'absent' });
  expect(back.report).toEqual({ created: ["'newcomer'@'%'"], refused: [] });
  expect(await loginTo(source, 'newcomer', 'n')).toBe('in');
});

test('MariaDB to MySQL: passwords cannot come along; the script runs once they are filled in', async () => {
  const { target } = maria.servers;
  const { view, script } = await maria.ask(({ view: seen, plans }) => ({
    view: seen,
    script: usersScript(plans, { hashes: true }),
  }));
  expect(view.users.find(({ account }) => account === "'app'@'%'")).toMatchObject({
    state: 'absent',
    obstacle: expect.stringContaining('mysql_native_password'),
  });
  expect(view.users.find(({ isRole }) => isRole)).toMatchObject({
    account: "'reader'",
    state: 'absent',
    obstacle: null,
  });
  // Only the role needs no password.
  const noticed: AccountName[] = [];
  const report = await maria.ask(async ({ plans }, to) =>
    applyPlans({ connection: to, database: 'my_shop' }, plans, async (names) => void noticed.push(...names)),
  );
  expect(report).toEqual({ created: ["'reader'"], refused: [] });
  expect(script.hasSecrets).toBe(false);
  // Unedited, it creates nobody.
  await using connection = await connect(target);
  const lines = script.script
    .split('\n')
    .filter((line) => !line.startsWith('--') && line !== '' && !line.includes('ROLE `reader`;'));
  const unedited = lines.find((line) => line.includes('<password of')) ?? '';
  await expect(connection.query(unedited)).rejects.toMatchObject({ errno: 1064 });
  for (const line of lines) {
    await connection.query(line.replaceAll(/<password of '(\w+)'@'[^']*'>/g, "'$1-secret'"));
  }
  expect(await loginTo(target, 'app', 'app-secret')).toBe('in');
  expect(await grants(target, "app@'%'")).toContain('GRANT `reader`@`%` TO `app`@`%`');
  const after = await maria.ask(({ view: seen }) => seen);
  expect(
    after.users.filter(({ state }) => state !== 'same').map(({ account, differences }) => [account, differences]),
  ).toEqual([["'present'@'%'", ['has more: DELETE ON `my_shop`.*', 'it is locked, and was not']]]);
  // And back: MariaDB's dialect.
  const [first] = await maria.ask(({ plans }) => plans.filter(({ view: { account } }) => account === "'app'@'%'"), {
    from: 'target',
  });
  expect(first?.view.state).toBe('same');
  await on(
    target,
    "CREATE ROLE later; GRANT SELECT ON my_shop.* TO later; CREATE USER newcomer@'%' IDENTIFIED BY 'n'; GRANT later TO newcomer@'%'; SET DEFAULT ROLE later TO newcomer@'%'",
  );
  const back = await maria.ask(({ plans }) => usersScript(plans, { hashes: false }).script, { from: 'target' });
  await using source = await connect(maria.servers.source);
  const statements = back
    .split('\n')
    .filter((line) => (line.includes('later') && !line.startsWith('--')) || line.startsWith('CREATE USER `newcomer`'));
  for (const line of statements) await source.query(line.replaceAll(/<password of [^>]*>/g, "'n'"));
  expect(await loginTo(maria.servers.source, 'newcomer', 'n')).toBe('in');
});

test('without the grants: what is lacking is named, and an account that was left half is finished', async () => {
  const { source, target } = stage.servers;
  await on(source, "CREATE USER late@'%' IDENTIFIED BY 'late'; GRANT SELECT ON my_shop.* TO late@'%'");
  await on(source, `REVOKE ALL ON *.* FROM ${ENGINE.user}@'%'; GRANT SELECT ON my_shop.* TO ${ENGINE.user}@'%'`);
  await on(target, `REVOKE ALL, GRANT OPTION FROM ${ENGINE.user}@'%'; GRANT SELECT ON my_shop.* TO ${ENGINE.user}@'%'`);
  // Both at once.
  const grant = 'GRANT SELECT ON mysql.* TO `switchyard`';
  await expect(stage.ask(() => {})).rejects.toMatchObject({
    code: 'USERS_UNREADABLE',
    sides: [
      { side: 'source', grant },
      { side: 'target', grant },
    ],
  });
  for (const server of [source, target]) await on(server, `GRANT SELECT ON mysql.* TO ${ENGINE.user}@'%'`);
  const apply = async (ours: AccountName[] = []) =>
    stage.ask(async ({ plans }, to) => applyPlans({ connection: to, database: 'my_shop' }, plans, async () => {}), {
      ours,
    });
  await expect(apply()).rejects.toMatchObject({
    code: 'USERS_GRANT_MISSING',
    details: {
      grants: [
        "GRANT CREATE USER ON *.* TO 'switchyard'@'%'",
        "GRANT ALL ON `my_shop`.* TO 'switchyard'@'%' WITH GRANT OPTION",
      ],
    },
  });
  expect(await loginTo(target, 'late', 'late')).toBe('ER_ACCESS_DENIED_ERROR');
  // Enough for what the check looks at, and not for what has to be given.
  await on(
    target,
    `GRANT CREATE USER ON *.* TO ${ENGINE.user}@'%'; GRANT INSERT ON my_shop.* TO ${ENGINE.user}@'%' WITH GRANT OPTION`,
  );
  await on(target, `REVOKE SELECT ON my_shop.* FROM ${ENGINE.user}@'%'`);
  const { created, refused } = await apply();
  expect(created).toEqual(["'late'@'%'"]);
  expect(refused).toMatchObject([
    {
      account: "'late'@'%'",
      statement: 'GRANT SELECT ON `my_shop`.* TO `late`@`%`'.replace('my_shop', 'my\\_shop'),
      reason: expect.stringContaining('WITH GRANT OPTION'),
    },
  ]);
  await on(target, `GRANT ALL ON my_shop.* TO ${ENGINE.user}@'%' WITH GRANT OPTION`);
  // Only as ours: it might be somebody else's by now.
  await apply();
  expect(await grants(target, "late@'%'")).toHaveLength(1);
  expect(await apply([{ user: 'late', host: '%' }])).toEqual({ created: [], refused: [] });
  expect(await grants(target, "late@'%'")).toContain('GRANT SELECT ON `my\\_shop`.* TO `late`@`%`');
});

test('the most exact pattern of a schema is the one that counts', async () => {
  const { source } = maria.servers;
  for (const server of [source, stage.servers.target]) {
    await on(
      server,
      "CREATE USER exact@'%' IDENTIFIED BY 'x'; GRANT INSERT ON `m%`.* TO exact@'%'; GRANT SELECT ON `my\\_s%`.* TO exact@'%'",
    );
    const connection = await mysql.createConnection({
      host: '127.0.0.1',
      port: server.port,
      user: 'exact',
      password: 'x',
    });
    await connection.query('SELECT * FROM my_shop.orders');
    await expect(connection.query('INSERT INTO my_shop.orders VALUES (1, 1)')).rejects.toMatchObject({ errno: 1142 });
    await connection.end();
  }
});
