import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerConnection } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { CopyFixture } from '../support/copy-fixture.ts';
import { definitionOf } from '../support/stream-fixture.ts';

// Defaults for all sessions that somebody has set for applications, and that would change what our statements do.
const DEFAULTS = ['--autocommit=0', '--completion-type=CHAIN'];
let target: RunningServer;

beforeAll(async () => {
  target = await startServer({
    flavor: 'mysql-9.7',
    role: 'target',
    options: [...DEFAULTS, '--explicit-defaults-for-timestamp=OFF'],
  });
});

afterAll(async () => {
  await target?.[Symbol.asyncDispose]();
});

describe.each([
  ['mysql-9.7', []],
  ['mariadb-11.8', ['--max-statement-time=1']],
] as const)('defaults of %s', (flavor, more) => {
  let source: RunningServer;

  beforeAll(async () => {
    source = await startServer({ flavor, role: 'source', options: [...DEFAULTS, ...more] });
  });

  afterAll(async () => {
    await source?.[Symbol.asyncDispose]();
  });

  test('no row is left out by a sql_select_limit', async () => {
    const fixture = new CopyFixture(source, target);
    await fixture.onSource(
      'CREATE DATABASE cut',
      'CREATE TABLE cut.t (id INT PRIMARY KEY)',
      'INSERT INTO cut.t VALUES (1),(2),(3),(4),(5)',
      'SET GLOBAL sql_select_limit = 2',
    );
    try {
      const { rows } = await fixture.copy(await fixture.prepare('cut'));
      expect(rows).toBe(5);
    } finally {
      await fixture.onSource('SET GLOBAL sql_select_limit = 18446744073709551615');
    }
  });

  test('a TIMESTAMP NOT NULL does not become one that changes with every UPDATE', async () => {
    const fixture = new CopyFixture(source, target);
    await fixture.onSource(
      'CREATE DATABASE stamps',
      'CREATE TABLE stamps.t (id INT PRIMARY KEY, at TIMESTAMP NOT NULL)',
    );
    await fixture.prepare('stamps');
    await using connection = await ServerConnection.open(definitionOf(target));
    const columns = await connection.rows(
      "SELECT COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='stamps' AND COLUMN_NAME='at'",
    );
    expect(columns[0]).toEqual([null, '']);
    await connection.write('DROP DATABASE stamps');
  });

  test('a connection sees what was committed since it looked last', async () => {
    await using reader = await ServerConnection.open(definitionOf(source), {
      session: ['SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ'],
    });
    await using writer = await ServerConnection.open(definitionOf(source));
    await writer.write('CREATE DATABASE IF NOT EXISTS seen');
    await writer.write('CREATE TABLE seen.t (id INT PRIMARY KEY)');
    expect(await reader.rows('SELECT * FROM seen.t')).toEqual([]);
    await writer.write('INSERT INTO seen.t VALUES (1)');
    expect(await reader.rows('SELECT * FROM seen.t')).toEqual([['1']]);
  });

  test('nothing of ours is ended after a while', async () => {
    await using connection = await ServerConnection.open(definitionOf(source));
    expect(await connection.rows('SELECT SLEEP(1.5)')).toEqual([['0']]);
  });
});
