import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Flavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { selected } from '../support/selection.ts';

const GATES = ['switch.hold', 'switch.fenced', 'switch.released'] as const;
const GATED = Object.fromEntries(GATES.map((gate) => [gate, `wait:${gate}`] as const));

async function run(server: RunningServer, ...statements: string[]): Promise<void> {
  await using connection = await connect(server, 'shop');
  for (const statement of statements) await connection.query(statement);
}

async function pairs(server: RunningServer) {
  await using connection = await connect(server, 'shop');
  return (await rows(connection, 'SELECT * FROM pairs ORDER BY id')).map((row) => JSON.stringify(row));
}

/** Both are INT: no type tells them apart in the log. */
const swapped = (row: number) => [
  `INSERT INTO pairs (id, a, b) VALUES (${row}, 10, 20)`,
  'ALTER TABLE pairs MODIFY a INT AFTER b',
  `INSERT INTO pairs (id, a, b) VALUES (${row + 1}, 10, 20)`,
];
const swappedBack = (row: number) => swapped(row).with(1, 'ALTER TABLE pairs MODIFY b INT AFTER a');

const SOURCES = selected<Flavor>(['mysql-9.7'], ['mariadb-11.8', 'mariadb-10.11']);

test.each(SOURCES)(
  'columns of one type that change places right behind a switch keep their values: %s',
  async (flavor) => {
    await using rehearsal = await Rehearsal.start({ rows: 100, source: flavor, failpoints: GATED });
    const { switchyard, source, target } = rehearsal;
    const { client, dataDir } = switchyard;
    // The default: names are not in the log.
    for (const server of [source, target]) {
      await using root = await connect(server);
      await root.query("SET GLOBAL binlog_row_metadata = 'MINIMAL'");
    }
    await run(source, 'CREATE TABLE pairs (id INT PRIMARY KEY, a INT, b INT)');
    await client.createImport(rehearsal.request({ options: { ddl: 'EXEC', pauseDeadlineMs: 30_000 } }));
    await rehearsal.reach('running');

    const switching = async (back: boolean, at: Partial<Record<(typeof GATES)[number], () => Promise<void>>>) => {
      for (const gate of Object.keys(at)) writeFileSync(join(dataDir, gate), '');
      const done = client.switchTraffic(IMPORT, { kind: 'primaries', back, force: true });
      done.catch(() => {});
      for (const [gate, work] of Object.entries(at)) {
        const file = join(dataDir, gate);
        await expect.poll(() => existsSync(`${file}.reached`), { timeout: 20_000 }).toBe(true);
        await work();
        rmSync(`${file}.reached`);
        rmSync(file);
      }
      await done;
    };

    // The stream back has not begun, and applications write.
    await switching(false, { 'switch.released': async () => await run(target, ...swapped(1)) });
    await rehearsal.caughtUpWith(target);
    const [one, two] = await pairs(target);
    expect([one, two]).toEqual(['{"id":1,"b":20,"a":10}', '{"id":2,"b":20,"a":10}']);
    expect(await pairs(source)).toEqual([one, two]);

    // What the stream back has brought holds for stray writes, too.
    await run(source, 'UPDATE pairs SET a = 11 WHERE id = 1');
    await rehearsal.until(({ strayWrites }) => strayWrites?.count === 1);
    const [stray] = await client.strayWrites(IMPORT);
    expect(stray).toMatchObject({ before: { a: '10', b: '20' }, after: { a: '11', b: '20' } });

    await switching(true, { 'switch.released': async () => await run(source, ...swappedBack(3)) });
    await rehearsal.caughtUpWith(source);
    expect(await pairs(target)).toEqual(['{"id":1,"a":10,"b":20}', ...(await pairs(source)).slice(1)]);
    expect((await pairs(target)).slice(2)).toEqual(['{"id":3,"a":10,"b":20}', '{"id":4,"a":10,"b":20}']);

    // DDL that is replicated between: looked at again within the pause.
    await switching(false, {
      'switch.hold': async () => await run(source, 'ALTER TABLE pairs ADD COLUMN c INT AFTER id'),
      'switch.released': async () => await run(target, ...swapped(5)),
    });
    await rehearsal.caughtUpWith(target);
    const last = ['{"id":5,"c":null,"b":20,"a":10}', '{"id":6,"c":null,"b":20,"a":10}'];
    expect((await pairs(source)).slice(4)).toEqual(last);
    expect((await pairs(target)).slice(4)).toEqual(last);
    await switching(true, {});

    // DDL by hand on the new primary between, and DDL once more behind it: what the tables were where the stream begins is not known.
    await switching(false, {
      'switch.hold': async () => await run(target, "ALTER TABLE pairs COMMENT 'by hand'"),
      'switch.released': async () => await run(target, ...swappedBack(7)),
    });
    const failed = async () => (await client.getImport(IMPORT)).error?.code;
    await expect.poll(failed, { timeout: 20_000 }).toBe('STREAM_SCHEMA_CHANGED');
    expect(await pairs(source)).toHaveLength(6);
  },
);
