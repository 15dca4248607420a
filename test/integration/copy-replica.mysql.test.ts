import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { CopyFixture } from '../support/copy-fixture.ts';
import { definitionOf, familyOf } from '../support/stream-fixture.ts';

let target: RunningServer;

beforeAll(async () => {
  target = await startServer({ flavor: 'mysql-9.7', role: 'target' });
});

afterAll(async () => {
  await target?.[Symbol.asyncDispose]();
});

// The stream begins where the source was. What a replica that is read from lacks of that comes in no stream.
describe.each(['mysql-9.7', 'mariadb-11.8'] as const)('a replica of %s', (flavor) => {
  let source: RunningServer;
  let replica: RunningServer;
  let here: ServerConnection;
  let there: ServerConnection;

  beforeAll(async () => {
    [source, replica] = await Promise.all([startServer({ flavor }), startServer({ flavor })]);
    here = await ServerConnection.open(definitionOf(source));
    there = await ServerConnection.open(definitionOf(replica));
    const { host, port, adminUser, adminPassword } = source;
    if (flavor === 'mysql-9.7') {
      await there.write('RESET BINARY LOGS AND GTIDS');
      await there.write(
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='${adminUser}', ` +
          `SOURCE_PASSWORD='${adminPassword}', SOURCE_SSL=1, SOURCE_AUTO_POSITION=1`,
      );
      await there.write('START REPLICA');
    } else {
      await there.write('RESET MASTER');
      await there.write("SET GLOBAL gtid_slave_pos=''");
      await there.write(
        `CHANGE MASTER TO MASTER_HOST='${host}', MASTER_PORT=${port}, MASTER_USER='${adminUser}', ` +
          `MASTER_PASSWORD='${adminPassword}', MASTER_SSL=0, MASTER_USE_GTID=slave_pos`,
      );
      await there.write('START SLAVE');
    }
  });

  afterAll(async () => {
    await here?.close();
    await there?.close();
    await source?.[Symbol.asyncDispose]();
    await replica?.[Symbol.asyncDispose]();
  });

  const applier = (verb: string) =>
    flavor === 'mysql-9.7' ? `${verb} REPLICA SQL_THREAD` : `${verb} SLAVE SQL_THREAD`;
  const executed = async () => await executedPosition(here, familyOf(source));

  test('that is behind is not read from until it has what the source had at the beginning', async () => {
    await here.write('CREATE DATABASE late');
    await here.write('CREATE TABLE late.t (id INT PRIMARY KEY)');
    await here.write('INSERT INTO late.t VALUES (1)');
    await expect.poll(async () => await there.rows('SELECT * FROM late.t').catch(() => [])).toEqual([['1']]);
    await there.write(applier('STOP'));
    await here.write('INSERT INTO late.t VALUES (2),(3)');
    const from = (await executed()).toString();
    // A write of the replica's own, as of somebody who looks after it: the source never has it.
    if (flavor !== 'mysql-9.7') await there.write('SET SESSION gtid_domain_id = 9');
    await there.write('CREATE DATABASE errant');

    const fixture = new CopyFixture(source, target);
    const tables = await fixture.prepare('late');
    const reasons: (string | null)[] = [];
    const copying = fixture.copy(tables, {
      replica: { server: definitionOf(replica), from },
      onThrottle: (reason) => reasons.push(reason),
    });
    // Without the wait it ends with one row.
    await Promise.race([copying, expect.poll(() => reasons.length, { timeout: 20_000 }).toBe(1)]);
    await there.write(applier('START'));
    const { rows, stamp } = await copying;
    expect(rows).toBe(3);
    expect(reasons).toEqual([expect.stringContaining('does not have all'), null]);
    expect(stamp).toBe((await executed()).toString());
    expect(await fixture.different(tables)).toEqual([]);
  });
});
