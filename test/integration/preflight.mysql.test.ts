import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  importOptionsSchema,
  importRequestSchema,
  type Finding,
  type ServerDefinition,
  type ValidationReport,
} from '../../engine/api.ts';
import { checkVersion } from '../../engine/preflight/check-servers.ts';
import { FINDINGS, type FindingCode } from '../../engine/preflight/finding-table.ts';
import { viewServer } from '../../engine/preflight/server-view.ts';
import { validateImport, type TargetedRequest } from '../../engine/preflight/validate-import.ts';
import { bytesOf, ServerConnection } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { definitionOf } from '../support/stream-fixture.ts';

let source: RunningServer;
let target: RunningServer;
let mariadb: RunningServer;
/** Codes that a real server was made to answer; the last test looks for the ones that none was. */
const provoked = new Set<string>();

beforeAll(async () => {
  [source, target, mariadb] = await Promise.all([
    startServer({ flavor: 'mysql-9.7', role: 'source' }),
    startServer({ flavor: 'mysql-9.7', role: 'target' }),
    startServer({
      flavor: 'mariadb-11.8',
      role: 'source',
      options: ['--lower-case-table-names=1', '--binlog-ignore-db=shop'],
    }),
  ]);
  await run(source, ...SHOP);
});

afterAll(async () => {
  for (const server of [source, target, mariadb]) await server[Symbol.asyncDispose]();
});

const SHOP = [
  'CREATE DATABASE shop',
  'CREATE TABLE shop.customer (id INT PRIMARY KEY, name VARCHAR(40)) ENGINE=InnoDB',
  'CREATE TABLE shop.`order` (id INT PRIMARY KEY, customer_id INT NOT NULL) ENGINE=InnoDB',
];

async function run(server: RunningServer, ...statements: string[]): Promise<void> {
  await using connection = await ServerConnection.open(definitionOf(server), {
    session: ["SET SESSION collation_connection = 'utf8mb4_general_ci'"],
  });
  for (const statement of statements) await connection.write(bytesOf(statement));
}

async function validate(changes: Partial<TargetedRequest> = {}): Promise<ValidationReport> {
  const request = importRequestSchema.parse({
    id: 'x',
    database: 'shop',
    source: definitionOf(source),
    target: definitionOf(target),
    ...changes,
  });
  const report = await validateImport({ ...request, target: request.target ?? definitionOf(target) });
  for (const { code } of report.findings) provoked.add(code);
  return report;
}

async function findingOf(code: FindingCode, changes: Partial<TargetedRequest> = {}): Promise<Finding> {
  const { findings } = await validate(changes);
  const found = findings.find((finding) => finding.code === code);
  if (found === undefined) throw new Error(`no ${code} among ${findings.map((finding) => finding.code).join(', ')}`);
  return found;
}

/** `code` shows while `setup` is in force, and neither before nor after. */
async function provoke(
  code: FindingCode,
  server: RunningServer,
  setup: string[],
  undo: string[],
  changes: Partial<TargetedRequest> = {},
): Promise<Finding> {
  const codes = async () => (await validate(changes)).findings.map((finding) => finding.code);
  expect(await codes()).not.toContain(code);
  await run(server, ...setup);
  try {
    return await findingOf(code, changes);
  } finally {
    await run(server, ...undo);
    expect(await codes()).not.toContain(code);
  }
}

test('a clean pair is ok, with its facts and tables', async () => {
  const report = await validate();
  expect(report.findings.map(({ code }) => code)).toEqual(['STORAGE_NEEDED']);
  expect(report.ok).toBe(true);
  expect(report.source?.flavor).toBe('mysql');
  expect(report.tables.map(({ name }) => name)).toEqual(['customer', 'order']);
});

