import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareDatabases } from '../property/compare-databases.ts';
import { connect, rows } from '../support/query.ts';
import { Rehearsal } from '../support/rehearsal.ts';
import { TcpRelay } from '../support/tcp-relay.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// The trigger counts how often a tester's transaction is carried out on the source.
const TABLES =
  'CREATE TABLE item (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL); INSERT INTO item VALUES (1, "v"), (2, "v"), (3, "v"), (4, "v");' +
  'CREATE TABLE seen (number INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)); ' +
  'CREATE TRIGGER watch AFTER UPDATE ON item FOR EACH ROW INSERT INTO seen (v) VALUES (NEW.v)';

test('a COMMIT of the write-back without an answer: what it brings is on the source once, and no conflict', async () => {
  using folder = temporaryFolder();
  const gate = join(folder.path, 'gate');
  await using rehearsal = await Rehearsal.start({
    rows: 200,
    environment: { SWITCHYARD_FAILPOINTS: `write_back.before_commit=wait:${gate}` },
  });
  const { switchyard } = rehearsal;
  await using relay = await TcpRelay.start(rehearsal.source);
  await using source = await connect(rehearsal.source, 'shop');
  await using target = await connect(rehearsal.target);
  await source.query(TABLES);
  const plain = rehearsal.request({ options: { reverse: 'always' } });
  await switchyard.client.createImport({ ...plain, source: { ...plain.source, port: relay.port } });
  await rehearsal.reach('running');
  await target.query('USE shop');
  const seen = async () => (await rows(source, 'SELECT v FROM seen ORDER BY number')).map(({ v }) => v);
  const hasCome = async (v: string) => {
    await expect.poll(seen, { timeout: 60_000 }).toContain(v);
    await expect
      .poll(async () => await compareDatabases(rehearsal.source, rehearsal.target, 'shop'), { timeout: 60_000 })
      .toEqual([]);
  };
  /** Stopped right before the COMMIT of what changes this row. */
  const atCommit = async (v: string, id: number) => {
    writeFileSync(gate, '');
    await target.query(`UPDATE item SET v = '${v}' WHERE id = ${id}`);
    await expect.poll(() => existsSync(`${gate}.reached`), { timeout: 60_000 }).toBe(true);
    rmSync(`${gate}.reached`);
  };
  const killEngine = () => process.kill(switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');

  // It has happened, and nobody has heard of it.
  await atCommit('answer lost', 1);
  relay.delay(600_000);
  rmSync(gate);
  await expect.poll(seen).toEqual(['answer lost']);
  relay.cut('reset');
  relay.forward();
  await hasCome('answer lost');
  // The same with the engine gone meanwhile.
  await atCommit('answer lost, killed', 2);
  relay.delay(600_000);
  rmSync(gate);
  await expect.poll(seen).toEqual(['answer lost', 'answer lost, killed']);
  killEngine();
  relay.forward();
  await hasCome('answer lost, killed');
  // It never arrived, and the server rolls back when it hears of the end.
  await atCommit('not arrived', 3);
  relay.cut('reset');
  rmSync(gate);
  await hasCome('not arrived');
  // The server never hears of the end: the transaction is open there, with its locks.
  await atCommit('left open', 4);
  relay.strand();
  killEngine();
  rmSync(gate);
  await hasCome('left open');

  expect(await seen()).toEqual(['answer lost', 'answer lost, killed', 'not arrived', 'left open']);
  expect(await rows(target, 'SELECT v FROM item ORDER BY id')).toEqual(
    ['answer lost', 'answer lost, killed', 'not arrived', 'left open'].map((v) => ({ v })),
  );
  expect(await rows(target, 'SELECT * FROM _switchyard.conflicts')).toEqual([]);
}, 240_000);
