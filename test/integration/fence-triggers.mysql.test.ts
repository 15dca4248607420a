import { expect, test } from 'vitest';
import { ServerConnection } from '../../engine/server/connection.ts';
import { isFenceStanding, lowerFence, raiseFence } from '../../engine/switch/fence.ts';
import { startServer } from '../../servers/start-server.ts';
import { definitionOf } from '../support/stream-fixture.ts';

test('a fence of triggers goes as a whole, also where a table was dropped under it and it was put back', async () => {
  await using server = await startServer({ flavor: 'mysql-9.7' });
  await using connection = await ServerConnection.open(definitionOf(server));
  await connection.write('CREATE DATABASE fenced');
  for (const name of ['a', 'b', 'c']) await connection.write(`CREATE TABLE fenced.${name} (id INT PRIMARY KEY)`);
  await connection.write('CREATE TRIGGER fenced.theirs BEFORE INSERT ON fenced.c FOR EACH ROW SET NEW.id = NEW.id');
  const of = (...tables: string[]) => ({
    connection,
    flavor: 'mysql' as const,
    database: 'fenced',
    tables,
    accounts: [],
  });
  const triggers = async () =>
    await connection.select<{ name: string; tableName: string }>(
      "SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS tableName FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'fenced' ORDER BY 1",
    );
  await raiseFence('triggers', of('a', 'b', 'c'));
  expect(await triggers()).toHaveLength(10);
  // As DDL that the reverse stream brings: those behind it have other numbers then.
  await connection.write('DROP TABLE fenced.a');
  expect(await isFenceStanding('triggers', of('b', 'c'))).toBe(false);
  await raiseFence('triggers', of('b', 'c'));
  await lowerFence('triggers', of('b', 'c'));
  expect(await triggers()).toEqual([{ name: 'theirs', tableName: 'c' }]);
});
