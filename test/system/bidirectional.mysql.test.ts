import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { connect, rows } from '../support/query.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const TABLES =
  'CREATE TABLE item (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL, u INT NULL UNIQUE);' +
  "INSERT INTO item VALUES (1,'v',NULL),(2,'v',NULL),(3,'v',NULL),(4,'v',NULL),(5,'v',NULL),(6,'v',NULL),(7,'v',NULL),(8,'v',NULL),(9,'v',90);" +
  'CREATE TABLE watched (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL); CREATE TABLE seen (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20));' +
  "INSERT INTO watched VALUES (1, 'v'); CREATE TRIGGER watch AFTER UPDATE ON watched FOR EACH ROW INSERT INTO seen (v) VALUES (NEW.v);" +
  'CREATE TABLE guarded (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL); CREATE TABLE numbered (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL);' +
  "INSERT INTO guarded VALUES (1, 'v'); CREATE TRIGGER guard BEFORE UPDATE ON guarded FOR EACH ROW SET NEW.v = OLD.v;" +
  'CREATE TRIGGER number BEFORE INSERT ON numbered FOR EACH ROW SET NEW.id = NEW.id + 1000;' +
  'CREATE TABLE doc (name VARCHAR(20) PRIMARY KEY, body JSON NOT NULL);' +
  `INSERT INTO doc VALUES ('a', JSON_OBJECT('d', CAST('2026-01-01' AS DATE)))`;

async function started(rehearsal: Rehearsal): Promise<void> {
  const { client } = rehearsal.switchyard;
  await using source = await connect(rehearsal.source, 'shop');
  await source.query(TABLES);
  await client.createImport(
    rehearsal.request({ options: { reverse: 'always', pauseDeadlineMs: 30_000, maxLagMs: 30_000 } }),
  );
  await rehearsal.reach('running');
}

