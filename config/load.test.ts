import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig, type LoadOptions } from './load.ts';

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'switchyard-config-')), 'switchyard.yaml');
  writeFileSync(path, text);
  return path;
}

describe('loadConfig', () => {
  test('later sources win: file, environment, settings', () => {
    const path = file('proxy:\n  listen: 0.0.0.0:1000\n  replicaListen: 0.0.0.0:1001\n  workers: 2\n');
    const config = loadConfig({
      file: path,
      environment: { SWITCHYARD_PROXY_REPLICA_LISTEN: '0.0.0.0:2001', SWITCHYARD_PROXY_WORKERS: '3' },
      settings: ['proxy.workers=4'],
    });
    expect(config.proxy.listen).toEqual({ host: '0.0.0.0', port: 1000 });
    expect(config.proxy.replicaListen).toEqual({ host: '0.0.0.0', port: 2001 });
    expect(config.proxy.workers).toBe(4);
  });

  test('a wrong value is named with its key and what is allowed', () => {
    const load = () => loadConfig({ environment: {}, settings: ['proxy.workers=many'] });
    expect(load).toThrow(/proxy\.workers: "many" is not allowed: .*expected number/);
  });

  test('an unknown key is named', () => {
    expect(() => loadConfig({ file: file('proxy:\n  listne: a:1\n'), environment: {} })).toThrow(
      /proxy: unknown key listne/,
    );
  });

  test('a secret is not shown', () => {
    expect(() => loadConfig({ environment: { SWITCHYARD_ADMIN_TOKEN: 'short' } })).toThrow(
      /admin\.token: the value given is not allowed: at least 16 characters/,
    );
  });

  test('a missing file and bad YAML are told apart', () => {
    expect(() => loadConfig({ file: '/nowhere.yaml', environment: {} })).toThrow(/cannot be read/);
    expect(() => loadConfig({ file: file('a: [1'), environment: {} })).toThrow(/not valid YAML/);
  });
});

describe('a secret in a wrong place is not repeated', () => {
  const SECRET = 'hunter2-hunter2';
  const saidOf = (options: LoadOptions): string => {
    try {
      loadConfig({ environment: {}, ...options });
      return 'accepted';
    } catch (error) {
      return (error as Error).message;
    }
  };
  test.each([
    ['an unknown key of --set', { settings: [`target.passwort=${SECRET}`] }],
    ['a --set without a key', { settings: [`mysql://u:${SECRET}@h`] }],
    ['a list in a variable', { environment: { SWITCHYARD_PROXY_USERS: `[{name: a, password: ${SECRET}}]` } }],
    ['a token that is too short', { settings: [`admin.token=${SECRET.slice(0, 8)}`] }],
  ])('%s', (_name, options) => {
    expect(saidOf(options)).not.toMatch(/hunter2/);
    expect(saidOf(options)).not.toBe('accepted');
  });
  test.each([
    ['no YAML', `target: {host: h, password: ${SECRET}\nlog: }`],
    ['a text where keys belong', `target: mysql://u:${SECRET}@h/db`],
    ['a list entry as a text', `proxy: {users: ['app:${SECRET}']}`],
    ['one entry without a list', `proxy: {users: {name: a, password: ${SECRET}}}`],
    ['an anchor that is not there', `target: {password: *${SECRET}}`],
    ['a host', `target: {host: 'u:${SECRET}@h', user: u}`],
    ['an address', `admin: {listen: 'http://u:${SECRET}@h'}`],
  ])('%s', (_name, text) => {
    const said = saidOf({ file: file(text) });
    expect(said).not.toMatch(/hunter2/);
    expect(said).not.toBe('accepted');
  });
});
