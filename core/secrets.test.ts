import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { SecretBox } from './secrets.ts';

test('a sealed value opens with its key only, and never twice to the same text', () => {
  const box = new SecretBox(randomBytes(32));
  const sealed = box.seal({ password: 'geheim' });
  expect(sealed).not.toContain('geheim');
  expect(box.seal({ password: 'geheim' })).not.toBe(sealed);
  expect(box.open(sealed)).toEqual({ password: 'geheim' });
  expect(() => new SecretBox(randomBytes(32)).open(sealed)).toThrow(/SWITCHYARD_KEY/);
  const changed = sealed.slice(0, -2) + (sealed.endsWith('AA') ? 'BB' : 'AA');
  expect(() => box.open(changed)).toThrow(/cannot be decrypted/);
});

test('the key file is made once, readable by its owner alone', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'switchyard-key-')), 'secret.key');
  const sealed = SecretBox.load(file, {}).seal(1);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(SecretBox.load(file, {}).open(sealed)).toBe(1);
  expect(readdirSync(dirname(file))).toEqual(['secret.key']);
});

test('a key that is no key is named by where it is from', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'switchyard-key-')), 'secret.key');
  writeFileSync(file, '');
  expect(() => SecretBox.load(file, {})).toThrow(file);
  expect(() => SecretBox.load(file, { SWITCHYARD_KEY: 'short' })).toThrow('SWITCHYARD_KEY');
});