test.each(['mysql-9.7', 'mariadb-11.8'] as const)(
  'while running both sides are written to: %s',
  async (flavor) => {
    await using rehearsal = await Rehearsal.start({ rows: 200, source: flavor });
    await started(rehearsal);
    await using source = await connect(rehearsal.source, 'shop');
    await using target = await connect(rehearsal.target, 'shop');
    const equal = async () => await compareDatabases(rehearsal.source, rehearsal.target, 'shop');

    // Alone on one side.
    await target.query("UPDATE item SET v = 't' WHERE id = 7; INSERT INTO item VALUES (70, 't', 700)");
    await expect
      .poll(async () => await rows(source, 'SELECT v FROM item WHERE id IN (7, 70)'))
      .toEqual([{ v: 't' }, { v: 't' }]);
    await source.query("UPDATE item SET v = 'a' WHERE id = 7");
    await expect.poll(async () => await rows(target, 'SELECT v FROM item WHERE id = 7')).toEqual([{ v: 'a' }]);

    // The source's triggers do what they do for applications, and the target hears of it.
    await target.query("UPDATE watched SET v = 't' WHERE id = 1");
    await expect.poll(async () => await rows(target, 'SELECT v FROM seen')).toEqual([{ v: 't' }]);
    await expect.poll(equal).toEqual([]);

    // One that turns a change back, or gives a row another key, leaves the source as it was, and the tester is told.
    await target.query("UPDATE guarded SET v = 't' WHERE id = 1; INSERT INTO numbered VALUES (1, 't')");
    const refused = async () => await rows(target, 'SELECT table_name AS t FROM _switchyard.conflicts ORDER BY id');
    await expect.poll(refused).toEqual([{ t: 'guarded' }, { t: 'numbered' }]);
    await expect.poll(equal).toEqual([]);
    await target.query('DELETE FROM _switchyard.conflicts');

    // While something is prepared on the source, what the target says of the stream to it is of another form (MariaDB).
    await using preparing = await connect(rehearsal.source, 'shop');
    await preparing.query("XA START 'x'; INSERT INTO item VALUES (80, 'x', NULL); XA END 'x'; XA PREPARE 'x'");
    await source.query("UPDATE item SET v = 'a' WHERE id = 70");
    await expect.poll(async () => await rows(target, 'SELECT v FROM item WHERE id = 70')).toEqual([{ v: 'a' }]);
    await target.query("UPDATE item SET v = 't' WHERE id = 70");
    await expect.poll(async () => await rows(source, 'SELECT v FROM item WHERE id = 70')).toEqual([{ v: 't' }]);
    await preparing.query("XA COMMIT 'x'");
    await expect.poll(async () => await rows(target, 'SELECT v FROM item WHERE id = 80')).toEqual([{ v: 'x' }]);
    await expect.poll(equal).toEqual([]);

    // At the same time on both: neither stream has seen what the other side did.
    const engine = rehearsal.switchyard.pids('engine').at(-1) ?? 0;
    process.kill(engine, 'SIGSTOP');
    await source.query("UPDATE item SET v = 'a1' WHERE id = 1");
    await target.query("UPDATE item SET v = 't1' WHERE id = 1");
    await source.query("UPDATE item SET v = 'a2' WHERE id = 2");
    await target.query('DELETE FROM item WHERE id = 2');
    await source.query('DELETE FROM item WHERE id = 3');
    await target.query("UPDATE item SET v = 't3' WHERE id = 3");
    await source.query("UPDATE item SET v = 'a4' WHERE id = 4");
    await target.query("BEGIN; UPDATE item SET v = 't5' WHERE id = 5; UPDATE item SET v = 't4' WHERE id = 4; COMMIT");
    await source.query("INSERT INTO item VALUES (100, 'a', NULL)");
    await target.query("INSERT INTO item VALUES (100, 't', NULL)");
    await source.query("INSERT INTO item VALUES (200, 'a', 1)");
    await target.query("INSERT INTO item VALUES (201, 't', 1)");
    // There and back again: what the tester found is there, and is to be followed by what the source had in between.
    await source.query("UPDATE item SET v = 'a6' WHERE id = 6");
    await source.query("UPDATE item SET v = 'v' WHERE id = 6");
    await target.query("UPDATE item SET v = 't6' WHERE id = 6");
    // The same by a unique value: in between the source had the tester's value in another row.
    await source.query("INSERT INTO item VALUES (300, 'a', 8)");
    await source.query('DELETE FROM item WHERE id = 300');
    await target.query('UPDATE item SET u = 8 WHERE id = 8');
    await source.query(`UPDATE doc SET body = '{"a": 1}' WHERE name = 'a'`);
    await target.query(`UPDATE doc SET body = '{"t": 1}' WHERE name = 'a'`);
    process.kill(engine, 'SIGCONT');
    await expect
      .poll(async () => await rows(source, 'SELECT v, u FROM item WHERE id IN (6, 8) ORDER BY id'))
      .toEqual([
        { v: 't6', u: null },
        { v: 'v', u: 8 },
      ]);
    await expect.poll(equal, { timeout: 60_000 }).toEqual([]);
    expect(
      await rows(target, 'SELECT id, v FROM item WHERE id IN (1, 2, 3, 4, 5, 6, 8, 100, 200, 201) ORDER BY id'),
    ).toEqual([
      { id: 1, v: 'a1' },
      { id: 2, v: 'a2' },
      { id: 4, v: 'a4' },
      { id: 5, v: 'v' },
      { id: 6, v: 't6' },
      { id: 8, v: 'v' },
      { id: 100, v: 'a' },
      { id: 200, v: 'a' },
    ]);
    // The rows may be equal before all of what was in the way has been judged.
    const kept = async () => await rows(target, 'SELECT table_name AS t, kind FROM _switchyard.conflicts ORDER BY id');
    await expect
      .poll(async () => (await kept()).map(({ t, kind }) => `${t} ${kind}`))
      .toEqual([
        'item update',
        'item delete',
        'item update',
        'item update',
        'item update',
        'item insert',
        'item insert',
        'doc update',
      ]);

    // In turn, quickly: no write conflicts with its predecessor of the same side.
    for (let i = 0; i < 50; i += 1) await target.query(`UPDATE item SET v = 'n${i}' WHERE id = 9`);
    await expect.poll(async () => await rows(source, 'SELECT v FROM item WHERE id = 9')).toEqual([{ v: 'n49' }]);
    await expect.poll(equal).toEqual([]);
    expect(await kept()).toHaveLength(8);
    await expect
      .poll(async () => await rows(source, 'SELECT COUNT(*) AS count FROM _switchyard.messages'))
      .toEqual([{ count: '0' }]);
    // What a tester has prepared holds up no verification, and the switch says so.
    await using tester = await connect(rehearsal.target, 'shop');
    await tester.query("XA START 'y'; INSERT INTO item VALUES (81, 'y', NULL); XA END 'y'; XA PREPARE 'y'");
    await rehearsal.switchyard.client.verify(IMPORT);
    expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });
    const { refusals } = await rehearsal.switchyard.client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
    expect(refusals.map(({ code }) => code)).toContain('XA_PREPARED');
  },
  240_000,
);

