import { expect, test } from 'vitest';
import { redact } from './redact.ts';

test('properties with the name of a secret are hidden at any depth, keys of rows are not', () => {
  expect(redact({ a: [{ password: 'x', key: 'id=7', Token: 'y' }], count: 3n })).toEqual({
    a: [{ password: '[hidden]', key: 'id=7', Token: '[hidden]' }],
    count: '3',
  });
});

test.each([
  [
    "CREATE USER 'a'@'%' IDENTIFIED BY 's3cr\\'et' REQUIRE SSL",
    "CREATE USER 'a'@'%' IDENTIFIED BY '[hidden]' REQUIRE SSL",
  ],
  ["IDENTIFIED WITH caching_sha2_password AS '$A$005$x'", "IDENTIFIED WITH caching_sha2_password AS '[hidden]'"],
  ['cannot reach mysql://app:s3cret@db:3306/shop', 'cannot reach mysql://app:[hidden]@db:3306/shop'],
  ['mysql://app:s3/cr@et@db/shop is wrong', 'mysql://app:[hidden]@db/shop is wrong'],
  [
    'bad key -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- here',
    'bad key [hidden private key] here',
  ],
  ['http://db.example:3306/x', 'http://db.example:3306/x'],
])('a text that gives a secret away loses it: %s', (text, expected) => {
  expect(redact(text)).toBe(expected);
});

test('something that refers to itself is cut, not followed for ever', () => {
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  expect(JSON.stringify(redact(loop))).toContain('[cut]');
});