describe('reaching the servers', () => {
  test('nobody listens, or the password is wrong', async () => {
    const closed: ServerDefinition = { ...definitionOf(source), port: 1 };
    expect(await findingOf('SERVER_UNREACHABLE', { source: closed })).toMatchObject({
      severity: 'error',
      skippable: false,
      side: 'source',
    });
    const report = await validate({ target: { ...definitionOf(target), password: 'wrong' } });
    expect(report.ok).toBe(false);
    expect(report.target).toBeNull();
    expect(report.tables).toHaveLength(2);
    expect(report.findings).toContainEqual(expect.objectContaining({ code: 'LOGIN_REFUSED', side: 'target' }));
  });

  test('the replica host', async () => {
    expect(await findingOf('REPLICA_HOST_UNREACHABLE', { replicaHost: { host: '127.0.0.1', port: 1 } })).toMatchObject({
      subject: '127.0.0.1:1',
    });
  });

  test('the same server twice', async () => {
    const report = await validate({ target: definitionOf(source) });
    expect(report.findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['SAME_SERVER', 'TARGET_TABLE_EXISTS']),
    );
    expect(report.ok).toBe(false);
  });

  test('MariaDB as the target; versions that are too old or go back', async () => {
    expect(await findingOf('TARGET_NOT_MYSQL', { target: definitionOf(mariadb) })).toMatchObject({ side: 'target' });
    await using connection = await ServerConnection.open(definitionOf(source));
    const view = await viewServer('source', connection);
    const old = { ...view, version: { major: 5, minor: 6, patch: 24 } };
    expect(checkVersion(old)).toMatchObject([{ code: 'VERSION_TOO_OLD', skippable: false }]);
    const olderTarget = { ...view, side: 'target' as const, version: { major: 5, minor: 7, patch: 44 } };
    expect(checkVersion(olderTarget)).toMatchObject([{ code: 'VERSION_UNSUPPORTED', skippable: true }]);
    expect(checkVersion(view)).toEqual([]);
  });
});

describe('settings of the source', () => {
  test.each<[FindingCode, string, string]>([
    ['BINLOG_FORMAT', "SET GLOBAL binlog_format = 'MIXED'", "SET GLOBAL binlog_format = 'ROW'"],
    ['BINLOG_ROW_IMAGE', "SET GLOBAL binlog_row_image = 'MINIMAL'", "SET GLOBAL binlog_row_image = 'FULL'"],
    [
      'BINLOG_PARTIAL_JSON',
      "SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'",
      "SET GLOBAL binlog_row_value_options = ''",
    ],
    [
      'BINLOG_RETENTION',
      'SET GLOBAL binlog_expire_logs_seconds = 172800',
      'SET GLOBAL binlog_expire_logs_seconds = 604800',
    ],
    [
      'BINLOG_COMPRESSED',
      'SET GLOBAL binlog_transaction_compression = ON',
      'SET GLOBAL binlog_transaction_compression = OFF',
    ],
    ['GTID_MODE_OFF', 'SET GLOBAL gtid_mode = ON_PERMISSIVE', 'SET GLOBAL gtid_mode = ON'],
    ['BINLOG_NOT_DURABLE', 'SET GLOBAL sync_binlog = 0', 'SET GLOBAL sync_binlog = 1'],
    ['TIME_ZONE_DIFFERENT', "SET GLOBAL time_zone = '+05:30'", "SET GLOBAL time_zone = 'SYSTEM'"],
    [
      'SESSION_DEFAULTS_DIFFERENT',
      "SET GLOBAL transaction_isolation = 'READ-COMMITTED'",
      'SET GLOBAL transaction_isolation = DEFAULT',
    ],
    ['SQL_MODE_DIFFERENT', "SET GLOBAL sql_mode = ''", 'SET GLOBAL sql_mode = DEFAULT'],
  ])('%s', async (code, setup, undo) => {
    expect(await provoke(code, source, [setup], [undo])).toMatchObject({ code, severity: FINDINGS[code].severity });
  });

  test('the log of a target that is followed from the beginning is to be durable, too; MariaDB has two ways', async () => {
    const options = importOptionsSchema.parse({ reverse: 'always' });
    const [setup, undo] = ['SET GLOBAL sync_binlog = 0', 'SET GLOBAL sync_binlog = 1'];
    const found = await provoke('BINLOG_NOT_DURABLE', target, [setup], [undo], { options });
    expect(found).toMatchObject({ side: 'target', severity: 'warning', message: 'sync_binlog is 0' });
    // Followed from the switch on: the switch asks.
    await run(target, setup);
    expect((await validate()).findings.map(({ code }) => code)).not.toContain('BINLOG_NOT_DURABLE');
    await run(target, undo);

    const changes = { source: definitionOf(mariadb) };
    await run(mariadb, undo, 'SET GLOBAL innodb_flush_log_at_trx_commit = 3');
    expect((await validate(changes)).findings.map(({ code }) => code)).not.toContain('BINLOG_NOT_DURABLE');
    await run(mariadb, 'SET GLOBAL innodb_flush_log_at_trx_commit = 2');
    expect(await findingOf('BINLOG_NOT_DURABLE', changes)).toMatchObject({ subject: 'innodb_flush_log_at_trx_commit' });
  });

  test('a prepared XA transaction', async () => {
    const setup = ["XA START 'p'", "INSERT INTO shop.customer VALUES (1, 'x')", "XA END 'p'", "XA PREPARE 'p'"];
    await provoke('XA_PREPARED', source, setup, ["XA ROLLBACK 'p'"]);
  });

  test('a stream of another import that is applied to the source', async () => {
    const setup = [
      'CREATE DATABASE _switchyard',
      'CREATE TABLE _switchyard.progress (import_id VARCHAR(63), direction VARCHAR(8))',
      "INSERT INTO _switchyard.progress VALUES ('earlier', 'forward')",
    ];
    await provoke('SOURCE_WRITTEN_BY_SWITCHYARD', source, setup, ['DROP DATABASE _switchyard']);
  });

  test('settings of the target', async () => {
    await provoke('LOCAL_INFILE_OFF', target, ['SET GLOBAL local_infile = OFF'], ['SET GLOBAL local_infile = ON']);
    const { message } = await provoke(
      'MAX_ALLOWED_PACKET',
      target,
      ['SET GLOBAL max_allowed_packet = 1048576'],
      ['SET GLOBAL max_allowed_packet = 1073741824'],
    );
    expect(message).toContain('1073741824 on the source and 1048576 on the target');
  });

  test('a source without binary log, with filters, with other rules for names', async () => {
    await run(mariadb, ...SHOP);
    const filtered = (await validate({ source: definitionOf(mariadb) })).findings;
    expect(filtered.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['BINLOG_FILTERED', 'LOWER_CASE_TABLE_NAMES', 'COLLATION_TRANSLATED']),
    );
    expect(await findingOf('SCHEMA_UNKNOWN', { source: definitionOf(mariadb), database: 'Shop' })).toMatchObject({
      message: 'the source calls the database shop',
    });
    await using silent = await startServer({ flavor: 'mariadb-11.8', options: ['--skip-log-bin'] });
    await run(silent, ...SHOP);
    expect(await findingOf('BINLOG_OFF', { source: definitionOf(silent) })).toMatchObject({
      severity: 'error',
      skippable: false,
    });
  });
});