test('the engine killed between the steps of the write-back, and a switch forth and back while both sides are written to', async () => {
  const steps = ['write_back.before_commit', 'write_back.after_commit', 'apply.before_commit', 'apply.after_commit'];
  const failpoints = Object.fromEntries(steps.map((step) => [step, `kill:${step}`] as const));
  await using rehearsal = await Rehearsal.start({ rows: 200, failpoints });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const missed = () => steps.filter((step) => !existsSync(join(switchyard.dataDir, step)));
  await started(rehearsal);
  await using target = await connect(rehearsal.target, 'shop');
  const traffic = rehearsal.traffic();
  // A tester's own rows, some of which are the application's too: each attempt is on both sides, or kept as a conflict.
  const writing = new AbortController();
  const attempts: string[] = [];
  const tester = async () => {
    for (let i = 0; !writing.signal.aborted; i += 1) {
      await target.query(`INSERT INTO item VALUES (${1000 + i}, 't${i}', NULL)`);
      attempts.push(`t${i}`);
      // Not always the same rows: a switch waits until what meets the application's rows has been mended.
      if (i % 10 === 0) await target.query(`UPDATE item SET v = 't${i}' WHERE id = ${1 + ((i / 10) % 9)}`);
      await delay(50);
    }
  };
  const application = async () => {
    for (let i = 0; !writing.signal.aborted; i += 1) {
      await rehearsal.asApplication(`UPDATE item SET v = 'a${i}' WHERE id = ${1 + ((i * 7) % 9)}`).catch(() => {});
      await delay(80);
    }
  };
  const writers = [tester(), application()];
  await rehearsal
    .until(() => missed().length === 0)
    .catch((cause: unknown) => {
      throw new Error(`never reached: ${missed().join(', ')}`, { cause });
    });
  await expect.poll(() => attempts.length, { timeout: 60_000 }).toBeGreaterThan(100);
  await rehearsal.until(({ phase }) => phase === 'running');
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  const atSwitch = attempts.length;
  await expect.poll(() => attempts.length, { timeout: 60_000 }).toBeGreaterThan(atSwitch + 30);
  writing.abort();
  await Promise.all(writers);
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
  await rehearsal.caughtUpWith(rehearsal.target);
  await expect
    .poll(async () => await compareDatabases(rehearsal.source, rehearsal.target, 'shop'), { timeout: 60_000 })
    .toEqual([]);
  // Nothing of a tester is lost without a word.
  const there = new Set((await rows(target, 'SELECT v FROM item WHERE id >= 1000')).map(({ v }) => String(v)));
  const kept = JSON.stringify(await client.conflicts(IMPORT, { limit: 1000 }));
  expect(attempts.filter((attempt) => !there.has(attempt) && !kept.includes(`"${attempt}"`))).toEqual([]);

  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  await rehearsal.reach('running');
  await using source = await connect(rehearsal.source, 'shop');
  await source.query("UPDATE item SET v = 'again' WHERE id = 5");
  await expect.poll(async () => await rows(target, 'SELECT v FROM item WHERE id = 5')).toEqual([{ v: 'again' }]);
  await target.query("UPDATE item SET v = 'tested' WHERE id = 5");
  await expect.poll(async () => await rows(source, 'SELECT v FROM item WHERE id = 5')).toEqual([{ v: 'tested' }]);
  expect(await compareDatabases(rehearsal.source, rehearsal.target, 'shop')).toEqual([]);
}, 240_000);

