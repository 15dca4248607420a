import type { Socket } from 'node:net';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseErr } from '../../core/wire/err-packet.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, rowsOf } from '../support/proxy-clients.ts';
import { MessageStream } from '../../proxy/message-stream.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';

let servers: Awaited<ReturnType<typeof startServerPair>>;
let source: RunningServer;
let target: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  servers = await startServerPair();
  ({ source, target } = servers);
  for (const server of [source, target]) {
    await createAppSchema(server);
    await using root = await direct(server);
    await root.query('INSERT INTO app.whoami VALUES (?)', ['app']);
    await root.query('INSERT INTO other.whoami VALUES (?)', ['other']);
    await root.query(`CREATE ROLE reader`);
    await root.query(`GRANT reader TO app@'%'`);
    await root.query(`GRANT BACKUP_ADMIN, RELOAD, SESSION_VARIABLES_ADMIN ON *.* TO app@'%'`);
  }
  proxy = await ProxyHarness.start({ source, target });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await servers?.[Symbol.asyncDispose]();
});

interface Case {
  name: string;
  setUp: string[];
  /** Run in order; each answer, or error, has to be that of a session that never moved. */
  probe: string[];
  options?: ConnectionOptions;
}

const CHARSETS = `SELECT @@character_set_client, @@character_set_results, @@character_set_connection, @@collation_connection`;

