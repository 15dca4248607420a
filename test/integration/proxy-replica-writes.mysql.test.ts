import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Side } from '../../core/phase.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';

const REFUSED = { errno: 1792, sqlState: '25006' };

describe.each(['mysql-9.7', 'mariadb-10.11', 'mariadb-11.8'] as const)(
  'writes of replica traffic, from %s',
  (flavor) => {
    const isMariaDb = flavor !== 'mysql-9.7';
    let servers: Awaited<ReturnType<typeof startServerPair>>;
    let proxy: ProxyHarness;

    beforeAll(async () => {
      servers = await startServerPair(flavor, 'mysql-9.7');
      for (const side of ['source', 'target'] as const) {
        await createAppSchema(servers[side]);
        await using root = await direct(servers[side]);
        await root.query('INSERT INTO app.whoami VALUES (?)', [side]);
        await root.query('CREATE PROCEDURE app.write_row() INSERT INTO app.t (n) VALUES (1)');
        await root.query(
          'CREATE PROCEDURE app.open_writable() BEGIN START TRANSACTION READ WRITE; INSERT INTO app.t (n) VALUES (1); END',
        );
        await root.query('CREATE PROCEDURE app.turn_off() SET SESSION TRANSACTION READ WRITE');
      }
    });

    afterAll(async () => {
      await servers?.[Symbol.asyncDispose]();
    });

    beforeEach(async () => {
      for (const side of ['source', 'target'] as const) {
        await using root = await direct(servers[side]);
        await root.query('DELETE FROM app.t');
      }
      proxy = await ProxyHarness.start(servers);
      return async () => proxy[Symbol.asyncDispose]();
    });

    async function rows(side: Side): Promise<number> {
      await using root = await direct(servers[side]);
      const [row] = await rowsOf(root, 'SELECT COUNT(*) AS n FROM app.t');
      return Number(row?.['n']);
    }

    const WRITE = 'INSERT INTO t (n) VALUES (1)';
    const readOnly = async (connection: Connection, side: Side) => {
      const name = isMariaDb && side === 'source' ? 'tx_read_only' : 'transaction_read_only';
      const [row] = await rowsOf(connection, `SELECT @@SESSION.${name} AS isOn, name FROM app.whoami`);
      return row;
    };

    test('are refused while it is apart from primary traffic, and go on in the same session when it is not', async () => {
      await using replica = await client(proxy.replicaPort);
      await using suffix = await client(proxy.port, { database: 'app@replica' });
      await using primary = await client(proxy.port);
      const prepared = await replica.prepare(WRITE);
      for (const connection of [replica, suffix]) await connection.query(WRITE);
      await prepared.execute([]);
      expect([await rows('source'), await rows('target')]).toEqual([3, 0]);
      expect(await readOnly(replica, 'source')).toEqual({ isOn: 0, name: 'source' });

      await proxy.switchReplicasTo('target');
      for (const connection of [replica, suffix]) {
        expect(await readOnly(connection, 'target')).toEqual({ isOn: 1, name: 'target' });
        for (const sql of [
          WRITE,
          'UPDATE t SET n = 2',
          'CREATE TABLE new (id INT)',
          'TRUNCATE t',
          'CALL write_row()',
          'SELECT * FROM t FOR UPDATE',
          'LOCK TABLES t WRITE',
        ])
          expect(await errorOf(connection.query(sql)), sql).toMatchObject(REFUSED);
        await connection.query('BEGIN');
        expect(await errorOf(connection.query(WRITE))).toMatchObject(REFUSED);
        expect(await rowsOf(connection, 'SELECT name FROM whoami LOCK IN SHARE MODE')).toEqual([{ name: 'target' }]);
        await connection.query('COMMIT');
        await connection.query('SET autocommit = 0');
        expect(await errorOf(connection.query(WRITE))).toMatchObject(REFUSED);
        await connection.query('SELECT * FROM t');
        expect(await errorOf(connection.query(WRITE))).toMatchObject(REFUSED);
        await connection.query('COMMIT');
        await connection.query('SET autocommit = 1');
      }
      expect(await errorOf(prepared.execute([]))).toMatchObject(REFUSED);
      await using late = await client(proxy.replicaPort);
      expect(await errorOf(late.query(WRITE))).toMatchObject(REFUSED);
      await primary.query(WRITE);
      expect(await readOnly(primary, 'source')).toEqual({ isOn: 0, name: 'source' });
      expect([await rows('source'), await rows('target')]).toEqual([4, 0]);

      await proxy.switchTo('target');
      for (const connection of [replica, suffix, late, primary]) {
        expect(await readOnly(connection, 'target')).toEqual({ isOn: 0, name: 'target' });
        await connection.query(WRITE);
      }
      await prepared.execute([]);
      expect([await rows('source'), await rows('target')]).toEqual([4, 5]);

      // Back: primary traffic leaves replica traffic behind.
      await proxy.switchTo('source');
      for (const connection of [replica, suffix, late]) {
        expect(await errorOf(connection.query(WRITE))).toMatchObject(REFUSED);
        expect(await readOnly(connection, 'target')).toEqual({ isOn: 1, name: 'target' });
      }
      expect(await errorOf(prepared.execute([]))).toMatchObject(REFUSED);
      await primary.query(WRITE);
      await proxy.switchReplicasTo('source');
      for (const connection of [replica, suffix, late]) {
        expect(await readOnly(connection, 'source')).toEqual({ isOn: 0, name: 'source' });
        await connection.query(WRITE);
      }
      expect([await rows('source'), await rows('target')]).toEqual([8, 5]);
    });

    test('are refused whatever the client does to its session', async () => {
      await using replica = await client(proxy.replicaPort, { multipleStatements: true });
      await replica.query(`PREPARE writable FROM 'SELECT 1'`);
      await proxy.switchReplicasTo('target');
      for (const sql of [
        'SET SESSION TRANSACTION READ WRITE',
        'SET SESSION transaction_read_only = 0',
        'SET @@SESSION.transaction_read_only = OFF, @a = 1',
        'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE',
        'CALL turn_off()',
        'SET SESSION TRANSACTION READ ONLY',
      ]) {
        await replica.query(sql);
        expect(await errorOf(replica.query(WRITE)), sql).toMatchObject(REFUSED);
        await replica.query('BEGIN');
        expect(await errorOf(replica.query(WRITE)), sql).toMatchObject(REFUSED);
        await replica.query(sql);
        expect(await errorOf(replica.query(WRITE)), sql).toMatchObject(REFUSED);
        await replica.query('ROLLBACK');
      }
      for (const sql of [
        'START TRANSACTION READ WRITE',
        'start transaction with consistent snapshot, read /* */ write',
        'START TRANSACTION /*!50605 READ WRITE */',
        'SET TRANSACTION READ WRITE',
        'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE',
        'SET @@transaction_read_only = 0',
        'SET @a = 1, @@transaction_read_only := OFF',
        `SET SESSION TRANSACTION READ WRITE; ${WRITE}`,
        `SET SESSION transaction_read_only = 0; ${WRITE}`,
        `PREPARE s FROM 'START TRANSACTION READ WRITE'`,
      ]) {
        expect(await errorOf(replica.query(sql)), sql).toMatchObject({ ...REFUSED, message: /Switchyard/ });
        expect(await errorOf(replica.query(WRITE)), sql).toMatchObject(REFUSED);
      }
      // What is allowed to a reader.
      await replica.query('START TRANSACTION READ ONLY');
      await replica.query('COMMIT');
      await replica.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
      await replica.query(`SELECT 'READ WRITE', '@@transaction_read_only = 0'`);
      expect(await rowsOf(replica, 'SELECT COUNT(*) AS n FROM t')).toEqual([{ n: 0 }]);

      await replica.reset();
      expect(await errorOf(replica.query(WRITE))).toMatchObject(REFUSED);
      await replica.changeUser({ user: 'app', password: 'app-password', database: 'app' });
      expect(await readOnly(replica, 'target')).toEqual({ isOn: 1, name: 'target' });
      expect(await errorOf(replica.query(WRITE))).toMatchObject(REFUSED);
      expect([await rows('source'), await rows('target')]).toEqual([0, 0]);
    });

    test('are refused within a hold to a session that is pinned', async () => {
      await using replica = await client(proxy.replicaPort);
      await proxy.switchReplicasTo('target');
      await replica.query(`SELECT GET_LOCK('kept', 0)`);
      await proxy.acknowledged(proxy.push({ hold: 'replica', deadlineMs: Date.now() + 60_000 }));
      await replica.query('SET SESSION TRANSACTION READ WRITE');
      expect(await errorOf(replica.query(WRITE))).toMatchObject(REFUSED);
      expect(await rows('target')).toBe(0);
    });

    test('in an XA transaction are refused', async () => {
      await using replica = await client(proxy.replicaPort);
      await proxy.switchReplicasTo('target');
      await replica.query(`XA START 'x'`);
      expect(await errorOf(replica.query(WRITE))).toMatchObject(REFUSED);
      await replica.query(`XA END 'x'`);
      await replica.query(`XA ROLLBACK 'x'`);
    });

    test('of a transaction that a routine made writable are taken back with the session', async () => {
      await using replica = await client(proxy.replicaPort);
      await proxy.switchReplicasTo('target');
      await replica.query('CALL open_writable()');
      expect((await errorOf(replica.query('COMMIT'))).errno).not.toBe(0);
      expect(await rows('target')).toBe(0);
    });

    test('of a transaction that was open as primary traffic left are taken back with the session', async () => {
      await using replica = await client(proxy.replicaPort);
      await using reader = await client(proxy.replicaPort);
      proxy.push({ primary: 'target', replica: 'target' });
      await replica.query('BEGIN');
      await replica.query(WRITE);
      await reader.query('START TRANSACTION READ ONLY');
      await reader.query('SELECT * FROM t');
      await proxy.switchTo('source');
      expect((await errorOf(replica.query('COMMIT'))).errno).not.toBe(0);
      expect(await rows('target')).toBe(0);
      await reader.query('COMMIT');
      expect(await errorOf(reader.query(WRITE))).toMatchObject(REFUSED);
    });

    test('what the client wants of its session is what it has where it may write', async () => {
      await using careful = await client(proxy.replicaPort);
      await using late = await client(proxy.replicaPort);
      await using bold = await client(proxy.replicaPort);
      await careful.query('SET SESSION TRANSACTION READ ONLY');
      await bold.query('SET SESSION TRANSACTION READ ONLY');
      await proxy.switchReplicasTo('target');
      await late.query('SET SESSION TRANSACTION READ ONLY');
      await bold.query('SET SESSION TRANSACTION READ WRITE');
      await proxy.switchTo('target');
      for (const [connection, isOn] of [
        [careful, 1],
        [late, 1],
        [bold, 0],
      ] as const)
        expect(await readOnly(connection, 'target')).toEqual({ isOn, name: 'target' });
      proxy.push({ primary: 'source', replica: 'source' });
      for (const [connection, isOn] of [
        [careful, 1],
        [late, 1],
        [bold, 0],
      ] as const)
        expect(await readOnly(connection, 'source')).toEqual({ isOn, name: 'source' });
    });

    test('what SET TRANSACTION said before the switch does not let a write through, and what else it said holds', async () => {
      await using replica = await client(proxy.replicaPort);
      await using other = await client(proxy.replicaPort);
      await replica.query('SET TRANSACTION READ WRITE');
      proxy.push({ primary: 'target', replica: 'target' });
      expect(await readOnly(other, 'target')).toMatchObject({ name: 'target' });
      await other.query('SET TRANSACTION READ WRITE');
      await proxy.acknowledged(proxy.push({ primary: 'source' }));
      for (const connection of [replica, other]) expect(await errorOf(connection.query(WRITE))).toMatchObject(REFUSED);
      await other.query('SET TRANSACTION READ ONLY');
      await proxy.switchTo('target');
      await other.query('BEGIN');
      expect(await errorOf(other.query(WRITE))).toMatchObject(REFUSED);
      await other.query('COMMIT');
      await other.query(WRITE);
      expect(await rows('target')).toBe(1);
    });

    test('warnings, row counts and numbers of rows stay those of the client', async () => {
      await using replica = await client(proxy.replicaPort);
      proxy.push({ primary: 'target', replica: 'target' });
      await replica.query(`INSERT INTO t (n) VALUES (1)`);
      const before = await rowsOf(replica, 'SELECT LAST_INSERT_ID() AS id');
      await replica.query(`SELECT 'a' + 1`);
      await proxy.switchTo('source');
      expect(await rowsOf(replica, 'SHOW WARNINGS')).toMatchObject([{ Code: 1292 }]);
      expect(await rowsOf(replica, 'SELECT LAST_INSERT_ID() AS id')).toEqual(before);
    });
  },
);
