import { expect, test } from 'vitest';
import { ServerConnection, textOf } from '../../engine/server/connection.ts';
import { isFenceStanding, lowerFence, putBackFence, raiseFence } from '../../engine/switch/fence.ts';
import { FLAVOR_SPECS } from '../../servers/flavor.ts';
import { startServer } from '../../servers/start-server.ts';
import { selected } from '../support/selection.ts';
import { definitionOf } from '../support/stream-fixture.ts';

test.each(selected(['mysql-9.7', 'mariadb-10.11'] as const, ['mariadb-11.8'] as const))(
  '%s: a fence of triggers goes as a whole, also where a table was dropped, renamed and made under it, and it was put back',
  async (flavor) => {
    await using server = await startServer({ flavor });
    await using connection = await ServerConnection.open(definitionOf(server));
    await using second = await ServerConnection.open(definitionOf(server));
    await connection.write('CREATE DATABASE fenced');
    for (const name of ['a', 'b', 'c']) await connection.write(`CREATE TABLE fenced.${name} (id INT PRIMARY KEY)`);
    await connection.write('CREATE TRIGGER fenced.theirs BEFORE INSERT ON fenced.c FOR EACH ROW SET NEW.id = NEW.id');
    const of = (...tables: string[]) => ({
      connection,
      beside: [second],
      flavor: FLAVOR_SPECS[flavor].family,
      database: 'fenced',
      tables,
      accounts: [],
    });
    const triggers = async () =>
      await connection.select<{ name: string; tableName: string }>(
        "SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS tableName FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'fenced' ORDER BY 1",
      );
    // Within the pause, and slow: the catalog.
    const selects = async () => Number(textOf((await connection.rows("SHOW STATUS LIKE 'Com_select'"))[0]?.[1] ?? ''));
    const before = await selects();
    await raiseFence('triggers', of('a', 'b', 'c'));
    expect((await selects()) - before).toBe(1);
    expect(await triggers()).toHaveLength(10);
    // One that cannot be fenced, as it is held: what is under way beside is waited for, and nothing comes behind it.
    await lowerFence('triggers', of('a', 'b', 'c'));
    await using reader = await ServerConnection.open(definitionOf(server));
    await reader.write('BEGIN');
    await reader.rows('SELECT * FROM fenced.a');
    await expect(raiseFence('triggers', of('a', 'b', 'c'))).rejects.toThrow(/Lock wait timeout/);
    const made = await triggers();
    await reader.write('ROLLBACK');
    await Promise.all([connection.write('DO 1'), second.write('DO 1')]);
    expect(await triggers()).toEqual(made);
    await raiseFence('triggers', of('a', 'b', 'c'));
    // Of another import, say: they are made anew.
    await connection.write('DROP TRIGGER fenced._switchyard_fence_2_delete');
    await raiseFence('triggers', of('a', 'b', 'c'));
    expect(await triggers()).toHaveLength(10);
    // As DDL that the reverse stream brings: those behind it have other numbers then.
    await connection.write('DROP TABLE fenced.a');
    expect(await isFenceStanding('triggers', of('b', 'c'))).toBe(true);
    // As a console does, of which the list does not know: the others stay fenced, and what is made under a name of the list is fenced too.
    await connection.write('DROP TABLE fenced.b');
    expect(await isFenceStanding('triggers', of('a', 'b', 'c'))).toBe(true);
    await connection.write('RENAME TABLE fenced.c TO fenced.b');
    await connection.write('CREATE TABLE fenced.c (id INT PRIMARY KEY)');
    expect(await isFenceStanding('triggers', of('a', 'b', 'c'))).toBe(false);
    await putBackFence('triggers', of('a', 'b', 'c'));
    const fenced = (await triggers()).filter(({ name }) => name !== 'theirs').map(({ tableName }) => tableName);
    expect(fenced.toSorted()).toEqual(['b', 'b', 'b', 'c', 'c', 'c']);
    await putBackFence('triggers', of('a', 'b', 'c'));
    expect(await triggers()).toHaveLength(7);
    await connection.write('DROP TABLE fenced.c');
    await connection.write('RENAME TABLE fenced.b TO fenced.c');
    await lowerFence('triggers', of('b', 'c'));
    expect(await triggers()).toEqual([{ name: 'theirs', tableName: 'c' }]);

    // A backup holds them all: whoever waits for the fence does not wait for each of them.
    const tables = Array.from({ length: 7 }, (_, index) => `t${index}`);
    for (const name of tables) await connection.write(`CREATE TABLE fenced.${name} (id INT PRIMARY KEY)`);
    await raiseFence('triggers', of(...tables));
    await using backup = await ServerConnection.open(definitionOf(server));
    await backup.write('FLUSH TABLES WITH READ LOCK');
    const attempts = async () =>
      Number(textOf((await connection.rows("SHOW GLOBAL STATUS LIKE 'Com_drop_trigger'"))[0]?.[1] ?? ''));
    const attemptsBefore = await attempts();
    await expect(lowerFence('triggers', of(...tables))).rejects.toMatchObject({ details: { errno: 1205 } });
    // Five, and the one that is under way beside the fifth.
    expect((await attempts()) - attemptsBefore).toBe(6);
    await backup.write('UNLOCK TABLES');
    await lowerFence('triggers', of(...tables));
    expect(await triggers()).toHaveLength(1);
  },
);