test('a replica that does not log what it receives', async () => {
  await using replica = await startServer({ flavor: 'mariadb-11.8', options: ['--log-slave-updates=OFF'] });
  await run(replica, ...SHOP);
  const changes = { source: definitionOf(replica) };
  await provoke(
    'REPLICATED_FROM_ELSEWHERE',
    replica,
    ["CHANGE MASTER 'upstream' TO MASTER_HOST='127.0.0.1'"],
    ["RESET SLAVE 'upstream' ALL"],
    changes,
  );
  await provoke(
    'REPLICATED_NOT_LOGGED',
    replica,
    ["CHANGE MASTER 'upstream' TO MASTER_HOST='127.0.0.1'"],
    ["RESET SLAVE 'upstream' ALL"],
    changes,
  );
});

describe('grants, one by one', () => {
  const user = (server: RunningServer): ServerDefinition => ({ ...definitionOf(server), user: 'sy', password: 'sy' });
  const missing = (report: ValidationReport) =>
    report.findings.filter(({ code }) => code === 'GRANT_MISSING').map(({ side, subject }) => `${side} ${subject}`);

  beforeAll(async () => {
    for (const server of [source, target])
      await run(server, "CREATE USER sy@'%' IDENTIFIED BY 'sy'", "GRANT SHOW DATABASES ON *.* TO sy@'%'");
  });

  test('each fix, when run, takes its finding away until none is left', async () => {
    const changes = { source: user(source), target: user(target) };
    // Without SELECT the schema has no tables to see: grant that first, as the first report says.
    const first = await validate(changes);
    expect(missing(first)).toEqual(
      expect.arrayContaining(['source SELECT', 'source REPLICATION SLAVE', 'target CREATE']),
    );
    expect(first.findings.find(({ subject }) => subject === 'REPLICATION SLAVE')?.fix).toBe(
      "GRANT REPLICATION SLAVE ON *.* TO 'sy'@'%';",
    );
    expect(first.findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['GRANT_FENCE_MISSING', 'GRANT_PROCESS_MISSING', 'GRANT_ALTER_MISSING']),
    );
    for (const { side, fix, code } of first.findings) {
      if (!['GRANT_MISSING', 'GRANT_PROCESS_MISSING', 'GRANT_ALTER_MISSING'].includes(code)) continue;
      await run(side === 'source' ? source : target, fix);
    }
    const second = await validate(changes);
    expect(missing(second)).toEqual([]);
    expect(second.findings.filter(({ code }) => code === 'GRANT_FENCE_MISSING')).toHaveLength(2);
    await run(source, "GRANT TRIGGER ON shop.* TO sy@'%'");
    await run(target, "GRANT CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN ON *.* TO sy@'%'");
    for (const { side, fix } of second.findings.filter(({ code }) => code === 'USERS_UNREADABLE'))
      await run(side === 'source' ? source : target, fix);
    const third = await validate(changes);
    // root, which the test itself uses.
    expect(third.findings.map(({ code }) => code)).toEqual(['USERS_SERVER_WIDE', 'STORAGE_NEEDED']);
    expect(third.ok).toBe(true);
  });

  test('accounts that are to be created need grants of their own', async () => {
    await run(source, "CREATE USER app@'%' IDENTIFIED BY 'app'", "GRANT SELECT ON shop.* TO app@'%'");
    const changes = { source: user(source), target: user(target) };
    const named = await validate(changes);
    expect(named.findings.find(({ code }) => code === 'USER_ABSENT')).toMatchObject({
      subject: "'app'@'%'",
      side: 'target',
    });
    const options = importOptionsSchema.parse({ users: 'create' });
    const lacking = (await validate({ ...changes, options })).findings.filter(
      ({ code }) => code === 'GRANT_USERS_MISSING',
    );
    expect(lacking.map(({ fix }) => fix)).toEqual([
      "GRANT CREATE USER ON *.* TO 'sy'@'%';",
      "GRANT ALL ON `shop`.* TO 'sy'@'%' WITH GRANT OPTION;",
    ]);
    for (const { fix } of lacking) await run(target, fix);
    const codes = (await validate({ ...changes, options })).findings.map(({ code }) => code);
    expect(codes.filter((code) => code.includes('USER'))).toEqual(['USERS_SERVER_WIDE']);
    expect(
      (await validate({ ...changes, options: importOptionsSchema.parse({ users: 'ignore' }) })).findings.map(
        ({ code }) => code,
      ),
    ).not.toContain('USERS_SERVER_WIDE');
    await run(source, "DROP USER app@'%'");
  });

  test('grants on patterns and through roles count', async () => {
    await run(
      source,
      "CREATE USER ro@'%' IDENTIFIED BY 'sy'",
      'CREATE ROLE mover',
      'GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO mover',
      'GRANT ALL ON `sh%`.* TO mover',
      'GRANT ALL ON `\\_switchyard`.* TO mover',
      "GRANT mover TO ro@'%'",
      "SET DEFAULT ROLE mover TO ro@'%'",
    );
    const report = await validate({ source: { ...definitionOf(source), user: 'ro', password: 'sy' } });
    expect(missing(report)).toEqual([]);
  });
});

