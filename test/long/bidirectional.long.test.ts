import type { Connection } from 'mysql2/promise';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareDatabases } from '../property/compare-databases.ts';
import { connect } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const WRITING_MS = 60_000;
const KILL_EVERY_MS = 20_000;
/** A statement that meets the other ones of its own side. */
const USUAL = /Duplicate|Deadlock|Lock wait/;

const random = (below: number) => Math.floor(Math.random() * below);

/** Few rows, so that both sides meet; unique values, text keys, JSON, key changes. */
function statement(tag: string): string {
  const id = random(14);
  const choices = [
    `UPDATE a SET v = '${tag}' WHERE id = ${id}`,
    `UPDATE a SET u = ${random(16) * 10} WHERE id = ${id}`,
    `DELETE FROM a WHERE id = ${id}`,
    `INSERT INTO a VALUES (${id}, ${random(3) === 0 ? 'NULL' : random(16) * 10}, '${tag}')`,
    `UPDATE b SET v = '{"${tag}": [1, 2.5]}', f = ${random(1000)} / 7, t = NOW(3) WHERE name = 'k${id}'`,
    `REPLACE INTO b VALUES ('${random(2) === 0 ? 'k' : 'K'}${id}', '{"r": "${tag}"}', 1.5, ${random(100)}.5, NOW(3))`,
    `DELETE FROM b WHERE name = 'k${id}'`,
    `UPDATE c SET n = n + 1 WHERE x = ${id}`,
    `UPDATE c SET x = x + ${random(2) === 0 ? 100 : -100} WHERE x = ${id}`,
  ];
  return choices[random(choices.length)] ?? '';
}

async function write(on: Connection, tag: string, pauseMs: number, until: number): Promise<void> {
  for (let i = 0; Date.now() < until; i += 1) {
    await on.query('BEGIN');
    for (let left = random(4); left >= 0; left -= 1) {
      await on.query(statement(`${tag}${i}`)).catch((error: unknown) => {
        if (!(error instanceof Error) || !USUAL.test(error.message)) throw error;
      });
    }
    await on.query(random(10) === 0 ? 'ROLLBACK' : 'COMMIT');
    await delay(random(pauseMs));
  }
}

test.each(['mysql-9.7', 'mariadb-10.11', 'mariadb-11.8'] as const)(
  'both sides written to at random, the engine killed: they end up the same, and a switch there and back keeps them so: %s',
  async (flavor) => {
    await using rehearsal = await Rehearsal.start({ rows: 200, source: flavor });
    const { client } = rehearsal.switchyard;
    await using source = await connect(rehearsal.source, 'shop');
    await using target = await connect(rehearsal.target);
    const equal = async () => await compareDatabases(rehearsal.source, rehearsal.target, 'shop');
    await source.query(
      'CREATE TABLE a (id INT PRIMARY KEY, u INT NULL UNIQUE, v VARCHAR(20)); CREATE TABLE c (x INT, y VARCHAR(5), n INT, PRIMARY KEY (x, y));' +
        'CREATE TABLE b (name VARCHAR(20) PRIMARY KEY, v JSON, f FLOAT, d DECIMAL(10,2), t TIMESTAMP(3) NULL)',
    );
    for (let id = 0; id < 12; id += 1)
      await source.query(`INSERT INTO a VALUES (${id}, ${id * 10}, 'v'); INSERT INTO c VALUES (${id}, 'y', 0)`);
    await client.createImport(
      rehearsal.request({ options: { reverse: 'always', pauseDeadlineMs: 60_000, maxLagMs: 60_000 } }),
    );
    await rehearsal.reach('running');
    await target.query('USE shop');

    const until = Date.now() + WRITING_MS;
    const kill = async () => {
      for (let left = WRITING_MS / KILL_EVERY_MS; left > 1; left -= 1) {
        await delay(KILL_EVERY_MS);
        process.kill(rehearsal.switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');
      }
    };
    await Promise.all([write(source, 's', 20, until), write(target, 't', 60, until), kill()]);
    await expect.poll(equal, { timeout: 60_000 }).toEqual([]);
    const { conflicts } = await client.getImport(IMPORT);
    expect(conflicts?.count).toBeGreaterThan(0);
    await client.verify(IMPORT);
    expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });

    await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
    await target.query('UPDATE c SET n = 999');
    await expect.poll(equal).toEqual([]);
    await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
    await source.query('UPDATE c SET n = 1000');
    await expect.poll(equal).toEqual([]);
  },
  400_000,
);
