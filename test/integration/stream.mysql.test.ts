import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MysqlGtidSet } from '../../core/gtid-mysql.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import { tablesAt } from '../../engine/ddl/tables-at.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { plainJson } from '../../engine/schema/json-value.ts';
import { bytesOf, ServerConnection } from '../../engine/server/connection.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { ChangeStream } from '../../engine/stream/change-stream.ts';
import type { RowChange, StreamTransaction } from '../../engine/stream/transaction.ts';
import { FLAVOR_SPECS } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { definitionOf, purgeLogs, readUntil, StreamFixture } from '../support/stream-fixture.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

/** `+1:a`, `-1`, `1>2`: the first two columns of a change. */
function short(change: RowChange): string {
  const text = (image: (string | null | undefined)[]) => image.slice(0, 2).join(':');
  switch (change.kind) {
    case 'insert':
      return `+${text(change.after)}`;
    case 'update':
      return `${text(change.before)}>${text(change.after)}`;
    default:
      return `-${text(change.before)}`;
  }
}

function changesOf(transactions: StreamTransaction[]): string[] {
  return transactions.flatMap(({ changes }) => changes.map(short));
}

async function failureOf(stream: ChangeStream): Promise<unknown> {
  for (;;) {
    try {
      await stream.next(AbortSignal.timeout(30_000));
    } catch (error) {
      return error;
    }
  }
}

let schemaNumber = 0;

