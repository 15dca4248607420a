import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../core/errors.ts';
import type { StreamPosition } from '../../core/gtid.ts';
import { DdlJournal } from '../../engine/ddl/ddl-journal.ts';
import { ddlHandler } from '../../engine/ddl/ddl-policy.ts';
import type { ReplicationOptions } from '../../engine/replication/replication-options.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { quoteText, ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { startServer } from '../../servers/start-server.ts';
import { SeededRandom } from '../property/seeded-random.ts';
import { definitionOf } from '../support/stream-fixture.ts';

/** Foreign keys of every kind over several levels, one to its own table, one that follows a changed key. */
const TABLES = [
  'CREATE TABLE a (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL, v INT, UNIQUE (code)) ENGINE=InnoDB',
  'CREATE TABLE b (id INT PRIMARY KEY, a INT NOT NULL, v INT, FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE) ENGINE=InnoDB',
  'CREATE TABLE c (id INT PRIMARY KEY, b INT, v INT, FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE) ENGINE=InnoDB',
  'CREATE TABLE n (id INT PRIMARY KEY, a INT, v INT, FOREIGN KEY (a) REFERENCES a (id) ON DELETE SET NULL) ENGINE=InnoDB',
  'CREATE TABLE t (id INT PRIMARY KEY, t INT, v INT, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE) ENGINE=InnoDB',
  'CREATE TABLE u (id INT PRIMARY KEY, code VARCHAR(20), v INT, FOREIGN KEY (code) REFERENCES a (code) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB',
];
const NAMES = ['a', 'b', 'c', 'n', 't', 'u'];
const SEED = 20261128;

interface World {
  flavor: 'mysql' | 'mariadb';
  source: ServerConnection;
  target: ServerConnection;
}