const CASES: Case[] = [
  {
    name: 'system variables of every type, in the order in which they depend on each other',
    setUp: [
      `SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+03:00', group_concat_max_len = 77`,
      `SET @@SESSION.max_execution_time = 5000, foreign_key_checks = 0, unique_checks = OFF`,
      `SET sql_select_limit = 3`,
      `SET long_query_time = 1.5, default_week_format = 3, lc_time_names = 'de_DE', div_precision_increment = 7`,
      `SET SESSION sql_mode = CONCAT(@@sql_mode, ',PAD_CHAR_TO_FULL_LENGTH')`,
    ],
    probe: [
      `SELECT @@sql_mode, @@time_zone, @@group_concat_max_len, @@max_execution_time, @@foreign_key_checks, @@unique_checks,
        @@sql_select_limit, @@long_query_time, DATE_FORMAT('2020-05-01', '%W %M %U'), 1/7, '\\n'`,
      `SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4`,
    ],
  },
  {
    name: 'a variable set back to its default',
    setUp: ['SET SESSION wait_timeout = 99', 'SET SESSION wait_timeout = DEFAULT'],
    probe: ['SELECT @@wait_timeout'],
  },
  ...[
    'SET NAMES latin1',
    'SET NAMES utf8mb4 COLLATE utf8mb4_0900_bin',
    'SET NAMES binary',
    'SET CHARACTER SET latin1',
    'SET character_set_results = NULL',
    `SET character_set_client = latin1, collation_connection = 'utf8mb4_ja_0900_as_cs_ks'`,
  ].map((sql) => ({ name: sql, setUp: [sql], probe: [CHARSETS, `SELECT HEX('e'), COLLATION('e')`] })),
  ...['latin1_german2_ci', 'utf8mb4_bin', 'utf8_unicode_ci'].map((charset) => ({
    name: `character set ${charset} of the login`,
    setUp: [],
    probe: [CHARSETS],
    options: { charset },
  })),
  {
    name: 'user variables of every type, binary-safe',
    setUp: [
      `SET @text = 'grüße', @number = -42, @big = 18446744073709551615, @decimal = 1.50, @double = 1.5e0, @nothing = NULL`,
      `SET @bytes = X'00ff27', @latin = _latin1 X'e9' COLLATE latin1_bin, @\`odd \`\` name\` = 'o''dd', @invalid = X'c3'`,
      `SELECT name, 7 INTO @name, @seven FROM whoami`,
      `SELECT @assigned := CONVERT('x' USING ucs2)`,
      `SET @json = JSON_OBJECT('a', 1), @date = DATE '2020-02-03', @bit = b'101', @huge = 1e300, @point = ST_AsBinary(POINT(1, 2))`,
    ],
    probe: [
      `SELECT HEX(@text), @number, @big, @decimal, @double, @nothing, HEX(@bytes), HEX(@latin), CHARSET(@latin), COLLATION(@latin),
        @\`odd \`\` name\`, HEX(@invalid), CHARSET(@invalid), @name, @seven, HEX(@assigned), CHARSET(@assigned), @huge, HEX(@point),
        HEX(@json), CHARSET(@json), @date, HEX(@bit), @decimal / 3, @big + 0, @double / 3`,
    ],
  },
  {
    name: 'statements of PREPARE: quotes, from a variable, in the schema of their time, deallocated',
    setUp: [
      `PREPARE quoted FROM 'SELECT ''it''''s'' AS a, ? AS b, "\\\\n" AS c'`,
      `SET @sql = 'SELECT CONCAT(name, ''ä'', ?) AS a FROM whoami', @b = 5`,
      'PREPARE from_variable FROM @sql',
      'USE other',
      `PREPARE elsewhere FROM 'SELECT name FROM whoami'`,
      'USE app',
      `SET @sql = 'gone'`,
      `PREPARE gone FROM 'SELECT 1'`,
      'DEALLOCATE PREPARE gone',
    ],
    probe: [
      'EXECUTE quoted USING @b',
      'EXECUTE from_variable USING @b',
      'EXECUTE elsewhere',
      'EXECUTE gone',
      'SELECT DATABASE(), @sql',
    ],
  },
  {
    name: 'LAST_INSERT_ID set by an expression',
    setUp: ['SELECT LAST_INSERT_ID(18446744073709551615)'],
    probe: ['SELECT LAST_INSERT_ID(), @@identity'],
  },
  {
    name: 'an isolation level for the next transaction, not used up by statements without tables',
    setUp: ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY', 'SELECT 1', 'SET @a = 1', 'DO 1'],
    probe: ['INSERT INTO t (n) VALUES (1)', 'INSERT INTO t (n) VALUES (1)', 'SELECT @@transaction_isolation'],
  },
  {
    name: 'the same by a variable without a scope',
    setUp: [`SET @@transaction_read_only = 1, sort_buffer_size = 50000`],
    probe: ['INSERT INTO t (n) VALUES (1)', 'INSERT INTO t (n) VALUES (1)', 'SELECT @@sort_buffer_size'],
  },
  {
    name: 'an isolation level that was used up',
    setUp: ['SET TRANSACTION READ ONLY', 'SELECT * FROM whoami'],
    probe: ['INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'an isolation level that a transaction used up, and the one after it',
    setUp: [
      'SET TRANSACTION READ ONLY',
      'START TRANSACTION',
      'SELECT * FROM whoami',
      'COMMIT',
      'SET TRANSACTION READ ONLY',
    ],
    probe: ['INSERT INTO t (n) VALUES (1)', 'INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'isolation and access mode of the session',
    setUp: [`SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY`],
    probe: ['SELECT @@transaction_isolation, @@transaction_read_only', 'INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'autocommit off',
    setUp: ['SET autocommit = 0'],
    probe: ['SELECT @@autocommit', 'INSERT INTO t (n) VALUES (99)', 'ROLLBACK', 'SELECT * FROM t WHERE n = 99'],
  },
  { name: 'the role', setUp: ['SET ROLE reader'], probe: ['SELECT CURRENT_ROLE()'] },
  { name: 'no schema', setUp: [], probe: ['SELECT DATABASE()', 'SELECT * FROM t'], options: { database: '' } },
  { name: 'timestamp', setUp: ['SET timestamp = 1000000000.5'], probe: ['SELECT UNIX_TIMESTAMP(NOW(1))'] },
  {
    name: 'trackers that the client chose itself, together with other variables',
    setUp: [
      `SET session_track_schema = 1, session_track_system_variables = 'autocommit', sql_mode = 'ANSI_QUOTES', div_precision_increment = 2`,
      `SET time_zone = '+05:00'`,
      'SET session_track_state_change = 0, session_track_transaction_info = STATE',
      'USE other',
      'SET @kept = 1',
    ],
    probe: [
      'SELECT @@sql_mode, @@time_zone, DATABASE(), @kept, 1/3, @@session_track_transaction_info, @@session_track_schema',
    ],
  },
  {
    name: 'warnings of a statement',
    setUp: [`SELECT CAST('x' AS SIGNED), 1/0`],
    probe: ['SHOW COUNT(*) WARNINGS', 'SHOW WARNINGS', 'SHOW WARNINGS LIMIT 1', 'SELECT DATABASE()'],
  },
  {
    name: 'warnings beside variables that have to be read, and with characters beyond ASCII',
    setUp: ['SET @x = 1', `SELECT CAST('äx' AS SIGNED) INTO @y`],
    probe: ['SHOW WARNINGS', 'SHOW WARNINGS', 'SELECT @@warning_count', 'SHOW WARNINGS'],
  },
  {
    name: 'an error',
    setUp: ['SELECT * FROM missing'],
    probe: ['SHOW ERRORS', 'SHOW WARNINGS', 'SELECT @@error_count AS errors', 'SELECT DATABASE()'],
  },
  {
    name: 'ROW_COUNT()',
    setUp: ['INSERT INTO t (n) VALUES (5), (6)'],
    probe: ['SELECT ROW_COUNT() AS n', 'SELECT ROW_COUNT()'],
  },
  { name: 'ROW_COUNT() after rows', setUp: ['SELECT * FROM whoami'], probe: ['select row_count() `n`;'] },
  {
    name: 'FOUND_ROWS()',
    setUp: ['SELECT SQL_CALC_FOUND_ROWS * FROM information_schema.collations LIMIT 1'],
    probe: ['SELECT FOUND_ROWS()', 'SELECT FOUND_ROWS()'],
  },
];

/** Rows, or the error. */
async function outcome(connection: Connection, sql: string): Promise<unknown> {
  return rowsOf(connection, sql).then(
    (rows) => JSON.parse(JSON.stringify(rows, (key, value: unknown) => (key === 'insertId' ? undefined : value))),
    (error: { errno?: number; message?: string }) => ({ errno: error.errno, message: error.message }),
  );
}

for (const prepare of [true, false]) {
  describe(`a moved session is like one that never moved, ${prepare ? 'prepared ahead' : 'at the switch'}`, () => {
    const moved: Connection[] = [];
    const stayed: Connection[] = [];

    beforeAll(async () => {
      for (const { setUp, options } of CASES) {
        moved.push(await client(proxy.port, options));
        stayed.push(await client(target.port, options));
        for (const sql of setUp) {
          await outcome(moved.at(-1) as Connection, sql);
          await outcome(stayed.at(-1) as Connection, sql);
        }
      }
      if (prepare) expect((await proxy.prepare('primary', 'target')).failures).toEqual([]);
      await proxy.switchTo('target', { prepare: false });
    });

    afterAll(async () => {
      for (const connection of [...moved, ...stayed]) connection.destroy();
      await proxy.switchTo('source');
    });

    for (const [index, { name, probe }] of CASES.entries()) {
      test(name, async () => {
        for (const sql of probe) {
          const expected = await outcome(stayed[index] as Connection, sql);
          expect([sql, await outcome(moved[index] as Connection, sql)]).toEqual([sql, expected]);
        }
        await using root = await direct(target);
        await root.query('DELETE FROM app.t');
      });
    }

    test('every one of them was served by the target in the end', async () => {
      const left = (await proxy.sessions()).filter(({ side, state }) => side === 'source' && state !== 'closing');
      expect(left).toEqual([]);
    });
  });
}

describe('what pins a session', () => {
  /** What takes the pin, the reason shown, and what releases it. */
  const PINS: [string[], string, string[]][] = [
    [['CREATE TEMPORARY TABLE scratch (a INT)'], 'temporary table app.scratch', ['DROP TABLE app.scratch']],
    [
      ['CREATE TEMPORARY TABLE other.scratch (a INT)', 'CREATE TEMPORARY TABLE IF NOT EXISTS other.scratch (a INT)'],
      'temporary table other.scratch',
      ['DROP TABLE IF EXISTS scratch', 'USE other', 'DROP TEMPORARY TABLE scratch'],
    ],
    [[`SELECT GET_LOCK('mine', 1)`, `SELECT GET_LOCK('mine', 1)`], 'user lock mine', [`DO RELEASE_ALL_LOCKS()`]],
    [['LOCK TABLES whoami READ'], 'LOCK TABLES', ['UNLOCK TABLES']],
    [['LOCK TABLES whoami READ'], 'LOCK TABLES', ['START TRANSACTION', 'COMMIT']],
    [['FLUSH TABLES t WITH READ LOCK'], 'FLUSH TABLES WITH READ LOCK', ['UNLOCK TABLES']],
    [['HANDLER whoami OPEN AS h', 'HANDLER h READ FIRST'], 'HANDLER h', ['HANDLER h CLOSE']],
    [[`XA START 'a'`, `XA END 'a'`], 'XA transaction', [`XA ROLLBACK 'a'`]],
    [['SET autocommit = 0', 'SELECT * FROM whoami'], 'open transaction', ['ROLLBACK']],
    [
      [`SET @sql = 'CREATE TEMPORARY TABLE made (a INT)'`, 'PREPARE s FROM @sql', 'EXECUTE s'],
      'temporary table app.made',
      ['DROP TABLE made'],
    ],
  ];

  test('each is named, holds the drain back, and is gone with its reason', async () => {
    await using stack = new AsyncDisposableStack();
    const connections: Connection[] = [];
    for (const [take] of PINS) {
      const connection = stack.use(await client(proxy.port));
      for (const sql of take) await connection.query(sql);
      connections.push(connection);
    }
    const epoch = proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 });
    const ack = await proxy.acknowledged(epoch);
    expect(ack.undrained.flatMap(({ reasons }) => reasons.slice(-1)).sort()).toEqual(
      PINS.map(([, reason]) => reason).sort(),
    );
    for (const [index, [, , release]] of PINS.entries()) {
      for (const sql of release) await (connections[index] as Connection).query(sql);
    }
    await proxy.acknowledged(epoch, 'drained');
    proxy.push({ hold: 'none', deadlineMs: null });
  });

  test('the global read lock, which the begin of a transaction leaves in place, and the lock for backups', async () => {
    await using connection = await client(proxy.port);
    await connection.query('FLUSH TABLES WITH READ LOCK');
    await connection.query('BEGIN');
    await connection.query('COMMIT');
    expect((await proxy.sessions())[0]?.pins).toEqual(['FLUSH TABLES WITH READ LOCK']);
    await connection.query('UNLOCK TABLES');
    expect((await proxy.sessions())[0]?.pins).toEqual([]);
    await connection.query('LOCK INSTANCE FOR BACKUP');
    expect((await proxy.sessions())[0]?.pins).toEqual(['LOCK INSTANCE']);
    await connection.query('UNLOCK INSTANCE');
    expect((await proxy.sessions())[0]?.pins).toEqual([]);
  });
});

describe('KILL', () => {
  const isSleeping = async (server: RunningServer) => {
    await using root = await direct(server);
    const rows = await rowsOf(
      root,
      `SELECT COUNT(*) AS n FROM performance_schema.processlist WHERE info LIKE 'SELECT SLEEP%'`,
    );
    return rows[0]?.['n'] === 1;
  };

  test('by the id of the greeting, from another worker, before and after a move', async () => {
    await using other = await ProxyHarness.start({ source, target });
    await using killer = await client(other.port);
    await using victim = await client(proxy.port);
    for (const side of ['source', 'target'] as const) {
      if (side === 'target') await proxy.switchTo('target');
      const sleeping = rowsOf(victim, 'SELECT SLEEP(60) AS interrupted');
      await expect.poll(async () => isSleeping(side === 'source' ? source : target)).toBe(true);
      await killer.query(`KILL QUERY ${victim.threadId}`);
      expect(await sleeping).toEqual([{ interrupted: 1 }]);
    }
    const lost = errorOf(victim.query('SELECT SLEEP(60)'));
    await expect.poll(async () => isSleeping(target)).toBe(true);
    await killer.query(`/* away */ kill connection ${victim.threadId};`);
    expect((await lost).message).toMatch(/lost|closed/i);
    expect(await errorOf(killer.query(`KILL ${victim.threadId}`))).toMatchObject({ errno: 1094 });
    await proxy.switchTo('source');
  });

  test('by what CONNECTION_ID() answered before a move, and by what it answers after it', async () => {
    await using victim = await client(proxy.port);
    await using killer = await client(proxy.port);
    const before = (await rowsOf(victim, 'SELECT CONNECTION_ID() AS id'))[0]?.['id'];
    await proxy.switchTo('target');
    const after = (await rowsOf(victim, 'SELECT CONNECTION_ID() AS id'))[0]?.['id'];
    for (const id of [after, before]) {
      const sleeping = rowsOf(victim, 'SELECT SLEEP(60) AS interrupted');
      await expect.poll(async () => isSleeping(target)).toBe(true);
      await killer.query(`KILL QUERY ${id}`);
      expect(await sleeping).toEqual([{ interrupted: 1 }]);
    }
    await proxy.switchTo('source');
  });

  test('COM_PROCESS_KILL, and ids that nobody has', async () => {
    await using victim = await client(proxy.port);
    await using killer = await client(proxy.port);
    const { stream } = (killer as unknown as { connection: { stream: Socket } }).connection;
    stream.removeAllListeners('data');
    const raw = new MessageStream(stream, { maxBytes: 1000 });
    const kill = async (id: number) => {
      const command = Buffer.alloc(5, 0x0c);
      command.writeUInt32LE(id, 1);
      raw.writeCommand(command);
      return raw.next();
    };
    const lost = errorOf(victim.query('SELECT SLEEP(60)'));
    await expect.poll(async () => isSleeping(source)).toBe(true);
    expect((await kill(victim.threadId ?? 0))[0]).toBe(0);
    expect((await lost).message).toMatch(/lost|closed/i);
    for (const id of [victim.threadId ?? 0, 0x7fff_ffff, 12_345_678]) {
      expect(parseErr(await kill(id)).code).toBe(1094);
    }
  });
});