describe('the schema', () => {
  test('unknown database, no tables, unknown table', async () => {
    expect(await findingOf('SCHEMA_UNKNOWN', { database: 'nowhere' })).toMatchObject({ subject: 'nowhere' });
    await run(source, 'CREATE DATABASE bare');
    await findingOf('NO_TABLES', { database: 'bare' });
    expect(await findingOf('TABLE_UNKNOWN', { tables: ['customer', 'nothing'] })).toMatchObject({ subject: 'nothing' });
  });

  test.each<[FindingCode, string[]]>([
    ['TABLE_WITHOUT_KEY', ['CREATE TABLE shop.t (a INT NOT NULL, b INT NULL, UNIQUE KEY (b), KEY (a))']],
    ['ENGINE_NOT_INNODB', ['CREATE TABLE shop.t (a INT PRIMARY KEY) ENGINE=MyISAM']],
    ['ENGINE_NOT_TRANSACTIONAL', ['CREATE TABLE shop.t (a INT PRIMARY KEY) ENGINE=MEMORY']],
    ['ENGINE_REMOTE', ['CREATE TABLE shop.t (a INT PRIMARY KEY) ENGINE=BLACKHOLE']],
    ['NAME_NOT_ASCII', ['CREATE TABLE shop.t (a INT PRIMARY KEY, `größe` INT)']],
    ['COLUMNS_GENERATED', ['CREATE TABLE shop.t (a INT PRIMARY KEY, b INT AS (a + 1))']],
    [
      'GENERATED_FROM_TIMESTAMP',
      ['CREATE TABLE shop.t (a INT PRIMARY KEY, b TIMESTAMP NULL, c DATE AS (CAST(b AS DATE)) STORED)'],
    ],
    ['COLUMNS_INVISIBLE', ['CREATE TABLE shop.t (a INT PRIMARY KEY, b INT INVISIBLE)']],
    ['PARTITIONED', ["CREATE TABLE shop.t (a INT PRIMARY KEY COMMENT 'x') PARTITION BY HASH (a) PARTITIONS 2"]],
    [
      'PARTITIONED_BY_PADDED_TEXT',
      [
        'CREATE TABLE shop.t (a INT, b VARCHAR(9) COLLATE utf8mb4_unicode_520_ci, PRIMARY KEY (a, b)) PARTITION BY KEY (b) PARTITIONS 2',
      ],
    ],
    ['FOREIGN_KEYS', ['CREATE TABLE shop.t (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES shop.customer (id))']],
  ])('%s', async (code, setup) => {
    await provoke(code, source, setup, ['DROP TABLE shop.t']);
  });

  test.each([
    'PARTITION BY KEY (b) PARTITIONS 2',
    'PARTITION BY KEY () PARTITIONS 2',
    'PARTITION BY KEY (c) PARTITIONS 2',
  ])('partitions by KEY over other text are no finding: %s', async (partitions) => {
    const columns = `a INT, b VARCHAR(9) COLLATE utf8mb4_0900_ai_ci, c VARCHAR(9) COLLATE utf8mb4_bin, d VARCHAR(9) COLLATE utf8mb4_unicode_ci`;
    await run(source, `CREATE TABLE shop.t (${columns}, PRIMARY KEY (a, b, c)) ${partitions}`);
    const report = await validate({});
    await run(source, 'DROP TABLE shop.t');
    const codes = report.findings.filter(({ subject }) => subject === 't').map(({ code }) => code);
    expect(codes).toEqual(['PARTITIONED']);
  });

  test.each<[FindingCode, string, string, string]>([
    ['VIEWS', 'CREATE VIEW shop.v AS SELECT 1 AS a', 'DROP VIEW shop.v', 'v'],
    [
      'TRIGGERS',
      'CREATE TRIGGER shop.g BEFORE INSERT ON shop.customer FOR EACH ROW SET NEW.id = NEW.id',
      'DROP TRIGGER shop.g',
      'g on customer',
    ],
    ['ROUTINES', 'CREATE PROCEDURE shop.p() SELECT 1', 'DROP PROCEDURE shop.p', 'procedure p'],
    ['EVENTS', 'CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1', 'DROP EVENT shop.e', 'e (disabled)'],
  ])('%s', async (code, setup, undo, message) => {
    expect(await provoke(code, source, [setup], [undo])).toMatchObject({ message });
  });

  test('code of other databases that names imported tables, itself or through other code', async () => {
    const setup = [
      'CREATE DATABASE audit',
      'CREATE TABLE audit.customer (id INT PRIMARY KEY)',
      'CREATE TABLE audit.note (id INT PRIMARY KEY)',
      'CREATE TRIGGER audit.g AFTER INSERT ON audit.note FOR EACH ROW INSERT INTO shop.customer (id) VALUES (NEW.id)',
      'CREATE VIEW audit.v AS SELECT id FROM audit.note',
      'CREATE VIEW audit.own AS SELECT id FROM audit.customer',
      'CREATE FUNCTION audit.f() RETURNS INT READS SQL DATA RETURN (SELECT MAX(id) FROM v)',
    ];
    const { message } = await provoke('OUTSIDE_OBJECTS', source, setup, ['DROP DATABASE audit']);
    expect(message).toBe('trigger g on audit.note, view audit.v, function audit.f');
  });

  test('reverse: always with foreign keys that cascade', async () => {
    await run(
      source,
      'CREATE TABLE shop.t (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES shop.customer (id) ON DELETE CASCADE)',
    );
    try {
      const options = importOptionsSchema.parse({ reverse: 'always' });
      const { message } = await findingOf('REVERSE_ALWAYS_IMPOSSIBLE', { options });
      expect(message).toContain('(t → customer)');
      const report = await validate({ options: importOptionsSchema.parse({}) });
      expect(report.findings.map(({ code }) => code)).not.toContain('REVERSE_ALWAYS_IMPOSSIBLE');
    } finally {
      await run(source, 'DROP TABLE shop.t');
    }
  });

  test('a table without transactions: nothing can be written back to it, so the import must not have a way back', async () => {
    await run(source, 'CREATE TABLE shop.t (a INT PRIMARY KEY) ENGINE=MyISAM');
    try {
      const report = await validate({ options: importOptionsSchema.parse({ skipValidationErrors: true }) });
      expect(report.ok).toBe(false);
      expect(report.findings.find(({ code }) => code === 'ENGINE_NOT_TRANSACTIONAL')).toMatchObject({ subject: 't' });
      const oneWay = await validate({ options: importOptionsSchema.parse({ reverse: 'off' }) });
      expect(oneWay.findings.map(({ code }) => code)).not.toContain('ENGINE_NOT_TRANSACTIONAL');
      expect(oneWay.ok).toBe(true);
    } finally {
      await run(source, 'DROP TABLE shop.t');
    }
  });

  test('a foreign key to a table that stays behind', async () => {
    await run(source, 'CREATE TABLE shop.child (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES shop.customer (id))');
    try {
      expect(await findingOf('FOREIGN_KEY_OUTSIDE', { tables: ['child'] })).toMatchObject({ severity: 'error' });
      expect((await validate()).findings.map(({ code }) => code)).not.toContain('FOREIGN_KEY_OUTSIDE');
    } finally {
      await run(source, 'DROP TABLE shop.child');
    }
  });

  test("MariaDB's own: cascades that are not logged, types, options, sequences, versioning", async () => {
    await run(
      mariadb,
      'CREATE DATABASE own',
      'CREATE TABLE own.a (id UUID PRIMARY KEY DEFAULT uuid(), n INT) ENGINE=InnoDB',
      'CREATE TABLE own.b (id INT PRIMARY KEY, a UUID, FOREIGN KEY (a) REFERENCES own.a (id) ON DELETE CASCADE) ENGINE=InnoDB',
      'CREATE TABLE own.tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES own.tree (id) ON DELETE CASCADE) ENGINE=InnoDB',
      'CREATE TABLE own.ring (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES own.ring (id) ON DELETE SET NULL) ENGINE=InnoDB',
      'CREATE TABLE own.c (id INT PRIMARY KEY) ENGINE=Aria PAGE_CHECKSUM=1',
      'CREATE SEQUENCE own.s',
      'CREATE TABLE own.d (id INT PRIMARY KEY) WITH SYSTEM VERSIONING',
      'CREATE TABLE own.e (id INT PRIMARY KEY DEFAULT (NEXT VALUE FOR own.s))',
    );
    const report = await validate({ source: definitionOf(mariadb), database: 'own' });
    const subjects = (code: FindingCode) =>
      report.findings.filter((finding) => finding.code === code).map(({ subject, message }) => subject ?? message);
    expect(subjects('FOREIGN_KEY_CASCADES')).toHaveLength(1);
    expect(subjects('FOREIGN_KEY_TO_ITSELF')).toEqual([
      expect.stringMatching(/^tree_ibfk_1 [^,]*, on delete cascade[^;]*$/),
    ]);
    expect(subjects('TYPE_TRANSLATED')).toEqual(['a', 'b']);
    expect(subjects('DEFINITION_REDUCED')).toEqual(['c']);
    expect(subjects('ENGINE_NOT_INNODB')).toEqual(['c']);
    expect(subjects('ENGINE_NOT_TRANSACTIONAL')).toEqual(['c']);
    expect(subjects('NOT_IMPORTABLE')).toEqual(['d (system versioned), s (sequence)']);
    expect(subjects('DDL_UNSUPPORTED')).toEqual(['e']);
  });
});

