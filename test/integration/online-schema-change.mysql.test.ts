import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ServerConnection } from '../../engine/server/connection.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { runVerify } from '../../engine/verify/run-verify.ts';
import { parsePosition } from '../../core/gtid.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { replicateDdl, type DdlReplicationOptions } from '../support/ddl-replication.ts';
import {
  ghostSchemaChange,
  ptOnlineSchemaChange,
  withoutPtOsc,
  type SchemaChange,
} from '../support/online-schema-change.ts';
import { connect } from '../support/query.ts';
import { definitionOf } from '../support/stream-fixture.ts';
import { pairsOf, standInFollower } from '../support/verify-fixture.ts';

const ROWS = 500;
const ALTER = 'ADD COLUMN x INT NOT NULL DEFAULT 7 AFTER id, MODIFY v BIGINT, ADD INDEX (w)';
const TABLES = [
  "CREATE TABLE a (id INT PRIMARY KEY, v INT, w VARCHAR(20) DEFAULT 'w')",
  'CREATE TABLE child (id INT PRIMARY KEY, a_id INT, CONSTRAINT of_a FOREIGN KEY (a_id) REFERENCES a (id))',
];

let pair: Awaited<ReturnType<typeof startServerPair>>;
let source: ServerConnection;
let target: ServerConnection;
let number = 0;
let schema: string;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  pair = stack.use(await startServerPair());
  source = stack.use(await ServerConnection.open(definitionOf(pair.source)));
  target = stack.use(await ServerConnection.open(definitionOf(pair.target)));
  // Many small writes; what a crash would leave is not asked here.
  for (const connection of [source, target])
    await connection.write('SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 0');
  await createSidecar(target);
});
afterAll(async () => stack.disposeAsync());

beforeEach(async () => {
  number += 1;
  schema = `osc${number}`;
  for (const connection of [source, target]) {
    await connection.write(`CREATE DATABASE ${schema}`);
    await connection.write(`USE ${schema}`);
    for (const table of TABLES) await connection.write(table);
    await connection.write(
      `INSERT INTO a (id, v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS}) SELECT i, i FROM n`,
    );
    await connection.write('INSERT INTO child VALUES (1, 1)');
  }
  await new ProgressRow(schema, 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
});

/** Writes to the table all the time, by statements that do not mind which of the two it is. Disposing ends it. */
function writer(): AsyncDisposable & { changedKeys: () => number[]; written: (count: number) => Promise<void> } {
  const over = new AbortController();
  let count = 0;
  let keys = new Set<number>();
  let underWay: number[] = [];
  const running = (async () => {
    await using connection = await connect(pair.source, schema);
    for (; !over.signal.aborted; count += 1) {
      const id = 2 + ((count * 37) % (ROWS + 50));
      underWay = [id, id + 2000];
      for (const key of underWay) keys.add(key);
      await connection.query(`REPLACE INTO a (id, v, w) VALUES (${id}, ${count}, 'written')`);
      await connection.query(`DELETE FROM a WHERE id = ${id + 2000}`);
      await connection.query(`UPDATE a SET v = v + 1, id = id + 2000 WHERE id = ${id} AND ${count % 3} = 0`);
      await connection.query(`DELETE FROM a WHERE id = ${id} AND ${count % 3} = 1`);
    }
  })();
  return {
    // What is under way may be done before or behind the look of who asks: it is told again.
    changedKeys: () => {
      const changed = [...keys];
      keys = new Set(underWay);
      return changed;
    },
    written: async (more) => {
      const until = count + more;
      await expect.poll(() => count).toBeGreaterThan(until);
    },
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await running;
    },
  };
}

type Writer = ReturnType<typeof writer>;
type Tool = (change: SchemaChange, writer: Writer) => Promise<unknown>;
const absent = await withoutPtOsc();
if (absent !== null) console.warn(`pt-online-schema-change is not tested: ${absent}`);
const TOOLS: [name: string, tool: Tool][] = [
  [
    "gh-ost's statements",
    (change, { changedKeys }) =>
      ghostSchemaChange({ ...change, columns: ['id', 'v', 'w'], rowsMax: ROWS + 2100, changedKeys }),
  ],
  ...(absent === null ? [['pt-online-schema-change', ptOnlineSchemaChange] as [string, Tool]] : []),
];

