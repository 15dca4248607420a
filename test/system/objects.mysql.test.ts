import { expect, test } from 'vitest';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

/** A trigger that writes rows of its own: on both sides it would write them twice, on none not at all. */
const OBJECTS = [
  'CREATE DATABASE elsewhere',
  'CREATE TABLE elsewhere.t (id INT PRIMARY KEY)',
  'CREATE VIEW needs_more AS SELECT id FROM elsewhere.t',
  'CREATE TABLE orders_of (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(50))',
  'CREATE TABLE audit_of (id INT PRIMARY KEY AUTO_INCREMENT, order_id INT, note VARCHAR(50))',
  'INSERT INTO orders_of VALUES (900, NULL)',
  'DELETE FROM orders_of',
  'CREATE TRIGGER audit_it AFTER INSERT ON orders_of FOR EACH ROW INSERT INTO audit_of (order_id, note) VALUES (NEW.id, twice(NEW.note))',
  'CREATE FUNCTION twice (t VARCHAR(50)) RETURNS VARCHAR(100) DETERMINISTIC RETURN CONCAT(t, t)',
  'CREATE VIEW audit_view AS SELECT order_id, twice(note) AS note FROM audit_of',
  "CREATE EVENT sweep ON SCHEDULE EVERY 1 DAY STARTS '2100-01-01 00:00:00' DO DELETE FROM audit_of",
];

test('triggers and events go with the primary, views and routines with the copy; numbers are not given out twice', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  await prepare(rehearsal);
  const { source, target } = rehearsal;
  await client.createImport(rehearsal.request());
  const { findings } = await rehearsal.reach('running');
  expect(findings.find(({ code }) => code === 'OBJECT_NOT_CREATED')).toMatchObject({
    subject: 'view needs_more',
    fix: expect.stringContaining('CREATE'),
  });
  const triggers = async (side: RunningServer) =>
    (
      await on(
        side,
        "SELECT TRIGGER_NAME AS n FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop' AND TRIGGER_NAME NOT LIKE '\\_switchyard%'",
      )
    ).map(({ n }) => n);
  const enabled = async (side: RunningServer) =>
    (await on(side, "SELECT STATUS AS s FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop'")).map(({ s }) => s);
  const order = async (note: string) => rehearsal.asApplication(`INSERT INTO orders_of (note) VALUES ('${note}')`);

  await order('a');
  expect(await triggers(target)).toEqual([]);
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  expect(await triggers(target)).toEqual(['audit_it']);
  // By the stream that begins now, before it applies anything.
  await expect.poll(async () => triggers(source)).toEqual([]);
  expect([await enabled(source), await enabled(target)]).toEqual([['DISABLED'], ['ENABLED']]);
  await order('b');
  // Given out on the source and deleted there, 900 and what follows it is not given out again.
  expect(await rehearsal.asApplication('SELECT MAX(id) > 1900 AS raised FROM orders_of')).toEqual([{ raised: 1 }]);
  expect(await rehearsal.asApplication('SELECT note FROM audit_view ORDER BY note')).toEqual([
    { note: 'aaaa' },
    { note: 'bbbb' },
  ]);
  await rehearsal.caughtUpWith(rehearsal.target);
  expect(await on(source, 'SELECT note FROM shop.audit_of ORDER BY note')).toEqual([{ note: 'aa' }, { note: 'bb' }]);

  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true });
  expect(await triggers(source)).toEqual(['audit_it']);
  await expect.poll(async () => triggers(target)).toEqual([]);
  expect([await enabled(source), await enabled(target)]).toEqual([['ENABLED'], ['DISABLED']]);
  await order('c');
  expect(await on(source, 'SELECT note FROM shop.audit_of ORDER BY note')).toEqual([
    { note: 'aa' },
    { note: 'bb' },
    { note: 'cc' },
  ]);
  await rehearsal.caughtUpWith(rehearsal.source);
  expect(await rehearsal.differingTables()).toEqual([]);
  expect(await client.getImport(IMPORT)).toMatchObject({ strayWrites: { count: 0 } });

  // Somebody creates it by hand before its time: said, not applied twice.
  await on(
    target,
    'CREATE TRIGGER shop.by_hand AFTER INSERT ON shop.orders_of FOR EACH ROW INSERT INTO shop.audit_of (order_id) VALUES (NEW.id)',
  );
  await rehearsal.switchyard.stop();
  await rehearsal.switchyard.startProcess();
  await rehearsal.until(({ phase }) => phase === 'error');
  expect(await client.getImport(IMPORT)).toMatchObject({ phase: 'error', error: { code: 'APPLY_TRIGGERS' } });
  await on(target, 'DROP TRIGGER shop.by_hand');
  // It would be taken for whatever statement comes next.
  await expect(client.resume(IMPORT, 'skip')).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  await client.resume(IMPORT);
  await rehearsal.reach('running');
  await client.cancelImport(IMPORT);
  expect(await on(target, "SHOW DATABASES LIKE 'shop'")).toEqual([]);
});

/** On a connection of its own, closed at once: one that stays is a writer past the proxy to the switch. */
async function on(server: RunningServer, sql: string) {
  await using connection = await connect(server);
  return await rows(connection, sql);
}

async function prepare({ source }: Rehearsal): Promise<void> {
  await using connection = await connect(source, 'shop');
  for (const sql of OBJECTS) await connection.query(sql);
}