test('values of unique keys that the nearest collation of the target may merge, one of each kind', async () => {
  await run(
    mariadb,
    'CREATE DATABASE merged CHARACTER SET utf8mb4',
    'CREATE TABLE merged.hangul (k VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci PRIMARY KEY)',
    'CREATE TABLE merged.padded (id INT PRIMARY KEY, k VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_swedish_nopad_ci UNIQUE)',
    'CREATE TABLE merged.swedish (id INT PRIMARY KEY, k VARCHAR(9) COLLATE utf8mb4_uca1400_swedish_ai_ci UNIQUE)',
    'CREATE TABLE merged.harmless (id INT PRIMARY KEY, k VARCHAR(9) COLLATE utf8mb4_uca1400_ai_ci UNIQUE, n VARCHAR(9) COLLATE utf8mb4_uca1400_swedish_ai_ci)',
    "INSERT INTO merged.hangul VALUES ('㉮'), ('가')",
    "INSERT INTO merged.padded VALUES (1, 'a'), (2, 'a ')",
    "INSERT INTO merged.swedish VALUES (1, 'Ö'), (2, 'Ô')",
    "INSERT INTO merged.harmless VALUES (1, 'é', 'Ô'), (2, 'x ', NULL)",
  );
  const report = await validate({ source: definitionOf(mariadb), database: 'merged' });
  const found = report.findings.filter(({ code }) => code === 'COLLATION_MERGES_KEYS');
  expect(found.map(({ subject, message }) => [subject, /look at '(.*)'/.exec(message)?.[1]])).toEqual([
    ['hangul', '㉮'],
    ['padded', 'a '],
    ['swedish', 'Ô'],
  ]);
  // They are equal there indeed: the finding is no guess.
  await using there = await ServerConnection.open(definitionOf(target));
  const equal =
    "SELECT _utf8mb4'㉮' COLLATE utf8mb4_0900_ai_ci = _utf8mb4'가', _utf8mb4'Ö' COLLATE utf8mb4_sv_0900_ai_ci = _utf8mb4'Ô'";
  expect(await there.rows(bytesOf(equal))).toEqual([['1', '1']]);
});