test('DDL on the target stops the write-back, and is passed over on request', async () => {
  using folder = temporaryFolder();
  const gate = join(folder.path, 'failed');
  await using rehearsal = await Rehearsal.start({
    rows: 200,
    environment: { SWITCHYARD_FAILPOINTS: `import.failed=wait:${gate}` },
  });
  const { client } = rehearsal.switchyard;
  await started(rehearsal);
  await using source = await connect(rehearsal.source, 'shop');
  await using target = await connect(rehearsal.target, 'shop');
  // A table of a tester's own is nobody's matter.
  await target.query('CREATE TABLE scratch (id INT PRIMARY KEY); INSERT INTO scratch VALUES (1); DROP TABLE scratch');
  // What is asked for while the import stops finds it stopped.
  writeFileSync(gate, '');
  await target.query('ALTER TABLE item ADD COLUMN mine INT');
  await expect.poll(() => existsSync(`${gate}.reached`)).toBe(true);
  const asked = client.setReplicaHost(IMPORT, null);
  await expect.poll(() => rehearsal.switchyard.log()).toContain('asked to set the replica host');
  rmSync(gate);
  expect((await asked).phase).toBe('error');
  await expect.poll(async () => (await client.getImport(IMPORT)).error?.code).toBe('WRITE_BACK_DDL');
  await target.query('ALTER TABLE item DROP COLUMN mine');
  await client.resume(IMPORT, 'skip');
  await expect.poll(async () => (await client.getImport(IMPORT)).error?.message).toContain('DROP COLUMN');
  await target.query("UPDATE item SET v = 'behind' WHERE id = 1");
  // The source's own DDL comes along, and rows of both sides before and behind it. What was decided of the one statement is not done with the other.
  await source.query('ALTER TABLE item ADD COLUMN w INT NOT NULL DEFAULT 7');
  await target.query("UPDATE item SET v = 'meanwhile' WHERE id = 2");
  const stops: (string | undefined)[] = [];
  const goneOn = async () => {
    const { phase, error } = await client.getImport(IMPORT);
    if (error === null) return phase;
    if (stops.at(-1) !== error.code) stops.push(error.code);
    await client.resume(IMPORT, error.code === 'WRITE_BACK_DDL' ? 'skip' : 'apply').catch(() => {});
    return error.code;
  };
  await expect
    .poll(async () => ((await goneOn()) === 'running' ? await rows(target, "SHOW COLUMNS FROM item LIKE 'w'") : []))
    .toHaveLength(1);
  await expect
    .poll(async () => [await goneOn(), new Set(stops)])
    .toEqual(['running', new Set(['WRITE_BACK_DDL', 'DDL_STOPPED'])]);
  await expect.poll(async () => await rows(source, 'SELECT v FROM item WHERE id = 1')).toEqual([{ v: 'behind' }]);
  await expect
    .poll(async () => await rows(source, 'SELECT v, w FROM item WHERE id = 2'))
    .toEqual([{ v: 'meanwhile', w: 7 }]);
  await expect.poll(async () => await rows(target, 'SELECT * FROM item WHERE id = 2')).toMatchObject([{ w: 7 }]);
  await target.query("INSERT INTO item VALUES (500, 'new', NULL, 9)");
  await expect.poll(async () => await rows(source, 'SELECT w FROM item WHERE id = 500')).toEqual([{ w: 9 }]);
  await expect.poll(async () => await compareDatabases(rehearsal.source, rehearsal.target, 'shop')).toEqual([]);
  // A table that is new on the source is written to on both sides.
  await source.query('CREATE TABLE fresh (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO fresh VALUES (1, "a")');
  await expect.poll(async () => (await client.getImport(IMPORT)).error?.code).toBe('DDL_STOPPED');
  await client.resume(IMPORT, 'apply');
  await expect
    .poll(async () => await rows(target, 'SELECT v FROM fresh WHERE id = 1').catch(() => []))
    .toEqual([{ v: 'a' }]);
  await target.query("UPDATE fresh SET v = 't' WHERE id = 1; INSERT INTO fresh VALUES (2, 't')");
  await expect.poll(async () => await rows(source, 'SELECT v FROM fresh')).toEqual([{ v: 't' }, { v: 't' }]);
}, 240_000);
