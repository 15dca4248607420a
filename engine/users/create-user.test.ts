import { expect, test } from 'vitest';
import { commonClauses, parseCreateUser } from './create-user.ts';

test('MySQL: each clause as it stands there, the hash apart', () => {
  const create = parseCreateUser(
    "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 DEFAULT ROLE `r1`@`%`,`r2`@`%` REQUIRE SUBJECT '/CN=a WITH b' ISSUER '/CN=c' " +
      'WITH MAX_QUERIES_PER_HOUR 5 MAX_USER_CONNECTIONS 3 PASSWORD EXPIRE INTERVAL 90 DAY ACCOUNT LOCK PASSWORD HISTORY DEFAULT PASSWORD REQUIRE CURRENT DEFAULT ' +
      `FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2 ATTRIBUTE '{"k": "it\\'s"}'`,
  );
  expect(create).toEqual({
    factors: [{ plugin: 'caching_sha2_password', secret: '0x2441' }],
    defaultRoles: [
      { user: 'r1', host: '%' },
      { user: 'r2', host: '%' },
    ],
    clauses: [
      "REQUIRE SUBJECT '/CN=a WITH b' ISSUER '/CN=c'",
      'WITH MAX_QUERIES_PER_HOUR 5 MAX_USER_CONNECTIONS 3',
      'PASSWORD EXPIRE INTERVAL 90 DAY',
      'ACCOUNT LOCK',
      'PASSWORD HISTORY DEFAULT',
      'PASSWORD REQUIRE CURRENT DEFAULT',
      'FAILED_LOGIN_ATTEMPTS 3',
      'PASSWORD_LOCK_TIME 2',
      `ATTRIBUTE '{"k": "it\\'s"}'`,
    ],
  });
});

test('several factors, and forms of MariaDB', () => {
  expect(
    parseCreateUser("CREATE USER 'a'@'%' IDENTIFIED WITH 'p' AS 'x' AND IDENTIFIED WITH 'q' AS 'y' REQUIRE NONE")
      ?.factors,
  ).toEqual([
    { plugin: 'p', secret: "'x'" },
    { plugin: 'q', secret: "'y'" },
  ]);
  expect(parseCreateUser("CREATE USER `e`@`%` IDENTIFIED VIA ed25519 USING 'x' OR unix_socket")?.factors).toEqual([
    { plugin: 'ed25519', secret: "'x'" },
    { plugin: 'unix_socket', secret: null },
  ]);
  const create = parseCreateUser(
    "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*B6' REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 5 MAX_STATEMENT_TIME 1.500000 ACCOUNT LOCK",
  );
  expect(create?.factors).toEqual([{ plugin: 'mysql_native_password', secret: "'*B6'" }]);
  expect(create === null ? null : commonClauses(create)).toEqual([
    'REQUIRE SSL',
    'WITH MAX_QUERIES_PER_HOUR 5',
    'ACCOUNT LOCK',
  ]);
  expect(parseCreateUser('CREATE USER `root`@`localhost`')).toEqual({ factors: [], defaultRoles: [], clauses: [] });
});

test('a form that is not known is not passed on, for it may hold a secret', () => {
  expect(parseCreateUser("CREATE USER `a`@`%` IDENTIFIED WITH 'p' AS 'x' RETAIN 'y' REQUIRE NONE")).toBe(null);
  expect(parseCreateUser("CREATE USER `a`@`%` REQUIRE NONE WITH SECRET 'y'")).toBe(null);
  expect(parseCreateUser('DROP USER `a`@`%`')).toBe(null);
});
