import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createTriggers,
  disableEvents,
  enableEvents,
  missingEvents,
  removeTriggers,
  stageEvents,
} from '../../engine/objects/active-objects.ts';
import { raiseAutoIncrement } from '../../engine/objects/auto-increment.ts';
import { createPassiveObjects, missingPassiveObjects } from '../../engine/objects/bring-objects.ts';
import { readActiveObjects } from '../../engine/objects/read-objects.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { definitionOf } from '../support/stream-fixture.ts';

const DATABASE = 'shöp';

/** Each flavor as the source; the statements are what both know. */
for (const flavor of ['mysql-9.7', 'mariadb-11.8'] as const) {
  let source: RunningServer;
  let target: RunningServer;
  let onSource: ServerConnection;
  let onTarget: ServerConnection;

  beforeAll(async () => {
    ({ source, target } = await startServerPair(flavor, 'mysql-9.7'));
    const open = async (server: RunningServer) =>
      ServerConnection.open(definitionOf(server), { multiStatements: true });
    [onSource, onTarget] = [await open(source), await open(target)];
    for (const side of [onSource, onTarget]) await side.batch([...TABLES]);
  });

  afterAll(async () => {
    onSource.destroy();
    onTarget.destroy();
    await source[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
  });

  const place = (connection: ServerConnection) => ({ connection, database: DATABASE, tables: ['orders', 'audit'] });
  const count = async (side: ServerConnection, table: string) =>
    Number((await side.rows(`SELECT COUNT(*) FROM ${table}`))[0]?.[0]);

  test(`${flavor}: triggers and events work on one side, go to the other with their settings, and come back`, async () => {
    // In latin1, by a client of latin1: the é is one byte.
    await onSource.batch([
      `SET SESSION character_set_client=latin1, collation_connection=latin1_swedish_ci, sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT'`,
      `CREATE TRIGGER second_one BEFORE INSERT ON orders FOR EACH ROW SET NEW."note" = NEW.note || 'b\xe9'`,
      `CREATE DEFINER=nobody@'%' TRIGGER first_one BEFORE INSERT ON orders FOR EACH ROW PRECEDES second_one SET NEW.note = NEW.note || 'a'`,
      `CREATE TRIGGER after_it AFTER DELETE ON orders FOR EACH ROW BEGIN DECLARE n INT; SET n = OLD.id; INSERT INTO audit (what) VALUES (n); END`,
      `CREATE DEFINER=nobody@'%' EVENT clean ON SCHEDULE EVERY 1 DAY STARTS '2100-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE COMMENT 'ON COMPLETION PRESERVE ENABLE' DO DELETE FROM audit`,
      `CREATE EVENT asleep ON SCHEDULE EVERY 1 DAY STARTS '2100-01-01 00:00:00' DISABLE DO DELETE FROM audit`,
      `SET SESSION character_set_client=binary, collation_connection=binary, sql_mode=''`,
    ]);
    const objects = await readActiveObjects(place(onSource));
    expect(objects.triggers.map(({ name }) => name)).toEqual(['first_one', 'second_one', 'after_it']);
    expect(objects.events.map(({ name, enabled }) => [name, enabled])).toEqual([
      ['asleep', false],
      ['clean', true],
    ]);
    await disableEvents(place(onSource), objects);
    await removeTriggers(place(onSource), objects);
    // The second time there is nothing to do.
    for (const _ of [1, 2]) {
      await stageEvents(place(onTarget), await missingEvents(place(onTarget), objects));
      await createTriggers(place(onTarget), objects);
      await enableEvents(place(onTarget), objects);
    }
    await onSource.write(`INSERT INTO orders (id, note) VALUES (1, 'x')`);
    await onTarget.write(`INSERT INTO orders (id, note) VALUES (1, 'x')`);
    expect(await onSource.rows('SELECT note FROM orders')).toEqual([['x']]);
    // utf8mb4 in the table.
    expect(await onTarget.rows('SELECT note FROM orders')).toEqual([['xab\xc3\xa9']]);
    await onTarget.write('DELETE FROM orders');
    expect([await count(onSource, 'audit'), await count(onTarget, 'audit')]).toEqual([0, 1]);
    const there = await readActiveObjects(place(onTarget));
    expect(there.events.map(({ name, enabled, definer }) => [name, enabled, definer?.user])).toEqual([
      ['asleep', false, objects.events[0]?.definer?.user],
      ['clean', true, 'nobody'],
    ]);
    expect(
      there.triggers.map(({ sqlMode, charsetClient }) => [sqlMode?.includes('ANSI_QUOTES'), charsetClient]),
    ).toEqual(Array.from({ length: 3 }, () => [true, 'latin1']));
    const left = await readActiveObjects(place(onSource));
    expect([left.triggers, left.events.map(({ enabled }) => enabled)]).toEqual([[], [false, false]]);
    const unknown = removeTriggers(place(onTarget), { triggers: [], events: [] });
    await expect(unknown).rejects.toMatchObject({ code: 'APPLY_TRIGGERS' });
    // Back, as a switch that is undone does it, from what the target has.
    await disableEvents(place(onTarget), there);
    await removeTriggers(place(onTarget), there);
    await createTriggers(place(onSource), there);
    await enableEvents(place(onSource), there);
    const back = await readActiveObjects(place(onSource));
    expect(back.triggers.map(({ name }) => name)).toEqual(objects.triggers.map(({ name }) => name));
    expect(back.events.map(({ enabled }) => enabled)).toEqual([false, true]);
  });

  test(`${flavor}: views and routines are brought, also those that need each other; what is refused has a script`, async () => {
    await onSource.batch([
      `CREATE FUNCTION twice (n INT) RETURNS INT DETERMINISTIC RETURN n * 2`,
      `CREATE VIEW z_base AS SELECT id, twice(id) AS t FROM orders`,
      `CREATE VIEW a_top AS SELECT t FROM z_base`,
      `CREATE PROCEDURE greet () SELECT 'caf\xc3\xa9'`,
      `CREATE TABLE only_here (id INT PRIMARY KEY)`,
      `CREATE VIEW broken AS SELECT * FROM only_here`,
    ]);
    const bring = async () =>
      createPassiveObjects(definitionOf(target), DATABASE, await missingPassiveObjects(onSource, onTarget, DATABASE));
    const report = await bring();
    expect(report.created.sort()).toEqual(['function twice', 'procedure greet', 'view a_top', 'view z_base']);
    expect(report.refused).toMatchObject([
      { kind: 'view', name: 'broken', reason: expect.stringContaining('only_here') },
    ]);
    expect(report.refused[0]?.script).toContain('VIEW');
    await onTarget.write(`INSERT INTO orders (id, note) VALUES (21, '')`);
    expect(await onTarget.rows('SELECT t FROM a_top WHERE t > 40')).toEqual([['42']]);
    expect(await bring()).toMatchObject({ created: [] });
  });

  test(`${flavor}: numbers that were given out are not given out again`, async () => {
    await onSource.batch([
      'CREATE TABLE ids (id INT PRIMARY KEY AUTO_INCREMENT)',
      'CREATE TABLE tight (id TINYINT UNSIGNED PRIMARY KEY AUTO_INCREMENT)',
      'INSERT INTO ids VALUES (5000)',
      'DELETE FROM ids',
      'INSERT INTO tight VALUES (9)',
      'DELETE FROM tight',
    ]);
    await onTarget.batch([
      'CREATE TABLE ids (id INT PRIMARY KEY AUTO_INCREMENT)',
      'CREATE TABLE tight (id TINYINT UNSIGNED PRIMARY KEY AUTO_INCREMENT)',
    ]);
    // A switch back in need does not fail for a grant.
    await onTarget.batch([
      "CREATE USER narrow@'%' IDENTIFIED BY 'Secret-1'",
      "GRANT SELECT, INSERT, UPDATE, DELETE ON `sh\xc3\xb6p`.* TO narrow@'%'",
    ]);
    const narrow = await ServerConnection.open({ ...definitionOf(target), user: 'narrow', password: 'Secret-1' });
    expect(await raiseAutoIncrement(onSource, narrow, DATABASE, ['ids', 'orders'])).toEqual({
      raised: [],
      denied: ['ALTER TABLE `shöp`.`ids` AUTO_INCREMENT=6001;'],
    });
    narrow.destroy();
    expect(await raiseAutoIncrement(onSource, onTarget, DATABASE, ['ids', 'tight', 'orders'])).toEqual({
      raised: ['ids', 'tight'],
      denied: [],
    });
    await onTarget.batch(['INSERT INTO ids VALUES (NULL)', 'INSERT INTO tight VALUES (NULL)']);
    expect(await onTarget.rows('SELECT (SELECT id FROM ids), (SELECT id FROM tight)')).toEqual([['6001', '10']]);
    expect(await raiseAutoIncrement(onSource, onTarget, DATABASE, ['ids', 'tight'])).toEqual({
      raised: [],
      denied: [],
    });
  });
}

const TABLES = [
  'CREATE DATABASE `sh\xc3\xb6p` CHARACTER SET utf8mb4',
  'USE `sh\xc3\xb6p`',
  "CREATE USER nobody@'%' IDENTIFIED BY 'Secret-1'",
  "GRANT ALL ON *.* TO nobody@'%'",
  'CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(20))',
  'CREATE TABLE audit (n INT PRIMARY KEY AUTO_INCREMENT, what INT)',
];