describe.each<[string, Flavor, string[]]>([
  ['mysql-9.7 whose InnoDB cascades', 'mysql-9.7', ['--innodb-native-foreign-keys=ON']],
  ['mariadb-10.11', 'mariadb-10.11', []],
  ['mariadb-11.8', 'mariadb-11.8', []],
])('a source that does not log what its foreign keys change: %s', (_name, flavor, options) => {
  const stack = new AsyncDisposableStack();
  let world: World;

  beforeAll(async () => {
    const open = async (of: Flavor, role: 'source' | 'target', more: string[]) => {
      const server = stack.use(await startServer({ flavor: of, role, options: more }));
      return stack.use(await ServerConnection.open(definitionOf(server), { multiStatements: true }));
    };
    const source = await open(flavor, 'source', options);
    const target = await open('mysql-9.7', 'target', []);
    await createSidecar(target);
    world = { flavor: flavor.startsWith('mysql') ? 'mysql' : 'mariadb', source, target };
  });
  afterAll(async () => {
    await stack.disposeAsync();
  });

  async function database(name: string): Promise<void> {
    for (const connection of [world.source, world.target]) {
      await connection.write(`CREATE DATABASE ${name}`);
      await connection.write(`USE ${name}`);
      for (const ddl of TABLES) await connection.write(ddl);
    }
    await new ProgressRow(name, 'forward').reset(world.target, (await position()).toString());
  }

  async function position(): Promise<StreamPosition> {
    return await executedPosition(world.source, world.flavor);
  }

  /** Applies what the source has now. */
  async function applyAll(name: string, more: Partial<ReplicationOptions>): Promise<void> {
    const replication = new Replication(
      {
        importId: name,
        direction: 'forward',
        origin: world.source.server,
        destination: world.target.server,
        flavor: world.flavor,
        database: name,
        loadTables: async () => inspectTables(world.source, name, 'all'),
        onDdl: async ({ ddl }) => {
          throw new AppError('DDL_STOPPED', ddl.sql);
        },
        ...more,
      },
      new AbortController().signal,
    );
    try {
      await replication.waitFor(await position(), AbortSignal.timeout(60_000));
    } finally {
      await replication.stop();
    }
  }

  async function expectEqual(name: string): Promise<void> {
    for (const table of NAMES) {
      const rowsOf = async (connection: ServerConnection) =>
        connection.rows(`SELECT * FROM ${name}.${table} ORDER BY id`);
      expect(await rowsOf(world.target), table).toEqual(await rowsOf(world.source));
    }
  }

  test('every change is carried on by the foreign keys of the target, in its place', async () => {
    await database('followed');
    const random = new SeededRandom(SEED);
    await world.source.write('USE followed');
    for (let round = 0; round < 60; round += 1) {
      await world.source.write('BEGIN');
      const statements = 1 + below(random, 6);
      for (let left = statements; left > 0; left -= 1) await attempt(world.source, anyChange(random, 12));
      await world.source.write('COMMIT');
    }
    expect(await count(world.source, 'followed')).toBeGreaterThan(10);
    await applyAll('followed', { exactFrom: '' });
    await expectEqual('followed');
  });

  test('without checks at the source nothing follows there, and so not here', async () => {
    await database('unchecked');
    await world.source.batch([
      'USE unchecked',
      "INSERT INTO a VALUES (1, 'x', 0), (2, 'y', 0)",
      'INSERT INTO b VALUES (1, 1, 0), (2, 2, 0)',
      'INSERT INTO c VALUES (1, 1, 0), (2, 2, 0)',
      'SET foreign_key_checks=0',
      'DELETE FROM a WHERE id=1',
      "UPDATE a SET code='z' WHERE id=2",
      'SET foreign_key_checks=1',
      'DELETE FROM b WHERE id=2',
    ]);
    await applyAll('unchecked', { exactFrom: '' });
    await expectEqual('unchecked');
    expect(await world.target.rows('SELECT id FROM unchecked.c')).toEqual([['1']]);
  });

  test('rows that the copy read at different times: what was left behind is removed when all are of one time', async () => {
    await database('copied');
    const random = new SeededRandom(SEED + 1);
    const waiting = [...NAMES];
    await world.source.write('USE copied');
    for (let round = 0; round < 120; round += 1) {
      await attempt(world.source, freshChange(random, round));
      // The copy reads tables one after the other, while the source goes on.
      if (round > 30 && round % 12 === 0)
        await copyTable(world, 'copied', waiting.splice(below(random, waiting.length), 1)[0]);
    }
    expect(waiting).toEqual([]);
    // Such as a dump leaves behind that was loaded so: they are no remnants of the copy.
    await world.source.batch([
      'SET foreign_key_checks=0',
      ...['b', 'n', 't'].map((child) => `INSERT INTO ${child} VALUES (900001, 999999, 1)`),
      "INSERT INTO u VALUES (900001, 'nowhere', 1)",
      'INSERT INTO c VALUES (900001, 900001, 1), (900002, 999999, 1)',
      `INSERT INTO b VALUES ${many(910_000)}`,
      'SET foreign_key_checks=1',
    ]);
    const from = (await position()).toString();
    await world.target.batch([
      'SET foreign_key_checks=0',
      `INSERT INTO copied.b VALUES ${many(920_000)}`,
      'SET foreign_key_checks=1',
    ]);
    await attempt(world.source, 'DELETE FROM a ORDER BY id LIMIT 1');
    let settled = 0;
    const onSettled = async () => void (settled += 1);
    await applyAll('copied', { exactFrom: from, copiedUntil: from, cascades: { settled: false, onSettled } });
    await expectEqual('copied');
    expect(settled).toBe(1);
  });

  test('children without a parent that the source has: what became of them since is left to the stream', async () => {
    await database('since');
    const children = [
      'SET foreign_key_checks=0',
      'INSERT INTO since.b VALUES (1, 77, 1), (2, 77, 1), (3, 77, 1)',
      'INSERT INTO since.n VALUES (1, 77, 1), (2, 77, 1)',
      'INSERT INTO since.c VALUES (1, 2, 1)',
    ];
    await world.source.batch([...children, 'SET foreign_key_checks=1', 'USE since']);
    // Of a parent that was deleted while they were copied.
    const remnants = ['INSERT INTO since.b VALUES (4, 88, 1), (5, 88, 1)', 'INSERT INTO since.n VALUES (4, 88, 1)'];
    await world.target.batch([...children, ...remnants, 'SET foreign_key_checks=1']);
    await world.source.write('INSERT INTO n VALUES (4, NULL, 1)');
    const from = (await position()).toString();
    await new ProgressRow('since', 'forward').reset(world.target, from);
    await world.source.batch([
      "INSERT INTO a VALUES (77, 'x', 1), (88, 'y', 1)",
      'INSERT INTO b VALUES (4, 88, 2)',
      'DELETE FROM b WHERE id = 2',
      'UPDATE b SET id = 33 WHERE id = 3',
      'UPDATE n SET a = NULL WHERE id = 2',
    ]);
    await applyAll('since', {
      exactFrom: from,
      copiedUntil: from,
      cascades: { settled: false, onSettled: async () => {} },
    });
    await expectEqual('since');
    expect(await world.target.rows('SELECT id FROM since.b ORDER BY id')).toEqual([['1'], ['4'], ['33']]);
    expect(await world.target.rows('SELECT a FROM since.n ORDER BY id')).toEqual([['77'], [null], [null]]);
  });

  test.each(['followed', 'removed'])('SET NULL leaves columns with ON UPDATE as they are: %s', async (how) => {
    const name = `stamped_${how}`;
    await database(name);
    const stamped =
      "CREATE TABLE s (id INT PRIMARY KEY, a INT, at TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP, `d t` DATETIME(6) ON UPDATE CURRENT_TIMESTAMP(6), FOREIGN KEY (a) REFERENCES a (id) ON DELETE SET NULL) ENGINE=InnoDB";
    for (const connection of [world.source, world.target]) await connection.batch([`USE ${name}`, stamped]);
    await new ProgressRow(name, 'forward').reset(world.target, (await position()).toString());
    await world.source.batch([
      "INSERT INTO a VALUES (1, 'x', 0), (2, 'y', 0)",
      'INSERT INTO s (id, a) VALUES (1, 1), (2, 2)',
      'DELETE FROM a WHERE id = 1',
    ]);
    const until = (await position()).toString();
    const cascades = { settled: false, onSettled: async () => {} };
    await applyAll(name, how === 'removed' ? { exactFrom: until, copiedUntil: until, cascades } : { exactFrom: '' });
    const rowsOf = async (connection: ServerConnection) => connection.rows(`SELECT * FROM ${name}.s ORDER BY id`);
    expect(await rowsOf(world.target)).toEqual(await rowsOf(world.source));
    expect(await world.target.rows(`SELECT a FROM ${name}.s ORDER BY id`)).toEqual([[null], ['2']]);
  });

  test('a referenced key that changes during the copy stops it', async () => {
    await database('changed');
    await world.source.batch([
      'USE changed',
      "INSERT INTO a VALUES (1, 'x', 0)",
      "INSERT INTO u VALUES (1, 'x', 0)",
      "UPDATE a SET code='y'",
    ]);
    const from = (await position()).toString();
    const copying = applyAll('changed', {
      exactFrom: from,
      copiedUntil: from,
      cascades: { settled: false, onSettled: async () => {} },
    });
    await expect(copying).rejects.toMatchObject({ code: 'APPLY_CASCADE_WHILE_COPYING', details: { table: 'a' } });
  });

  test('foreign keys that come with DDL while the stream goes on are followed from there on', async () => {
    await database('later');
    const onDdl = ddlHandler({
      world: { log: () => {} },
      journal: new DdlJournal({
        origin: world.source.server,
        destination: world.target.server,
        importId: 'later',
        direction: 'forward',
      }),
      destination: 'target',
      policy: 'EXEC',
      decisionOn: () => undefined,
    });
    // Those that there are may not be what makes foreign keys followed at all.
    for (const connection of [world.source, world.target])
      await connection.batch(['USE later', 'DROP TABLE u, t, n, c, b, a']);
    await new ProgressRow('later', 'forward').reset(world.target, (await position()).toString());
    await world.source.batch([
      'CREATE TABLE p (id INT PRIMARY KEY, v INT) ENGINE=InnoDB',
      'CREATE TABLE old_child (id INT PRIMARY KEY, p INT) ENGINE=InnoDB',
      'INSERT INTO p VALUES (1, 0), (2, 0), (3, 0)',
      'INSERT INTO old_child VALUES (1, 1), (2, 2), (3, 3)',
    ]);
    const more = { exactFrom: '', allTables: true, onDdl };
    await applyAll('later', more);
    const rounds = [
      [
        'CREATE TABLE new_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB',
        'INSERT INTO new_child VALUES (1, 1), (2, 2)',
        'UPDATE p SET id=12 WHERE id=2',
        'DELETE FROM p WHERE id=1',
        'DELETE FROM old_child WHERE id IN (1, 2)',
      ],
      [
        'ALTER TABLE old_child ADD FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL',
        'CREATE TABLE grandchild (id INT PRIMARY KEY, n INT, FOREIGN KEY (n) REFERENCES new_child (id) ON DELETE CASCADE) ENGINE=InnoDB',
        'INSERT INTO grandchild VALUES (1, 2)',
        'DELETE FROM p',
      ],
    ];
    for (const statements of rounds) {
      await world.source.batch(statements);
      await applyAll('later', more);
      for (const name of ['p', 'old_child', 'new_child']) {
        const rowsOf = async (connection: ServerConnection) =>
          connection.rows(`SELECT * FROM later.${name} ORDER BY id`);
        expect(await rowsOf(world.target), name).toEqual(await rowsOf(world.source));
      }
    }
    expect(await world.target.rows('SELECT * FROM later.old_child')).toEqual([['3', null]]);
    expect(await world.target.rows('SELECT * FROM later.grandchild')).toEqual([]);
  });

  test('a child that the target alone lacks is told, not passed over', async () => {
    await database('missing');
    await world.source.batch(['USE missing', "INSERT INTO a VALUES (1, 'x', 0)", 'INSERT INTO b VALUES (1, 1, 0)']);
    await applyAll('missing', { exactFrom: '' });
    await world.target.write('DELETE FROM missing.a WHERE id=1');
    await world.source.write('DELETE FROM a WHERE id=1');
    await expect(applyAll('missing', { exactFrom: '' })).rejects.toMatchObject({
      code: 'APPLY_ROW_MISSING',
      details: { table: 'a' },
    });
  });
});