describe('the target', () => {
  test('a table in the way, unless the import is being resumed', async () => {
    await run(
      target,
      'CREATE DATABASE shop',
      'CREATE TABLE shop.customer (id INT PRIMARY KEY)',
      'INSERT INTO shop.customer VALUES (1)',
    );
    try {
      expect(await findingOf('TARGET_TABLE_EXISTS')).toMatchObject({
        subject: 'customer',
        message: 'the target has shop.customer already, with rows',
      });
      const request = importRequestSchema.parse({ id: 'x', database: 'shop', source: definitionOf(source) });
      const resumed = await validateImport({ ...request, target: definitionOf(target) }, { resuming: true });
      expect(resumed.ok).toBe(true);
    } finally {
      await run(target, 'DROP DATABASE shop');
    }
  });

  test('skippable errors do not stop an import that skips them', async () => {
    await run(source, 'SET GLOBAL binlog_expire_logs_seconds = 3600');
    try {
      expect((await validate()).ok).toBe(false);
      const options = importRequestSchema.shape.options.parse({ skipValidationErrors: true });
      const skipped = await validate({ options });
      expect(skipped.ok).toBe(true);
      expect(skipped.findings.map(({ code }) => code)).toContain('BINLOG_RETENTION');
    } finally {
      await run(source, 'SET GLOBAL binlog_expire_logs_seconds = 604800');
    }
  });
});

test('every finding but those that need other servers, or come after the copy, was provoked', () => {
  const elsewhere = [
    'SERVER_CHECK_FAILED',
    'VERSION_UNSUPPORTED',
    'VERSION_TOO_OLD',
    'VERSION_DOWNGRADE',
    'OBJECT_NOT_CREATED',
    'USER_NOT_CREATED',
    'ROWS_REPAIRED',
  ];
  expect(Object.keys(FINDINGS).filter((code) => !provoked.has(code) && !elsewhere.includes(code))).toEqual([]);
});