function replicate(options: Partial<DdlReplicationOptions> = {}) {
  return replicateDdl({ source, target, database: schema, ...options });
}

async function caughtUp(replication: ReturnType<typeof replicate>): Promise<void> {
  await replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(60_000));
}

async function expectEqual(): Promise<void> {
  expect(await compareDatabases(pair.source, pair.target, schema)).toEqual([]);
  const [here, there] = [await inspectTables(source, schema, 'all'), await inspectTables(target, schema, 'all')];
  expect(there.map(({ createSql }) => createSql)).toEqual(here.map(({ createSql }) => createSql));
  const servers = {
    flavors: { source: 'mysql', target: 'mysql' },
    source: definitionOf(pair.source),
    target: definitionOf(pair.target),
  } as const;
  const { tables } = await runVerify({
    ...servers,
    tables: await pairsOf({ ...servers, schema }),
    follower: standInFollower('mysql', { applied: parsePosition('mysql', '') }),
    connections: 2,
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  expect(tables.filter(({ state }) => state !== 'equal')).toEqual([]);
}

describe.each(TOOLS)('%s, under writes', (name, tool) => {
  const isPt = name === 'pt-online-schema-change';
  // gh-ost refuses tables with foreign keys.
  const before = async () => {
    if (!isPt) for (const connection of [source, target]) await connection.write('DROP TABLE child');
    await new ProgressRow(schema, 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  };
  const change = () => ({ server: pair.source, database: schema, table: 'a', alter: ALTER });

  test('of a whole database with EXEC: the target follows, and has nothing that the source lacks', async () => {
    await before();
    await using replication = replicate({ allTables: true });
    await using writes = writer();
    await writes.written(10);
    await tool(change(), writes);
    await writes.written(10);
    await writes[Symbol.asyncDispose]();
    await caughtUp(replication);
    await expectEqual();
    const columns = await target.rows(`SELECT COUNT(*), SUM(x) / 7 = COUNT(*) FROM a`);
    expect(Number(columns[0]?.[0])).toBeGreaterThan(ROWS / 2);
    expect(columns[0]?.[1]).toBe('1');
    const triggers = 'SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA =';
    expect(await target.rows(`${triggers} '${schema}'`)).toEqual([['0']]);
  });

  test('of a list of tables: stops at the swap, and goes on once the target has the other table too', async () => {
    await before();
    await using writes = writer();
    {
      await using replication = replicate();
      await writes.written(10);
      await tool(change(), writes);
      await writes.written(10);
      await writes[Symbol.asyncDispose]();
      await expect(replication.done).rejects.toMatchObject({ code: 'DDL_FAILED' });
    }
    for (const options of [{ policy: 'IGNORE' }, { policy: 'EXEC_IGNORE' }, { decisions: ['skip'] }] as const) {
      const decisions = 'decisions' in options ? [...options.decisions] : [];
      await expect(replicate({ ...options, decisions }).done).rejects.toMatchObject({ code: 'DDL_RENAME_SKIPPED' });
    }
    // What the remedy says.
    const [other, old] = isPt ? ['_a_new', '_a_old'] : ['_a_gho', '_a_del'];
    await target.write(`CREATE TABLE ${other} LIKE a`);
    await target.write(`ALTER TABLE ${other} ${ALTER}`);
    // Whatever it is: it may be left from another day.
    await expect(replicate().done).rejects.toMatchObject({ code: 'DDL_TABLE_FOREIGN' });
    await expect(replicate({ policy: 'EXEC_IGNORE' }).done).rejects.toMatchObject({ code: 'DDL_TABLE_FOREIGN' });
    await target.write(`INSERT INTO ${other} (id, v, w) SELECT id, v, w FROM a`);
    {
      await using replication = replicate({ decisions: ['apply'] });
      await caughtUp(replication);
    }
    await target.write(`DROP TABLE ${old}`);
    await expectEqual();
  });
});