test('a source that logs what its foreign keys change: nothing is done twice', async () => {
  await using stack = new AsyncDisposableStack();
  const open = async (role: 'source' | 'target') =>
    stack.use(
      await ServerConnection.open(definitionOf(stack.use(await startServer({ flavor: 'mysql-9.7', role }))), {
        multiStatements: true,
      }),
    );
  const [source, target] = [await open('source'), await open('target')];
  await createSidecar(target);
  for (const connection of [source, target])
    await connection.batch(['CREATE DATABASE logged', 'USE logged', ...TABLES]);
  await new ProgressRow('logged', 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  await source.batch([
    "INSERT INTO a VALUES (1, 'x', 0)",
    'INSERT INTO b VALUES (1, 1, 0)',
    "INSERT INTO u VALUES (1, 'x', 0)",
    "UPDATE a SET code='y'",
    'DELETE FROM a',
  ]);
  const replication = new Replication(
    {
      importId: 'logged',
      direction: 'forward',
      origin: source.server,
      destination: target.server,
      flavor: 'mysql',
      database: 'logged',
      exactFrom: '',
      loadTables: async () => inspectTables(source, 'logged', 'all'),
      onDdl: async ({ ddl }) => {
        throw new AppError('DDL_STOPPED', ddl.sql);
      },
    },
    new AbortController().signal,
  );
  await replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(60_000));
  await replication.stop();
  for (const table of ['a', 'b', 'u']) expect(await target.rows(`SELECT * FROM logged.${table}`)).toEqual([]);
});

