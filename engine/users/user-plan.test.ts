import { expect, test } from 'vitest';
import { parseCreateUser } from './create-user.ts';
import { parseGrantStatement } from './grant-statement.ts';
import type { ServerUser } from './server-user.ts';
import { planUser, type UserPair } from './user-plan.ts';
import { usersScript } from './users-script.ts';

const HASH = '*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4';
const PAIR: UserPair = {
  database: 'shop',
  flavors: { from: 'mysql', to: 'mysql' },
  partialRevokes: { from: false, to: false },
  plugins: new Set(['caching_sha2_password', 'sha256_password']),
  isFenced: false,
  ours: new Set(),
};

function user(create: string): ServerUser {
  const grants = ['GRANT USAGE ON *.* TO `app`@`%`', 'GRANT SELECT ON `shop`.* TO `app`@`%`'];
  return {
    name: { user: 'app', host: '%' },
    isRole: false,
    create: parseCreateUser(create),
    grants: grants.map(parseGrantStatement),
  };
}

function plan(create: string, pair: Partial<UserPair> = {}, same?: ServerUser) {
  return planUser(user(create), { same, otherHosts: [] }, { pair: { ...PAIR, ...pair }, concerned: new Set() });
}

const NATIVE = `CREATE USER \`app\`@\`%\` IDENTIFIED WITH 'mysql_native_password' AS '${HASH}' REQUIRE SSL ACCOUNT UNLOCK`;

test('a plugin that the target does not have (mysql_native_password on 9.x): a blank, and no hash anywhere', () => {
  const planned = plan(NATIVE);
  expect(planned.view).toMatchObject({ state: 'absent', obstacle: expect.stringContaining('mysql_native_password') });
  expect(planned.create).toEqual({
    secret: null,
    blank:
      "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' BY <password of 'app'@'%'> REQUIRE SSL ACCOUNT UNLOCK",
  });
  expect(JSON.stringify([planned, usersScript([planned], { hashes: true })])).not.toContain(HASH);
  expect(planned.permissions).toEqual(['GRANT SELECT ON `shop`.* TO `app`@`%`']);
});

test('where the target has it, the hash comes along, and only the script that was asked for has it', () => {
  const planned = plan(NATIVE, { plugins: new Set(['mysql_native_password']) });
  expect(planned.view).toMatchObject({ state: 'absent', obstacle: null });
  expect(planned.create?.secret).toContain(HASH);
  expect(usersScript([planned], { hashes: false })).toMatchObject({
    hasSecrets: false,
    script: expect.not.stringContaining(HASH),
  });
  expect(usersScript([planned], { hashes: true })).toMatchObject({
    hasSecrets: true,
    script: expect.stringContaining(HASH),
  });
});

test.each([
  [
    "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24 AND IDENTIFIED WITH 'sha256_password' AS 0x25 REQUIRE NONE",
    /several factors/,
  ],
  ["CREATE USER `app`@`%` IDENTIFIED WITH 'p' AS 0x24 SOMETHING NEW", /not understood/],
])('%s cannot come along', (create, obstacle) => {
  const planned = plan(create);
  expect(planned.view.obstacle).toMatch(obstacle);
  expect(planned.create?.secret).toBe(null);
});

test('unsalted hashes tell that the password differs, salted ones do not; what our fence locked is no difference', () => {
  const plugins = new Set(['mysql_native_password']);
  const other = NATIVE.replace(HASH, `*${'0'.repeat(40)}`).replace('ACCOUNT UNLOCK', 'ACCOUNT LOCK');
  expect(plan(NATIVE, { plugins }, user(other)).view.differences).toEqual([
    'it is locked, and was not',
    'it has another password',
  ]);
  expect(plan(NATIVE, { plugins, isFenced: true }, user(other)).view.differences).toEqual(['it has another password']);
  const salted = (hash: string) =>
    `CREATE USER \`app\`@\`%\` IDENTIFIED WITH 'caching_sha2_password' AS ${hash} REQUIRE NONE`;
  expect(plan(salted('0x01'), {}, user(salted('0x02'))).view.state).toBe('same');
});
