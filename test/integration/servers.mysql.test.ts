import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import mysql from 'mysql2/promise';
import { expect, test } from 'vitest';
import type { Flavor } from '../../servers/flavor.ts';
import { serverBinary } from '../../servers/installation.ts';
import { startServer, startServerPair } from '../../servers/start-server.ts';
import { connect, rows } from '../support/query.ts';

test('a pair of servers runs side by side, each with an identity of its own', async () => {
  await using pair = await startServerPair();
  await using source = await connect(pair.source);
  await using target = await connect(pair.target);
  const identity = 'SELECT @@server_uuid AS uuid, @@server_id AS id, @@gtid_mode AS gtid, @@binlog_row_image AS image';
  const [one] = await rows(source, identity);
  const [two] = await rows(target, identity);
  expect(one).toMatchObject({ gtid: 'ON', image: 'FULL' });
  expect(two).toMatchObject({ gtid: 'ON', image: 'FULL' });
  expect(one?.['uuid']).not.toBe(two?.['uuid']);
  expect(one?.['id']).not.toBe(two?.['id']);
});

test('rows survive a restart and a kill, and the data is gone at the end', async () => {
  let datadir: string | null;
  {
    await using server = await startServer({ flavor: 'mysql-9.7' });
    datadir = server.datadir;
    {
      await using connection = await connect(server);
      await connection.query(
        'CREATE DATABASE kept; CREATE TABLE kept.t (id INT PRIMARY KEY); INSERT INTO kept.t VALUES (1)',
      );
    }
    await server.restart();
    {
      await using connection = await connect(server, 'kept');
      await connection.query('INSERT INTO t VALUES (2)');
    }
    await server.kill();
    await expect(mysql.createConnection(server.dsn)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await server.start();
    await using connection = await connect(server, 'kept');
    expect(await rows(connection, 'SELECT id FROM t ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
  }
  if (datadir !== null) expect(existsSync(datadir)).toBe(false);
});

test.each<Flavor>(['mysql-9.7', 'mariadb-11.8', 'mariadb-10.11'])(
  '%s speaks TLS and keeps a row binlog',
  async (flavor) => {
    await using server = await startServer({ flavor });
    const connection = await mysql.createConnection({ uri: server.dsn, ssl: { rejectUnauthorized: false } });
    try {
      const [cipher] = await rows(connection, "SHOW STATUS LIKE 'Ssl_cipher'");
      expect(cipher?.['Value']).toMatch(/^TLS_/);
      const [settings] = await rows(
        connection,
        'SELECT @@log_bin AS bin, @@binlog_format AS format, @@local_infile AS loading',
      );
      expect(settings).toEqual({ bin: 1, format: 'ROW', loading: 1 });
    } finally {
      await connection.end();
    }
  },
);

test.each(['mysql', 'mysqldump', 'mysqlbinlog'])('the client program %s runs', async (name) => {
  expect(execFileSync(await serverBinary(name), ['--no-defaults', '--version'], { encoding: 'utf8' })).toContain(name);
});