/** Keys from a small range, so that they come and go and come again. */
function anyChange(random: SeededRandom, range: number): string {
  const id = () => 1 + below(random, range);
  const orNull = () => (below(random, 4) === 0 ? 'NULL' : String(id()));
  const code = () => quoteText(`code ${below(random, range)}`);
  const changes = [
    `INSERT INTO a VALUES (${id()}, ${code()}, 0)`,
    `INSERT INTO b VALUES (${id()}, ${id()}, 0)`,
    `INSERT INTO c VALUES (${id()}, ${orNull()}, 0)`,
    `INSERT INTO n VALUES (${id()}, ${orNull()}, 0)`,
    `INSERT INTO t VALUES (${id()}, ${orNull()}, 0)`,
    `INSERT INTO u VALUES (${id()}, ${code()}, 0)`,
    `REPLACE INTO a VALUES (${id()}, ${code()}, 1)`,
    `UPDATE a SET code=${code()} WHERE id=${id()}`,
    `UPDATE b SET a=${id()}, v=v+1 WHERE id=${id()}`,
    `UPDATE t SET t=${orNull()} WHERE id=${id()}`,
    `UPDATE a SET v=v+1`,
    `DELETE FROM a WHERE id=${id()}`,
    `DELETE FROM b WHERE id=${id()}`,
    `DELETE FROM t WHERE id IN (${id()}, ${id()}, ${id()})`,
  ];
  return changes[below(random, changes.length)] ?? '';
}