describe.each(['mysql-9.7', 'mariadb-11.8', 'mariadb-10.11'] as const)('stream of %s', (flavor) => {
  const { family } = FLAVOR_SPECS[flavor];
  const onMysql = it.runIf(family === 'mysql');
  const onMariadb = it.runIf(family === 'mariadb');
  let server: RunningServer;
  let fixture: StreamFixture;

  beforeAll(async () => {
    server = await startServer({ flavor });
  });
  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await fixture?.[Symbol.asyncDispose]();
    schemaNumber += 1;
    fixture = await StreamFixture.create(server, `app${schemaNumber}`);
    await fixture.run(
      'CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(200)) ENGINE=InnoDB',
      'CREATE TABLE aside (id INT PRIMARY KEY)',
    );
    await fixture.inspect();
    fixture.tables = fixture.tables.filter(({ name }) => name === 't');
  });

  it('gives whole transactions in commit order, those out of scope empty', async () => {
    const transactions = await fixture.record(async () => {
      await fixture.run("INSERT INTO t VALUES (1,'a'),(2,'b')");
      await fixture.run(
        'BEGIN',
        "UPDATE t SET name='c' WHERE id=1",
        'INSERT INTO aside VALUES (1)',
        'DELETE FROM t WHERE id=2',
        'COMMIT',
      );
      await fixture.run('INSERT INTO aside VALUES (2)');
      await fixture.run('BEGIN', "INSERT INTO t VALUES (9,'never')", 'ROLLBACK');
      await fixture.run('UPDATE t SET id=3');
    });
    expect(transactions.map(({ changes }) => changes.map(short))).toEqual([
      ['+1:a', '+2:b'],
      ['1:a>1:c', '-2:b'],
      [],
      ['1:c>3:c'],
    ]);
    expect(transactions.every(({ ours, ddl }) => !ours && ddl === null)).toBe(true);
    for (const { committedAtMs } of transactions) expect(Math.abs(committedAtMs - Date.now())).toBeLessThan(60_000);
  });

  it('resumes in the middle with exactly the rest', async () => {
    const from = await fixture.position();
    for (let id = 0; id < 30; id += 1) await fixture.run(`INSERT INTO t VALUES (${id}, 'x')`);
    const until = await fixture.position();
    await using first = await fixture.open(from);
    const all = await readUntil(first, from, until);
    const middle = from.clone();
    for (const { gtid } of all.slice(0, 11)) middle.advance(gtid);
    await using second = await fixture.open(parsePosition(family, middle.toString()));
    const rest = await readUntil(second, middle, until);
    expect(rest.map(({ gtid }) => gtid)).toEqual(all.slice(11).map(({ gtid }) => gtid));
    expect(changesOf(rest)).toEqual(changesOf(all).slice(11));
    expect(second.received.toString()).toBe(until.toString());
  });

  it('goes through rotations while written to', async () => {
    const from = await fixture.position();
    await using stream = await fixture.open(from);
    for (let id = 0; id < 60; id += 1) {
      await fixture.run(`INSERT INTO t VALUES (${id}, 'x')`);
      if (id % 20 === 10) await fixture.run('FLUSH BINARY LOGS');
    }
    const transactions = await readUntil(stream, from, await fixture.position());
    expect(changesOf(transactions)).toEqual(Array.from({ length: 60 }, (_, id) => `+${id}:x`));
  });

  it('pauses at its bound and loses nothing (I8)', async () => {
    const from = await fixture.position();
    const bound = 64 * 1024;
    await using stream = await fixture.open(from, { bufferBytesMax: bound, silenceMaxMs: 1500, heartbeatMs: 300 });
    for (let id = 0; id < 300; id += 1) await fixture.run(`INSERT INTO t VALUES (${id}, REPEAT('x', 200))`);
    for (let batch = 0; batch < 30; batch += 1) {
      const rows = Array.from({ length: 500 }, (_, index) => `(${1000 + batch * 500 + index}, REPEAT('y', 200))`);
      await fixture.run(`INSERT INTO t VALUES ${rows.join(',')}`);
    }
    const until = await fixture.position();
    // Until the server has nothing more to give: longer than the silence that would end a stream that is not paused.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(stream.received.covers(until)).toBe(false);
    // What one read of the socket held may come on top of the bound.
    expect(stream.bytesHeld).toBeLessThan(bound + 1_000_000);
    const transactions = await readUntil(stream, from, until);
    expect(changesOf(transactions)).toHaveLength(300 + 30 * 500);
    expect(new Set(changesOf(transactions)).size).toBe(300 + 30 * 500);
  });

  describe('a transaction larger than the bound of a part', () => {
    const ROWS = 20_000;
    const many = `INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}) SELECT i, REPEAT(CHAR(97 + i % 26), 50) FROM n`;
    const expected = Array.from(
      { length: ROWS },
      (_, index) => `+${index + 1}:${String.fromCharCode(97 + ((index + 1) % 26)).repeat(50)}`,
    );
    const options = { partBytesMax: 256 * 1024, bufferBytesMax: 512 * 1024 };

    beforeEach(async () => {
      await fixture.run(
        family === 'mysql'
          ? 'SET SESSION cte_max_recursion_depth=100000'
          : 'SET SESSION max_recursive_iterations=100000',
      );
    });

    /** Reads slowly enough for the stream to be at its bounds, and answers the parts and the most that was held. */
    async function readParts(
      stream: ChangeStream,
      last: (part: StreamTransaction) => boolean,
    ): Promise<{ parts: StreamTransaction[]; heldMax: number }> {
      const parts: StreamTransaction[] = [];
      let heldMax = 0;
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        heldMax = Math.max(heldMax, stream.bytesHeld);
        const part = await stream.next(AbortSignal.timeout(30_000));
        parts.push(part);
        if (!part.partial && last(part)) return { parts, heldMax };
      }
    }

    it('comes in parts that are one transaction, within the bound (I8)', async () => {
      await using stream = await fixture.open(await fixture.position(), options);
      await fixture.run('BEGIN', many, "INSERT INTO t VALUES (0, 'last')", 'COMMIT', 'DELETE FROM t WHERE id=0');
      const first = await stream.next(AbortSignal.timeout(30_000));
      expect(stream.received.coversGtid(first.gtid)).toBe(false);
      const { parts, heldMax } = await readParts(stream, () => true);
      parts.unshift(first);
      expect(parts.length).toBeGreaterThan(5);
      expect(parts.map(({ partial }) => partial)).toEqual([...parts.slice(1).map(() => true), false]);
      expect(new Set(parts.map(({ gtid }) => gtid)).size).toBe(1);
      expect(changesOf(parts)).toEqual([...expected, '+0:last']);
      expect(heldMax).toBeLessThan(options.partBytesMax * 2 + options.bufferBytesMax);
      expect(await stream.next(AbortSignal.timeout(30_000))).toMatchObject({
        partial: false,
        changes: [{ kind: 'delete' }],
      });
    });

    it('is void where it is rolled back, the parts before too; a savepoint from before a part is not known', async () => {
      await using stream = await fixture.open(await fixture.position(), options);
      const gone = 'DROP TEMPORARY TABLE IF EXISTS x';
      await fixture.run('BEGIN', many, gone, 'ROLLBACK', "INSERT INTO t VALUES (-1, 'behind')");
      const { parts } = await readParts(stream, ({ changes }) => changes.length > 0);
      const behind = parts.pop();
      expect(changesOf(behind === undefined ? [] : [behind])).toEqual(['+-1:behind']);
      if (family === 'mariadb') expect(parts.at(-1)).toMatchObject({ partial: false, ours: true, changes: [] });
      if (family === 'mysql') return;
      await fixture.run('BEGIN', "INSERT INTO t VALUES (-2, '')", 'SAVEPOINT s', many, gone, 'ROLLBACK TO s', 'COMMIT');
      await expect(readParts(stream, () => true)).rejects.toMatchObject({ code: 'STREAM_MIXED_ENGINES' });
    });

    it('waits in a file between XA PREPARE and XA COMMIT', async () => {
      await using stream = await fixture.open(await fixture.position(), options);
      await fixture.run("XA START 'g'", many, "XA END 'g'", "XA PREPARE 'g'");
      await using other = await ServerConnection.open(definitionOf(server), { database: fixture.schema });
      await other.write("INSERT INTO t VALUES (-1, 'between')");
      const before = await readParts(stream, ({ changes }) => changes.length === 1);
      expect(changesOf(before.parts)).toEqual(['+-1:between']);
      expect(stream.bytesHeld).toBeLessThan(300 * 1024);
      await fixture.run("XA COMMIT 'g'");
      const { parts, heldMax } = await readParts(stream, () => true);
      expect(parts.length).toBeGreaterThan(5);
      expect(changesOf(parts)).toEqual(expected);
      expect(heldMax).toBeLessThan(options.partBytesMax * 2 + options.bufferBytesMax);
    });

    it('may turn out to be ours at its end (I7)', async () => {
      await fixture.run(
        'CREATE DATABASE IF NOT EXISTS _switchyard',
        'CREATE TABLE IF NOT EXISTS _switchyard.progress (id INT PRIMARY KEY, n INT)',
        'DELETE FROM _switchyard.progress',
      );
      await using stream = await fixture.open(await fixture.position(), options);
      await fixture.run('BEGIN', many, 'INSERT INTO _switchyard.progress VALUES (1,1)', 'COMMIT');
      const { parts } = await readParts(stream, () => true);
      expect(parts.length).toBeGreaterThan(5);
      expect(parts.at(-1)).toMatchObject({ ours: true, partial: false, changes: [] });
      await fixture.run('BEGIN', 'UPDATE _switchyard.progress SET n=2', 'DELETE FROM t', 'COMMIT');
      expect(await stream.next(AbortSignal.timeout(30_000))).toMatchObject({ ours: true, partial: false, changes: [] });
    });

    onMysql('is decompressed piece by piece', async () => {
      await fixture.run('SET SESSION binlog_transaction_compression=ON');
      await using stream = await fixture.open(await fixture.position(), options);
      await fixture.run(many);
      const { parts, heldMax } = await readParts(stream, () => true);
      await fixture.run('SET SESSION binlog_transaction_compression=OFF');
      expect(parts.length).toBeGreaterThan(5);
      expect(changesOf(parts)).toEqual(expected);
      expect(heldMax).toBeLessThan(options.partBytesMax * 2 + options.bufferBytesMax);
    });
  });

  it('reads one event larger than a packet of the protocol', async () => {
    await fixture.run('SET GLOBAL max_allowed_packet = 67108864', 'CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB)');
    await fixture.inspect();
    const writer = await ServerConnection.open(definitionOf(server), { database: fixture.schema });
    const transactions = await fixture.record(async () => {
      await writer.write("INSERT INTO big VALUES (1, CONCAT(REPEAT('a', 20000000), 'end'))");
    });
    writer.destroy();
    const [change] = transactions.flatMap(({ changes }) => changes);
    const value = change?.kind === 'insert' ? change.after[1] : undefined;
    expect(value?.length).toBe(20_000_003);
    expect(value?.endsWith('aend')).toBe(true);
  });

  it('hears the server while it is idle, and notices when it is gone', async () => {
    await using stream = await fixture.open(await fixture.position(), { heartbeatMs: 200 });
    const heard = stream.lastHeardAtMs;
    await expect.poll(() => stream.lastHeardAtMs, { timeout: 20_000 }).toBeGreaterThan(heard + 1000);
    const [row] = await fixture.connection.rows(
      "SELECT id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%' ORDER BY id DESC LIMIT 1",
    );
    await fixture.run(`KILL ${row?.[0]}`);
    expect(await failureOf(stream)).toMatchObject({ code: 'SERVER_GONE' });
  });

  it('takes a silent network for a server that is gone', async () => {
    await using relay = await TcpRelay.start(server);
    await using stream = await fixture.open(await fixture.position(), {
      server: { ...definitionOf(server), host: relay.host, port: relay.port },
      silenceMaxMs: 2000,
      heartbeatMs: 500,
    });
    await fixture.run("INSERT INTO t VALUES (1,'a')");
    expect((await stream.next(AbortSignal.timeout(30_000))).changes.map(short)).toEqual(['+1:a']);
    relay.stall();
    expect(await failureOf(stream)).toMatchObject({
      code: 'SERVER_GONE',
      message: expect.stringContaining('nothing was heard'),
    });
  });

  it('gives what is buffered before it fails', async () => {
    const from = await fixture.position();
    await using stream = await fixture.open(from);
    await fixture.run("INSERT INTO t VALUES (1,'a')", 'ALTER TABLE t ADD extra INT', "INSERT INTO t VALUES (2,'b',1)");
    const seen: string[] = [];
    const failure = await (async () => {
      for (;;) {
        try {
          const { changes, ddl } = await stream.next(AbortSignal.timeout(30_000));
          seen.push(ddl?.sql ?? changes.map(short).join());
        } catch (error) {
          return error;
        }
      }
    })();
    expect(seen).toEqual(['+1:a', 'ALTER TABLE t ADD extra INT']);
    expect(failure).toMatchObject({ code: 'STREAM_SCHEMA_CHANGED' });
  });

  it('is closed by its signal', async () => {
    const controller = new AbortController();
    const stream = await fixture.open(await fixture.position(), { signal: controller.signal });
    const next = stream.next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('shows DDL that touches imported tables, and no other', async () => {
    await fixture.run(
      'CREATE DATABASE IF NOT EXISTS elsewhere',
      'CREATE DATABASE IF NOT EXISTS _switchyard',
      'CREATE TABLE IF NOT EXISTS elsewhere.t (id INT PRIMARY KEY)',
    );
    const transactions = await fixture.record(async () => {
      await fixture.run(
        'ALTER TABLE elsewhere.t ADD x INT',
        'CREATE TABLE fresh LIKE t',
        'DROP TABLE fresh',
        'CREATE TEMPORARY TABLE t (id INT)',
        'DROP TEMPORARY TABLE t',
        'CREATE VIEW v AS SELECT * FROM t',
        'CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.name = NEW.name',
        'DROP TRIGGER tr',
        "CREATE USER 'somebody'@'%'",
        `GRANT SELECT ON t TO 'somebody'@'%'`,
        "DROP USER 'somebody'@'%'",
        'ANALYZE TABLE t',
        'OPTIMIZE TABLE t',
        'FLUSH TABLES',
        'ALTER TABLE elsewhere.t DROP x',
        '/* app */ ALTER TABLE t COMMENT = "x"',
        'CREATE INDEX i ON t (name)',
        'DROP INDEX i ON t',
        'ALTER TABLE t ADD INDEX (name) /* switchyard */',
        'RENAME TABLE t TO t2',
        'RENAME TABLE t2 TO t',
        'TRUNCATE t',
        'DROP TABLE t',
      );
    });
    const shown = transactions.filter(({ ddl, ours }) => ddl !== null && !ours);
    expect(shown.map(({ ddl }) => ddl?.sql.replace(/ \/\* generated by server \*\//, ''))).toEqual([
      '/* app */ ALTER TABLE t COMMENT = "x"',
      'CREATE INDEX i ON t (name)',
      'DROP INDEX i ON t',
      'RENAME TABLE t TO t2',
      'RENAME TABLE t2 TO t',
      'TRUNCATE t',
      'DROP TABLE `t`',
    ]);
    expect(shown.every(({ ddl }) => ddl?.schema === fixture.schema)).toBe(true);
    expect(transactions.filter(({ ours }) => ours)).toHaveLength(1);
  });

  it('knows what is ours (I7)', async () => {
    await fixture.run(
      'CREATE DATABASE IF NOT EXISTS _switchyard',
      'CREATE TABLE IF NOT EXISTS _switchyard.progress (id INT PRIMARY KEY, n INT)',
      'DELETE FROM _switchyard.progress',
    );
    const transactions = await fixture.record(async () => {
      await fixture.run(
        'BEGIN',
        "INSERT INTO t VALUES (1,'a')",
        'INSERT INTO _switchyard.progress VALUES (1,1)',
        'COMMIT',
      );
      await fixture.run("INSERT INTO t VALUES (2,'b')");
      await fixture.run('CREATE TRIGGER own /* switchyard */ BEFORE INSERT ON t FOR EACH ROW SET NEW.name = NEW.name');
    });
    expect(transactions.map(({ ours, changes }) => [ours, changes.length])).toEqual([
      [true, 0],
      [false, 1],
      [true, 0],
    ]);
  });

  it('does not take for ours what another import writes', async () => {
    await fixture.run('DROP DATABASE IF EXISTS _switchyard');
    await createSidecar(fixture.connection);
    await new ProgressRow('a-shop', 'reverse').reset(fixture.connection, '');
    await new ProgressRow('shop', 'reverse').reset(fixture.connection, '');
    const from = await fixture.position();
    for (const [id, name] of [
      [1, 'shop'],
      [2, 'a-shop'],
    ] as const) {
      await fixture.run('BEGIN');
      await fixture.run(new ProgressRow(name, 'reverse').touchStatement('1'), `INSERT INTO t VALUES (${id}, 'x')`);
      await fixture.run('COMMIT', `ALTER /* switchyard */ /* import ${name} */ TABLE t COMMENT '${name}'`);
    }
    await using stream = await fixture.open(from, { isOwnImport: (id) => id === 'shop' });
    const transactions = await readUntil(stream, from, await fixture.position());
    await fixture.run('DROP DATABASE _switchyard');
    expect(transactions.map(({ ours, changes, ddl }) => [ours, changes.length, ddl !== null])).toEqual([
      [true, 0, false],
      [true, 0, true],
      [false, 1, false],
      [false, 0, true],
    ]);
  });

  it('holds XA transactions from PREPARE to COMMIT', async () => {
    const transactions = await fixture.record(async () => {
      await fixture.run(
        "XA START 'g1','b1',7",
        "INSERT INTO t VALUES (1,'kept')",
        "XA END 'g1','b1',7",
        "XA PREPARE 'g1','b1',7",
      );
      await using other = await ServerConnection.open(definitionOf(server), { database: fixture.schema });
      await other.write("INSERT INTO t VALUES (5,'between')");
      await fixture.run("XA COMMIT 'g1','b1',7");
      await fixture.run(
        "XA START 'g2'",
        "INSERT INTO t VALUES (2,'dropped')",
        "XA END 'g2'",
        "XA PREPARE 'g2'",
        "XA ROLLBACK 'g2'",
      );
      await fixture.run(
        "XA START 'g3'",
        "INSERT INTO t VALUES (3,'one phase')",
        "XA END 'g3'",
        "XA COMMIT 'g3' ONE PHASE",
      );
    });
    expect(changesOf(transactions)).toEqual(['+5:between', '+1:kept', '+3:one phase']);
  });

  it('reads a prepared XA transaction again after a restart in between', async () => {
    const from = await fixture.position();
    await using first = await fixture.open(from);
    await fixture.run("XA START 'x'", "INSERT INTO t VALUES (1,'kept')", "XA END 'x'", "XA PREPARE 'x'");
    await using other = await ServerConnection.open(definitionOf(server), { database: fixture.schema });
    await other.write("INSERT INTO t VALUES (5,'between')");
    let last = await first.next(AbortSignal.timeout(30_000));
    while (last.changes.length === 0) last = await first.next(AbortSignal.timeout(30_000));
    expect(changesOf([last])).toEqual(['+5:between']);
    const position = first.received.clone();
    await first.close();
    await fixture.run("XA COMMIT 'x'", "INSERT INTO t VALUES (6,'behind')");
    const { readFrom } = last;
    await using second = await fixture.open(
      position,
      readFrom === undefined ? {} : { readFrom: parsePosition(family, readFrom) },
    );
    const until = await fixture.position();
    const rest = await readUntil(second, position, until);
    expect(changesOf(rest)).toEqual(['+1:kept', '+6:behind']);
    expect(rest.at(-1)?.readFrom).toBeUndefined();
    expect(second.received.toString()).toBe(until.toString());
  });

  onMariadb('what was applied is passed over while prepared XA transactions are read again', async () => {
    await fixture.run('CREATE TABLE changed (id INT PRIMARY KEY)');
    await fixture.inspect();
    const from = await fixture.position();
    await using other = await ServerConnection.open(definitionOf(server), { database: fixture.schema });
    for (const sql of ["XA START 'open'", "INSERT INTO t VALUES (1,'open')", "XA END 'open'", "XA PREPARE 'open'"])
      await other.write(sql);
    await fixture.run(
      "XA START 'one'",
      'INSERT INTO changed VALUES (1)',
      "XA END 'one'",
      "XA PREPARE 'one'",
      "XA COMMIT 'one'",
      "XA START 'two'",
      'INSERT INTO changed VALUES (2)',
      "XA END 'two'",
      "XA PREPARE 'two'",
      "XA ROLLBACK 'two'",
      'INSERT INTO changed VALUES (3)',
      // Nothing here can be read with the tables as they are afterwards, nor this at all.
      'SET SESSION binlog_format=STATEMENT',
      'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      'UPDATE changed SET id = id + 10',
      'SET SESSION binlog_format=ROW',
    );
    await fixture.run('ALTER TABLE changed ADD COLUMN n INT FIRST', 'DROP TABLE changed');
    const position = await fixture.position();
    await using second = await fixture.open(position, {
      readFrom: from,
      isImported: (schema) => schema === fixture.schema,
      tableOf: (schema, name) =>
        fixture.tables.find((table) => table.schema === schema && table.name === name && name !== 'changed'),
    });
    await other.write("XA COMMIT 'open'");
    expect(changesOf(await readUntil(second, position, await fixture.position()))).toEqual(['+1:open']);
  });

  onMariadb('a server that lacks what was applied is told, though it has where reading begins', async () => {
    const from = await fixture.position();
    await fixture.run("INSERT INTO t VALUES (1,'a')");
    const next = (await fixture.position()).toString().replace(/(\d+)$/, (sequence) => String(Number(sequence) + 1));
    await expect(fixture.open(parsePosition(family, next), { readFrom: from })).rejects.toMatchObject({
      code: 'STREAM_DIVERGED',
    });
    // Of the same number, but written by another server.
    const other = (await fixture.position()).toString().replace(/-\d+-(\d+)$/, '-4711-$1');
    await using stream = await fixture.open(parsePosition(family, other), { readFrom: from });
    await fixture.run("INSERT INTO t VALUES (2,'b')");
    expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_DIVERGED' });
  });

  it('stops at an XA COMMIT whose rows it has not read', async () => {
    await fixture.run("XA START 'early'", "INSERT INTO t VALUES (1,'a')", "XA END 'early'", "XA PREPARE 'early'");
    await using stream = await fixture.open(await fixture.position());
    await fixture.run("XA COMMIT 'early'");
    expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_XA_UNKNOWN' });
  });

  it.each(['MINIMAL', 'NOBLOB'])('stops at row images that are not full (%s) (I4)', async (image) => {
    await fixture.run(
      'CREATE TABLE i (id INT PRIMARY KEY, name VARCHAR(20), x TEXT)',
      "INSERT INTO i VALUES (1,'a','x')",
    );
    await fixture.inspect();
    await using stream = await fixture.open(await fixture.position());
    await fixture.run(
      `SET SESSION binlog_row_image=${image}`,
      "UPDATE i SET name='b'",
      'SET SESSION binlog_row_image=FULL',
    );
    expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_ROW_IMAGE_NOT_FULL' });
  });

  it('stops at changes logged as statements (I4)', async () => {
    await using stream = await fixture.open(await fixture.position());
    await fixture.run(
      'SET SESSION binlog_format=STATEMENT',
      'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      'INSERT INTO aside VALUES (7)',
      "INSERT INTO t VALUES (1,'a')",
      'SET SESSION binlog_format=ROW',
    );
    expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_STATEMENT_DML' });
  });

  describe('changes logged as statements that do not name an imported table', () => {
    const other = () => `${fixture.schema}_other`;
    beforeEach(async () => {
      await fixture.run(
        `CREATE DATABASE ${other()}`,
        `CREATE TABLE ${other()}.x (id INT PRIMARY KEY)`,
        `CREATE TABLE ${other()}.calm (id INT PRIMARY KEY, t INT)`,
        `CREATE VIEW here AS SELECT * FROM t`,
        'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
      );
    });
    afterEach(async () => {
      await fixture.run(`SET SESSION binlog_format=ROW`, `USE ${fixture.schema}`, `DROP DATABASE ${other()}`);
    });
    const into = (table: string) => `INSERT INTO ${table} (id, name) VALUES (1, 'a')`;

    it.each<[string, (here: string) => [made: string[], changed: string]]>([
      [
        'a trigger',
        (here) => [
          [`CREATE TRIGGER g AFTER INSERT ON x FOR EACH ROW ${into(`${here}.t`)}`],
          'INSERT INTO x VALUES (1)',
        ],
      ],
      ['a view', (here) => [[`CREATE VIEW v AS SELECT * FROM ${here}.t`], into('v')]],
      [
        'a view on a table with a trigger',
        (here) => [
          [`CREATE TRIGGER g AFTER INSERT ON x FOR EACH ROW ${into(`${here}.t`)}`, 'CREATE VIEW v AS SELECT * FROM x'],
          'INSERT INTO v VALUES (1)',
        ],
      ],
      [
        'a function',
        (here) => [
          [`CREATE FUNCTION f() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN ${into(`${here}.t`)}; RETURN 1; END`],
          'SELECT f()',
        ],
      ],
      ['a view of the imported database', (here) => [[], into(`${here}.here`)]],
    ])('stops at those that reach one through %s (I4)', async (_, statements) => {
      const [made, changed] = statements(fixture.schema);
      await fixture.run(`USE ${other()}`);
      await fixture.run(...made);
      await using stream = await fixture.open(await fixture.position());
      await fixture.run('SET SESSION binlog_format=STATEMENT', 'INSERT INTO calm VALUES (1, 1)', changed);
      expect(await fixture.connection.rows(`SELECT name FROM ${fixture.schema}.t`)).toEqual([['a']]);
      expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_STATEMENT_DML' });
    });

    it('stops at a DELETE through a view of the imported database (I4)', async () => {
      await fixture.run("INSERT INTO t VALUES (1, 'a')");
      await using stream = await fixture.open(await fixture.position());
      await fixture.run('SET SESSION binlog_format=STATEMENT', 'DELETE FROM here WHERE id = 1');
      expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_STATEMENT_DML' });
    });

    it('hears of code that comes while it goes on, and of code that goes', async () => {
      await fixture.run(`USE ${other()}`);
      await using stream = await fixture.open(await fixture.position());
      const calm = async (id: number) => {
        const before = await fixture.position();
        await fixture.run('SET SESSION binlog_format=STATEMENT', `INSERT INTO x VALUES (${id})`);
        await fixture.run('SET SESSION binlog_format=ROW');
        await readUntil(stream, before, await fixture.position());
      };
      await calm(1);
      await fixture.run(`CREATE TRIGGER g AFTER INSERT ON x FOR EACH ROW ${into(`${fixture.schema}.t`)}`);
      await fixture.run('DROP TRIGGER g');
      await calm(2);
      await fixture.run(`CREATE TRIGGER g AFTER INSERT ON x FOR EACH ROW ${into(`${fixture.schema}.t`)}`);
      await fixture.run('SET SESSION binlog_format=STATEMENT', 'INSERT INTO x VALUES (3)');
      expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_STATEMENT_DML' });
    });
  });

  it('reads rows of CREATE TABLE … SELECT as those of a table out of scope', async () => {
    await fixture.run("INSERT INTO t VALUES (1,'a')");
    const transactions = await fixture.record(async () => {
      await fixture.run('CREATE TABLE made AS SELECT * FROM t', "INSERT INTO t VALUES (2,'b')");
    });
    expect(changesOf(transactions)).toEqual(['+2:b']);
    expect(transactions.every(({ ddl }) => ddl === null)).toBe(true);
  });

  it('takes tables without transactions, and savepoints', async () => {
    await fixture.run('CREATE TABLE m (id INT PRIMARY KEY, name VARCHAR(20)) ENGINE=MyISAM');
    await fixture.inspect();
    const transactions = await fixture.record(async () => {
      await fixture.run("INSERT INTO m VALUES (1,'m')");
      await fixture.run(
        'BEGIN',
        "INSERT INTO t VALUES (1,'a')",
        'SAVEPOINT s',
        "INSERT INTO t VALUES (2,'b')",
        'ROLLBACK TO s',
        "INSERT INTO t VALUES (3,'c')",
        'COMMIT',
      );
    });
    expect(changesOf(transactions)).toEqual(['+1:m', '+1:a', '+3:c']);
  });

  it('drops what was rolled back beside temporary tables, which MariaDB logs', async () => {
    await fixture.run('CREATE TABLE m (id INT PRIMARY KEY, name VARCHAR(20)) ENGINE=MyISAM');
    await fixture.inspect();
    const gone = 'DROP TEMPORARY TABLE IF EXISTS x';
    // Of a table without transactions, in the middle of one: MySQL refuses that.
    const aside = family === 'mariadb' ? ["INSERT INTO m VALUES (1, 'm')"] : [];
    const histories = [
      ["INSERT INTO t VALUES (1, 'a')", gone, ...aside, 'ROLLBACK'],
      [
        'SAVEPOINT first',
        "INSERT INTO t VALUES (2, 'b')",
        gone,
        'ROLLBACK TO first',
        "INSERT INTO t VALUES (3, 'c')",
        'COMMIT',
      ],
      [
        "INSERT INTO t VALUES (4, 'd')",
        'SAVEPOINT `S 1`',
        "UPDATE t SET name = 'void'",
        'SAVEPOINT later',
        'CREATE TEMPORARY TABLE x AS SELECT * FROM t',
        'DELETE FROM t',
        'ROLLBACK TO SAVEPOINT `s 1`',
        "INSERT INTO t VALUES (5, 'e')",
        gone,
        'COMMIT',
      ],
    ];
    const transactions = await fixture.record(async () => {
      for (const statements of histories) await fixture.run('BEGIN', ...statements);
    });
    expect(changesOf(transactions)).toEqual([...(aside.length > 0 ? ['+1:m'] : []), '+3:c', '+4:d', '+5:e']);
    expect(await fixture.connection.rows('SELECT id FROM t ORDER BY id')).toEqual([['3'], ['4'], ['5']]);
  });

  it.runIf(family === 'mariadb')('goes back to a savepoint within XA where nothing is void', async () => {
    const before = ["XA START 's'", "INSERT INTO t VALUES (1, 'a')", 'CREATE TEMPORARY TABLE x AS SELECT * FROM t'];
    const after = ['ROLLBACK TO s', "INSERT INTO t VALUES (3, 'c')", "XA END 's'", "XA PREPARE 's'", "XA COMMIT 's'"];
    const transactions = await fixture.record(async () => {
      await fixture.run(...before, 'SAVEPOINT s', "UPDATE t SET name = 'none' WHERE id = 9", ...after);
    });
    expect(changesOf(transactions)).toEqual(['+1:a', '+3:c']);
    await fixture.run('DROP TEMPORARY TABLE x');
  });

  it('says that the log was purged', async () => {
    const from = await fixture.position();
    await fixture.run(
      "INSERT INTO t VALUES (1,'a')",
      'FLUSH BINARY LOGS',
      "INSERT INTO t VALUES (2,'b')",
      'FLUSH BINARY LOGS',
      'FLUSH BINARY LOGS',
    );
    await purgeLogs(fixture.connection);
    const failure = await fixture.open(from).then(failureOf, (error: unknown) => error);
    expect(failure).toMatchObject({ code: 'STREAM_PURGED' });
  });

  it('says that the server lacks what was read before', async () => {
    const ahead: StreamPosition = await fixture.position();
    if (ahead instanceof MysqlGtidSet) ahead.advance('11111111-1111-1111-1111-111111111111:5');
    else
      ahead.advance(
        ahead
          .toString()
          .replace(/^(\d+-\d+)-(\d+).*$/, (_, head: string, last: string) => `${head}-${Number(last) + 1000}`),
      );
    const failure = await fixture.open(ahead).then(failureOf, (error: unknown) => error);
    expect(failure).toMatchObject({ code: 'STREAM_DIVERGED' });
  });

  it('survives a crash of the server in the sense that nothing is lost or doubled', async () => {
    const from = await fixture.position();
    const stream = await fixture.open(from);
    for (let id = 0; id < 20; id += 1) await fixture.run(`INSERT INTO t VALUES (${id}, 'x')`);
    const first = await readUntil(stream, from, await fixture.position());
    await server.kill();
    expect(await failureOf(stream)).toMatchObject({ code: 'SERVER_GONE' });
    await server.start();
    const { tables, schema } = fixture;
    await fixture[Symbol.asyncDispose]();
    const connection = await ServerConnection.open(definitionOf(server), { database: schema });
    await connection.write("INSERT INTO t VALUES (100, 'y')");
    connection.destroy();
    fixture = await StreamFixture.create(server, `${schema}_after`);
    fixture.tables = tables;
    const middle = from.clone();
    for (const { gtid } of first) middle.advance(gtid);
    await using again = await fixture.open(middle, { inScope: (name) => name === schema });
    const rest = await readUntil(again, middle, await fixture.position());
    expect(changesOf([...first, ...rest])).toEqual([...Array.from({ length: 20 }, (_, id) => `+${id}:x`), '+100:y']);
  });

  it('takes any name and a thousand columns', async () => {
    const odd = 'od`d näme % 表';
    const columns = Array.from({ length: 999 }, (_, index) => `c${index} TINYINT NULL`);
    await fixture.run(
      bytesOf('CREATE TABLE `od``d näme % 表` (`i d` INT PRIMARY KEY, `ünï` INT)'),
      `CREATE TABLE wide (id INT PRIMARY KEY, ${columns.join(', ')})`,
    );
    await fixture.inspect();
    expect(fixture.tables.map(({ name }) => name)).toContain(odd);
    const transactions = await fixture.record(async () => {
      await fixture.run(
        bytesOf('INSERT INTO `od``d näme % 表` VALUES (1, 2)'),
        'INSERT INTO wide (id, c0, c7, c998) VALUES (1, 5, 6, 7)',
        bytesOf('ALTER TABLE `od``d näme % 表` ADD x INT'),
      );
    });
    const [first, second] = transactions.flatMap(({ changes }) => changes);
    expect(first?.table.name).toBe(odd);
    const image = second?.kind === 'insert' ? second.after : [];
    expect(image).toHaveLength(1000);
    expect([...image.entries()].filter(([, value]) => value !== null)).toEqual([
      [0, '1'],
      [1, '5'],
      [8, '6'],
      [999, '7'],
    ]);
    expect(transactions.at(-1)?.ddl).not.toBeNull();
  });

  it.each(['MINIMAL', 'FULL'])('needs no more metadata of tables than there is (%s)', async (metadata) => {
    await fixture.run(
      `SET GLOBAL binlog_row_metadata=${metadata}`,
      'CREATE TABLE n (a SMALLINT UNSIGNED PRIMARY KEY, b YEAR, c SMALLINT, d DECIMAL(4,1) UNSIGNED, e FLOAT, f BIGINT UNSIGNED)',
    );
    await fixture.inspect();
    const transactions = await fixture.record(async () => {
      await fixture.run('INSERT INTO n VALUES (65535, 2024, -1, 999.9, -1.5, 18446744073709551615)');
    });
    await fixture.run('SET GLOBAL binlog_row_metadata=FULL');
    const [change] = transactions.flatMap(({ changes }) => changes);
    expect(change?.kind === 'insert' ? change.after : []).toEqual([
      '65535',
      '2024',
      '-1',
      '999.9',
      '-1.5',
      '18446744073709551615',
    ]);
  });

  it.each(['MINIMAL', 'FULL'])(
    'tells the charsets of texts apart between columns of every other type (%s; soak seed 51411236)',
    async (metadata) => {
      const charsets = 'gbk euckr koi8r eucjpms big5 cp1251 cp1250 sjis latin2 ucs2 cp850 utf16 utf32 hebrew'.split(
        ' ',
      );
      const others = ['VECTOR(3)', 'JSON', 'GEOMETRY', "ENUM('a')", 'BLOB', 'BINARY(3)', 'BIT(3)', 'POINT', "SET('a')"];
      if (family === 'mariadb')
        others.push('UUID', 'INET6', 'INET4', 'TEXT COMPRESSED', 'LONGBLOB COMPRESSED', 'VARCHAR(9) COMPRESSED');
      const columns = others
        .filter((type) => flavor !== 'mariadb-10.11' || !type.startsWith('VECTOR'))
        .map((type, i) => `o${i} ${type}, c${i} VARCHAR(9) CHARACTER SET ${charsets[i % charsets.length]}`);
      await fixture.run(
        `SET GLOBAL binlog_row_metadata=${metadata}`,
        `CREATE TABLE charsets (id INT PRIMARY KEY, ${columns.join(', ')})`,
      );
      await fixture.inspect();
      const transactions = await fixture.record(async () => {
        await fixture.run("INSERT INTO charsets (id, c1) VALUES (1, 'x')");
      });
      await fixture.run('SET GLOBAL binlog_row_metadata=FULL');
      expect(transactions.flatMap(({ changes }) => changes)).toMatchObject([{ kind: 'insert' }]);
    },
  );

  it.runIf(family === 'mariadb')('reads dates and times in the formats before 5.6', async () => {
    await fixture.run(
      'SET GLOBAL mysql56_temporal_format=OFF',
      'CREATE TABLE o (id INT PRIMARY KEY, d DATETIME, t TIME, s TIMESTAMP NULL)',
      'CREATE TABLE fine (id INT PRIMARY KEY, d DATETIME(3))',
      'SET GLOBAL mysql56_temporal_format=ON',
    );
    await fixture.inspect();
    const transactions = await fixture.record(async () => {
      await fixture.run(
        "INSERT INTO o VALUES (1, '2024-02-29 12:34:56', '-838:59:59', '2024-02-29 12:34:56'), (2, 0, 0, 0), (3, NULL, '00:00:01', NULL)",
      );
    });
    const images = transactions.flatMap(({ changes }) =>
      changes.map((change) => (change.kind === 'insert' ? change.after : [])),
    );
    expect(images).toEqual(await fixture.connection.rows('SELECT * FROM o ORDER BY id'));
    await using stream = await fixture.open(await fixture.position());
    await fixture.run("INSERT INTO fine VALUES (1, '2024-02-29 12:34:56.789')");
    expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_EVENT_UNKNOWN' });
  });

  it.runIf(family === 'mariadb')(
    'shows an ALTER that is logged in two phases once, where it commits, and none that is rolled back',
    async () => {
      const transactions = await fixture.record(async () => {
        await fixture.run("INSERT INTO t VALUES (1,'a'),(2,'a')", 'SET SESSION binlog_alter_two_phase=ON');
        await fixture.run('ALTER TABLE t COMMENT "one"', 'ALTER TABLE t ADD INDEX (name), ALGORITHM=COPY');
        await expect(fixture.run('ALTER TABLE t ADD UNIQUE (name), ALGORITHM=COPY')).rejects.toThrow('Duplicate');
      });
      expect(transactions.flatMap(({ ddl }) => ddl?.sql ?? [])).toEqual([
        'ALTER TABLE t COMMENT "one"',
        'ALTER TABLE t ADD INDEX (name), ALGORITHM=COPY',
      ]);
      // Rows; two phases of each, the one that failed included.
      expect(transactions).toHaveLength(7);
    },
  );

  onMysql('reads compressed transactions', async () => {
    await fixture.run('SET SESSION binlog_transaction_compression=ON');
    const transactions = await fixture.record(async () => {
      await fixture.run(
        "INSERT INTO t VALUES (1, REPEAT('z', 200)), (2, 'b')",
        'BEGIN',
        "UPDATE t SET name='c' WHERE id=2",
        'INSERT INTO aside VALUES (3)',
        'DELETE FROM t WHERE id=1',
        'COMMIT',
      );
    });
    await fixture.run('SET SESSION binlog_transaction_compression=OFF');
    expect(changesOf(transactions)).toEqual([`+1:${'z'.repeat(200)}`, '+2:b', '2:b>2:c', `-1:${'z'.repeat(200)}`]);
  });

  onMysql('reads tagged GTIDs and resumes from them', async () => {
    const from = await fixture.position();
    await fixture.run(
      "SET SESSION gtid_next='AUTOMATIC:blue_1'",
      "INSERT INTO t VALUES (1,'a')",
      "INSERT INTO t VALUES (2,'b')",
      "SET SESSION gtid_next='AUTOMATIC'",
      "INSERT INTO t VALUES (3,'c')",
    );
    const until = await fixture.position();
    expect(until.toString()).toContain(':blue_1:1-2');
    await using stream = await fixture.open(from);
    const all = await readUntil(stream, from, until);
    expect(changesOf(all)).toEqual(['+1:a', '+2:b', '+3:c']);
    for (const { committedAtMs } of all) expect(Math.abs(committedAtMs - Date.now())).toBeLessThan(60_000);
    const middle = from.clone();
    middle.advance(all[0]?.gtid ?? '');
    await using rest = await fixture.open(middle);
    expect(changesOf(await readUntil(rest, middle, until))).toEqual(['+2:b', '+3:c']);
  });

  onMysql('stops at parts of JSON documents, and takes whole ones', async () => {
    await fixture.run(
      'CREATE TABLE j (id INT PRIMARY KEY, d JSON)',
      `INSERT INTO j VALUES (1, JSON_OBJECT(_utf8mb4'a', REPEAT(_utf8mb4'x', 500), _utf8mb4'b', 1))`,
    );
    await fixture.inspect();
    const from = await fixture.position();
    await fixture.run(
      "SET SESSION binlog_row_value_options='PARTIAL_JSON'",
      "UPDATE j SET d = JSON_OBJECT(_utf8mb4'n', 1)",
    );
    await using stream = await fixture.open(from);
    expect(
      (await stream.next(AbortSignal.timeout(30_000))).changes.map((change) =>
        change.kind === 'update' ? change.after[1] : '',
      ),
    ).toEqual(['{"n": 1}']);
    await fixture.run(
      `UPDATE j SET d = JSON_OBJECT(_utf8mb4'a', REPEAT(_utf8mb4'x', 500), _utf8mb4'b', 1)`,
      "UPDATE j SET d = JSON_SET(d, _utf8mb4'$.b', 2)",
      "SET SESSION binlog_row_value_options=''",
    );
    expect(await failureOf(stream)).toMatchObject({ code: 'STREAM_ROW_IMAGE_NOT_FULL' });
  });

  onMysql('prints opaque JSON values as the server does', async () => {
    await fixture.run('CREATE TABLE j (id INT PRIMARY KEY, d JSON)');
    await fixture.inspect();
    const transactions = await fixture.record(async () => {
      await fixture.run(
        `INSERT INTO j VALUES (1, JSON_ARRAY(CAST('2024-02-29' AS DATE), CAST('2024-02-29 01:02:03.000004' AS DATETIME(6)), CAST('-12:34:56.5' AS TIME(1)), CAST('00:00:00' AS TIME), 1.50, -0.001, 12345678901234567890123456789.5))`,
        `INSERT INTO j VALUES (2, JSON_OBJECT(_utf8mb4'blob', CAST(REPEAT(0x00ff41, 100) AS BINARY), _utf8mb4'bit', b'101', _utf8mb4'date', TIMESTAMP('2000-01-01 00:00:00')))`,
        `INSERT INTO j VALUES (3, JSON_ARRAY(ST_GeomFromText('POINT(1 2)'), CAST(2024 AS YEAR), CAST(REPEAT(0x41, 57) AS BINARY), CAST(REPEAT(0x41, 58) AS BINARY)))`,
      );
    });
    const texts = transactions.flatMap(({ changes }) =>
      changes.map((change) => (change.kind === 'insert' ? plainJson(change.after[1] ?? '') : '')),
    );
    const rows = await fixture.connection.rows('SELECT CAST(d AS CHAR) FROM j ORDER BY id');
    expect(texts).toEqual(rows.map(([text]) => text));
  });

  onMysql('passes over the hidden columns of functional and multi-valued indexes', async () => {
    await fixture.run(
      'CREATE TABLE f (id INT PRIMARY KEY, name VARCHAR(20), j JSON, INDEX ((UPPER(name))), INDEX ((CAST(j AS UNSIGNED ARRAY))))',
      'SET SESSION sql_generate_invisible_primary_key=ON',
      'CREATE TABLE g (name VARCHAR(20))',
      'SET SESSION sql_generate_invisible_primary_key=OFF',
    );
    await fixture.inspect();
    const transactions = await fixture.record(async () => {
      await fixture.run(`INSERT INTO f VALUES (1, 'a', _utf8mb4'[1,2]')`, "INSERT INTO g (name) VALUES ('gipk')");
    });
    expect(changesOf(transactions)).toEqual(['+1:a', '+1:gipk']);
  });

  it.runIf(family === 'mariadb')('reads compressed events', async () => {
    await fixture.run('SET GLOBAL log_bin_compress=ON', 'SET GLOBAL log_bin_compress_min_len=10');
    await using writer = await ServerConnection.open(definitionOf(server), { database: fixture.schema });
    const transactions = await fixture.record(async () => {
      await writer.write("INSERT INTO t VALUES (1, REPEAT('z', 200)), (2, REPEAT('y', 200))");
      await writer.write("UPDATE t SET name=REPEAT('x', 200)");
      await writer.write('DELETE FROM t');
      await writer.write(`CREATE INDEX long_name ON t (name) COMMENT '${'c'.repeat(300)}'`);
    });
    await fixture.run('SET GLOBAL log_bin_compress=OFF');
    const [z, y, x] = ['z', 'y', 'x'].map((letter) => letter.repeat(200));
    expect(changesOf(transactions)).toEqual([
      `+1:${z}`,
      `+2:${y}`,
      `1:${z}>1:${x}`,
      `2:${y}>2:${x}`,
      `-1:${x}`,
      `-2:${x}`,
    ]);
    expect(transactions.at(-1)?.ddl?.sql).toContain('CREATE INDEX long_name');
  });

  it.runIf(family === 'mariadb')('follows several domains', async () => {
    const transactions = await fixture.record(async () => {
      await fixture.run(
        "INSERT INTO t VALUES (1,'a')",
        'SET SESSION gtid_domain_id=5',
        "INSERT INTO t VALUES (2,'b')",
        'SET SESSION gtid_domain_id=0',
        "INSERT INTO t VALUES (3,'c')",
      );
    });
    expect(changesOf(transactions)).toEqual(['+1:a', '+2:b', '+3:c']);
    expect(transactions[1]?.gtid).toMatch(/^5-/);
  });

  it('the tables as they were where a stream begins: read before it or behind it, without DDL between', async () => {
    const { schema: database } = fixture;
    await fixture.run('CREATE TABLE pairs (id INT PRIMARY KEY, a INT, b INT)');
    const before = await fixture.position();
    await fixture.run('INSERT INTO pairs VALUES (1, 10, 20)');
    await fixture.inspect();
    const prepared = { tables: fixture.tables, position: (await fixture.position()).toString() };
    await fixture.run('INSERT INTO pairs VALUES (2, 10, 20)');
    const behind = await fixture.position();
    await fixture.run('ALTER TABLE pairs MODIFY a INT AFTER b');
    const origin = definitionOf(server);
    const beginning = {
      origin,
      flavor: family,
      database,
      allTables: false,
      prepared,
      loadTables: async () => inspectTables(fixture.connection, database, ['pairs']),
      tableNames: ['pairs'],
      signal: AbortSignal.timeout(30_000),
    };
    // Before: as the row of a write-back.
    for (const from of [before, behind]) expect(await tablesAt({ ...beginning, from })).toEqual(fixture.tables);
    const error = await tablesAt({ ...beginning, from: before, prepared: undefined }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'STREAM_SCHEMA_CHANGED' });
    const changed = await tablesAt({ ...beginning, from: await fixture.position() });
    expect(changed[0]?.columns.map(({ name }) => name)).toEqual(['id', 'b', 'a']);
  });
});
