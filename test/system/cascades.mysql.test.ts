import { expect, test } from 'vitest';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const TABLES = [
  'CREATE TABLE parents (id INT PRIMARY KEY AUTO_INCREMENT, pad VARCHAR(200)) ENGINE=InnoDB',
  'CREATE TABLE children (id INT PRIMARY KEY AUTO_INCREMENT, parent INT NOT NULL, pad VARCHAR(200), FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE) ENGINE=InnoDB',
  'CREATE TABLE notes (id INT PRIMARY KEY AUTO_INCREMENT, child INT, FOREIGN KEY (child) REFERENCES children (id) ON DELETE SET NULL) ENGINE=InnoDB',
];
const PARENTS = 20_000;

test('a MariaDB with cascades moves while parents are deleted, there and back', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500, source: 'mariadb-11.8' });
  const { client } = rehearsal.switchyard;
  const { source, target } = rehearsal;
  {
    await using connection = await connect(source, 'shop');
    for (const sql of TABLES) await connection.query(sql);
    await connection.query(`INSERT INTO parents SELECT seq, REPEAT('p', 100) FROM seq_1_to_${PARENTS}`);
    await connection.query(`INSERT INTO children SELECT seq, seq, REPEAT('c', 100) FROM seq_1_to_${PARENTS}`);
    await connection.query(`INSERT INTO notes SELECT seq, seq FROM seq_1_to_${PARENTS}`);
  }
  let next = 1;
  const stop = new AbortController();
  /** Direct, until the switch; then through the proxy. */
  const deleting = async (open: () => Promise<Awaited<ReturnType<typeof connect>>>) => {
    await using connection = await open();
    while (!stop.signal.aborted) {
      await connection.query('DELETE FROM parents WHERE id=?', [next]);
      await connection.query('INSERT INTO parents (pad) VALUES (?)', [`new ${next}`]);
      await connection.query('INSERT INTO children (parent) VALUES (LAST_INSERT_ID())');
      next += 7;
    }
  };
  const busy = deleting(async () => connect(source, 'shop'));
  await expect.poll(() => next).toBeGreaterThan(100);
  await client.createImport(rehearsal.request());
  const atCreation = next;
  await rehearsal.reach('running');
  const atRunning = next;
  await expect.poll(() => next, { timeout: 60_000 }).toBeGreaterThan(atRunning + 200);
  stop.abort();
  await busy;
  expect(atRunning).toBeGreaterThan(atCreation);
  await rehearsal.caughtUpWith(source);
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: { refusals: [expect.objectContaining({ code: 'VERIFICATION_NEEDED' })] },
  });
  await client.verify(IMPORT);
  await rehearsal.until(({ phase }) => phase !== 'verifying_data');
  expect(await client.getImport(IMPORT)).toMatchObject({ verify: { state: 'equal' } });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await rehearsal.asApplication(`DELETE FROM parents WHERE id BETWEEN ${PARENTS - 50} AND ${PARENTS - 20}`);
  await rehearsal.caughtUpWith(target);
  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true });
  await rehearsal.asApplication(`DELETE FROM parents WHERE id BETWEEN ${PARENTS - 20} AND ${PARENTS}`);
  const contents = async (side: typeof source) => {
    await using connection = await connect(side, 'shop');
    return await Promise.all(
      ['parents', 'children', 'notes'].map(async (name) => rows(connection, `SELECT * FROM ${name} ORDER BY id`)),
    );
  };
  const wanted = await contents(source);
  expect(wanted[0]?.length).toBeGreaterThan(1000);
  await expect.poll(async () => contents(target), { timeout: 60_000 }).toEqual(wanted);
});