/** No key that was deleted comes again (ADR 22), and no referenced one changes. */
function freshChange(random: SeededRandom, round: number): string {
  const known = () => Math.max(0, round - below(random, 40));
  const some = (table: string) => `(SELECT id FROM ${table} ORDER BY RAND(${below(random, 1e6)}) LIMIT 1)`;
  const changes = [
    `INSERT INTO a VALUES (${round}, 'code ${round}', 0)`,
    `INSERT INTO a VALUES (${round}, 'code ${round}', 0)`,
    `INSERT INTO b SELECT ${round}, id, 0 FROM a ORDER BY RAND(${round}) LIMIT 1`,
    `INSERT INTO b SELECT ${round}, id, 0 FROM a ORDER BY RAND(${round}) LIMIT 1`,
    `INSERT INTO c SELECT ${round}, id, 0 FROM b ORDER BY RAND(${round}) LIMIT 1`,
    `INSERT INTO n SELECT ${round}, id, 0 FROM a ORDER BY RAND(${round}) LIMIT 1`,
    `INSERT INTO t SELECT ${round}, ${round % 3 === 0 ? 'NULL' : some('t as x')}, 0`,
    `INSERT INTO u SELECT ${round}, code, 0 FROM a ORDER BY RAND(${round}) LIMIT 1`,
    `UPDATE b SET v=v+1 WHERE id=${known()}`,
    `UPDATE n SET v=v+1 WHERE id=${known()}`,
    `DELETE FROM a WHERE id=${known()}`,
    `DELETE FROM b WHERE id=${known()}`,
    `DELETE FROM t WHERE id=${known()}`,
  ];
  return changes[below(random, changes.length)] ?? '';
}

/** What the foreign keys or another key refuse is no change. */
async function attempt(connection: ServerConnection, sql: string): Promise<void> {
  await connection.write(sql).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'SERVER_ERROR') throw error;
    if (!/foreign key|Duplicate|1451|1452|1062/i.test(error.message)) throw error;
  });
}

async function copyTable({ source, target }: World, database: string, table: string | undefined): Promise<void> {
  if (table === undefined) return;
  const rows = await source.rows(`SELECT * FROM ${database}.${table}`);
  if (rows.length === 0) return;
  const values = rows.map((row) => `(${row.map((value) => (value === null ? 'NULL' : quoteText(value))).join(',')})`);
  await target.batch([
    'SET foreign_key_checks=0',
    `INSERT INTO ${database}.${table} VALUES ${values.join(',')}`,
    'SET foreign_key_checks=1',
  ]);
}

async function count(connection: ServerConnection, database: string): Promise<number> {
  let total = 0;
  for (const table of NAMES)
    total += Number((await connection.rows(`SELECT COUNT(*) FROM ${database}.${table}`))[0]?.[0]);
  return total;
}

/** More children without a parent than are looked at together. */
function many(first: number): string {
  return Array.from({ length: 1100 }, (_, i) => `(${first + i}, 999999, 1)`).join(',');
}

function below(random: SeededRandom, limit: number): number {
  return random.int(0, limit - 1);
}
