import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AppError } from '../../core/errors.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { connect, rows } from '../support/query.ts';
import { selected } from '../support/selection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import type { ImportRequestInput } from '../../admin/client.ts';
import type { StrayWriteView } from '../../engine/api.ts';

const SECOND = 1000;

/** A table with every kind of value that a record must keep as it is. */
const TABLE = `CREATE TABLE notes (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, title VARCHAR(40) COLLATE utf8mb4_0900_ai_ci, raw VARBINARY(16), document JSON,
  price DECIMAL(30, 10), stamp TIMESTAMP(3) NULL, choice ENUM('a', 'b'), doubled INT AS (id * 2) STORED)`;
const ROW = (id: number, title: string) =>
  `INSERT INTO notes (id, title, raw, document, price, stamp, choice) VALUES
   (${id}, '${title}', 0x00FF27, '{"b": 9007199254740993, "a": [1.0]}', 12345678901234567890.0123456789, '2026-01-02 03:04:05.678', 'b')`;

async function switched(
  source: 'mysql-9.7' | 'mariadb-11.8' = 'mysql-9.7',
  options: ImportRequestInput['options'] = {},
): Promise<Rehearsal> {
  const rehearsal = await Rehearsal.start({ rows: 2000, source });
  const table = source === 'mysql-9.7' ? TABLE : TABLE.replace('utf8mb4_0900_ai_ci', 'utf8mb4_general_ci');
  await run(rehearsal.source, table, ROW(1, 'one'), ROW(2, 'two'), ROW(3, 'three'));
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options: { skipValidationErrors: true, ...options } }));
  await rehearsal.reach('running');
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  return rehearsal;
}

async function run(server: RunningServer, ...statements: string[]): Promise<void> {
  await using connection = await connect(server, 'shop');
  for (const statement of statements) await connection.query(statement);
}

async function notes(server: RunningServer): Promise<string[]> {
  await using connection = await connect(server, 'shop');
  return (await rows(connection, 'SELECT id, title FROM notes ORDER BY id')).map(
    (row) => `${row['id']} ${row['title']}`,
  );
}

async function counted(rehearsal: Rehearsal, count: number) {
  return (await rehearsal.until(({ strayWrites }) => strayWrites?.count === count, 30 * SECOND)).strayWrites;
}

const brief = ({ kind, table, before, after }: StrayWriteView) => [
  kind,
  table,
  before?.['title'] ?? null,
  after?.['title'] ?? null,
];

test('writes to the old primary are found within a second, kept exactly, and alarmed', async () => {
  await using rehearsal = await switched();
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  // What arrives by the reverse stream is no stray write.
  await run(target, ROW(9, 'by the application'));
  await rehearsal.caughtUpWith(target);
  await rehearsal.until(({ strayWrites }) => strayWrites?.watch === 'watching', 30 * SECOND);
  await counted(rehearsal, 0);

  await run(source, ROW(4, 'stray ä'), "UPDATE notes SET title = 'TWO' WHERE id = 2", 'DELETE FROM notes WHERE id = 3');
  const found = await counted(rehearsal, 3);
  expect(found).toMatchObject({ unapplied: 3, watch: 'watching' });
  // Not when a timer of minutes ends: a stream has told.
  expect(Date.now() - (found?.lastAtMs ?? 0)).toBeLessThan(20 * SECOND);
  const writes = await client.strayWrites(IMPORT);
  expect(writes.map(brief)).toEqual([
    ['insert', 'notes', null, 'stray ä'],
    ['update', 'notes', 'two', 'TWO'],
    ['delete', 'notes', 'three', null],
  ]);
  expect(writes[0]).toMatchObject({
    key: '(4)',
    after: {
      id: '4',
      raw: { hex: '00ff27' },
      price: '12345678901234567890.0123456789',
      stamp: '2026-01-02 03:04:05.678',
      choice: '2',
      doubled: '8',
    },
    applied: false,
  });
  expect(new Set(writes.map(({ gtid }) => gtid)).size).toBe(3);
  const alarms = async () =>
    (await client.logs(IMPORT)).filter(({ level, message }) => level === 'error' && message.includes('stray write'));
  await expect.poll(alarms).toHaveLength(3);
  await expect
    .poll(async () => (await fetch(`${switchyard.adminUrl}/metrics`)).text())
    .toMatch(/^switchyard_stray_writes_total\{[^}]*import="shop"[^}]*\} 3$/m);
  // Nothing of it reached the target by itself.
  expect(await notes(target)).toEqual(['1 one', '2 two', '3 three', '9 by the application']);

  // Many at once: one line for a transaction, a few in a second, every row told of and kept.
  await using root = await connect(source, 'shop');
  const startedAtMs = Date.now();
  await root.query(Array.from({ length: 30 }, (_, index) => ROW(100 + index, `many ${100 + index}`)).join(';'));
  await counted(rehearsal, 33);
  const told = async () =>
    (await alarms()).reduce((sum, { message }) => sum + Number(/^(\d+) more stray writes/.exec(message)?.[1] ?? 1), 0);
  await expect.poll(told).toBe(33);
  const seconds = Math.ceil((Date.now() - startedAtMs) / SECOND);
  expect((await alarms()).length).toBeLessThanOrEqual(3 + 4 * (seconds + 1));
  expect((await client.strayWrites(IMPORT, { after: 3, limit: 1000 })).map(({ key }) => key)).toEqual(
    Array.from({ length: 30 }, (_, index) => `(${100 + index})`),
  );

  // On a busy machine one look may take longer; that all of them do would need a watch that is slower than that.
  const delaysMs: number[] = [];
  for (let id = 200; id < 205; id += 1) {
    await root.query(ROW(id, 'alone'));
    const writtenAtMs = performance.now();
    await counted(rehearsal, 34 + id - 200);
    delaysMs.push(performance.now() - writtenAtMs);
  }
  expect(Math.min(...delaysMs)).toBeLessThan(SECOND);
});

test('the engine killed between stray writes loses none and counts none twice', async () => {
  await using rehearsal = await switched();
  const { switchyard, source } = rehearsal;
  let engine = switchyard.pids('engine').at(-1) ?? 0;
  const expected: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    await using root = await connect(source, 'shop');
    for (let id = 1; id <= 40; id += 1) {
      const row = 1000 * (round + 1) + id;
      // In the middle of the writes, some of which are recorded by then.
      if (id === 20) process.kill(engine, 'SIGKILL');
      await root.query(ROW(row, `row ${row}`));
      expected.push(`(${row})`);
    }
    const before = engine;
    await rehearsal.until(() => switchyard.pids('engine').at(-1) !== before);
    engine = switchyard.pids('engine').at(-1) ?? 0;
  }
  expect(await counted(rehearsal, 120)).toMatchObject({ unapplied: 120 });
  const writes = await switchyard.client.strayWrites(IMPORT, { limit: 1000 });
  expect(writes.map(({ key }) => key)).toEqual(expected);
});

test('applied where the row is as it was; conflicts are left; nothing loops; switching back asks for them', async () => {
  await using rehearsal = await switched();
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  await run(source, ROW(4, 'four'), "UPDATE notes SET title = 'TWO' WHERE id = 2", 'DELETE FROM notes WHERE id = 3');
  await counted(rehearsal, 3);
  // The application has changed row 3 since: in case alone, which the collation of the column does not see.
  await run(target, "UPDATE notes SET title = 'THREE' WHERE id = 3");
  const refused = client.switchTraffic(IMPORT, { kind: 'primaries', back: true });
  await expect(refused).rejects.toMatchObject({ code: 'SWITCH_REFUSED' });
  const codes = (await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, dryRun: true })).refusals;
  const message = expect.stringMatching(/^3 stray writes/);
  expect(codes).toContainEqual(expect.objectContaining({ code: 'STRAY_WRITES_UNAPPLIED', message, forceable: true }));

  expect(await client.applyStrayWrites(IMPORT, [1])).toMatchObject({
    applied: 1,
    conflicts: [],
    strayWrites: { unapplied: 2 },
  });
  const report = await client.applyStrayWrites(IMPORT, 'all');
  expect(report).toMatchObject({ applied: 1, conflicts: [{ id: 3, reason: expect.stringContaining('title') }] });
  expect(await client.applyStrayWrites(IMPORT, [1, 2])).toMatchObject({ applied: 0, already: 2, conflicts: [] });
  await expect(client.applyStrayWrites(IMPORT, [77])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await notes(target)).toEqual(['1 one', '2 TWO', '3 THREE', '4 four']);
  expect((await client.strayWrites(IMPORT, { unapplied: true })).map(({ id }) => id)).toEqual([3]);

  // An applied write is replicated back like any other: here to where another stray write has taken the row away.
  await run(source, ROW(50, 'here and gone'), 'DELETE FROM notes WHERE id = 50');
  await counted(rehearsal, 5);
  expect(await client.applyStrayWrites(IMPORT, [4])).toMatchObject({ applied: 1 });
  await rehearsal.caughtUpWith(target);
  expect(await notes(source)).toContain('50 here and gone');
  expect(await client.applyStrayWrites(IMPORT, [5])).toMatchObject({ applied: 1 });
  // And is not found as a stray write again.
  await run(source, "UPDATE notes SET title = 'overwritten' WHERE id = 4");
  await counted(rehearsal, 6);
  await run(target, "UPDATE notes SET title = 'four again' WHERE id = 4");
  await rehearsal.caughtUpWith(target);
  expect(await notes(source)).toEqual(['1 one', '2 TWO', '3 THREE', '4 four again']);
  expect(await client.getImport(IMPORT)).toMatchObject({ strayWrites: { count: 6, unapplied: 2 } });

  // Forced back and forth again: replication goes on where the watch ended.
  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  await run(source, ROW(5, 'after the way back'));
  await rehearsal.caughtUpWith(source);
  expect(await notes(target)).toEqual(['1 one', '2 TWO', '3 THREE', '4 four again', '5 after the way back']);
  await expect(client.applyStrayWrites(IMPORT, 'all')).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await run(source, ROW(6, 'stray again'));
  expect(await counted(rehearsal, 7)).toMatchObject({ unapplied: 3 });
});

test.each(selected(['mysql-9.7'] as const, ['mariadb-11.8'] as const))(
  '%s: back over strays that the watch has not kept yet: what the reverse stream has written over them stays, and they are kept',
  async (flavor) => {
    await using rehearsal = await switched(flavor, { maxLagMs: 1000 });
    const { switchyard, source, target } = rehearsal;
    const { client } = switchyard;
    await counted(rehearsal, 0);
    // As where the target takes no writes for a moment: it goes on trying.
    const busy =
      "CREATE TRIGGER _switchyard.busy BEFORE INSERT ON _switchyard.stray_writes FOR EACH ROW SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1836";
    await run(target, busy);
    await run(source, "UPDATE notes SET title = 'stray' WHERE id IN (1, 2)", ROW(4, 'stray alone'));
    await run(target, "UPDATE notes SET title = 'of the application' WHERE id = 1");
    await rehearsal.caughtUpWith(target);
    const back = await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
    expect(back.view.switches.at(-1)?.forced).toContain('STRAY_WATCH_BEHIND');
    await rehearsal.asApplication("INSERT INTO notes (id, title) VALUES (5, 'after the way back')");
    process.kill(switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');
    await rehearsal.asApplication("UPDATE notes SET title = 'newer' WHERE id = 3");
    await run(target, 'DROP TRIGGER _switchyard.busy');
    await rehearsal.caughtUpWith(source);
    expect(await notes(source)).toEqual([
      '1 of the application',
      '2 stray',
      '3 newer',
      '4 stray alone',
      '5 after the way back',
    ]);
    expect(await notes(target)).toEqual(['1 of the application', '2 two', '3 newer', '5 after the way back']);
    expect((await client.strayWrites(IMPORT, { unapplied: true })).map(brief)).toEqual([
      ['update', 'notes', 'one', 'stray'],
      ['update', 'notes', 'two', 'stray'],
      ['insert', 'notes', null, 'stray alone'],
    ]);
  },
);

/** Inserts one row after the other on the server itself, as a user whom no read_only stops, until it is stopped. */
function directWriter(server: RunningServer, firstId: number): { readonly next: number; stop: () => Promise<number> } {
  const stopping = new AbortController();
  let id = firstId;
  const done = (async () => {
    await using root = await connect(server, 'shop');
    for (; !stopping.signal.aborted; id += 1) await root.query(ROW(id, 'direct'));
    return id;
  })();
  return {
    get next() {
      return id;
    },
    stop: async () => {
      stopping.abort();
      return await done;
    },
  };
}

test('a writer past the fence all along, the engine killed around it: each row is on the target or recorded, never both', async () => {
  await using rehearsal = await switched();
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  const writer = directWriter(source, 1000);
  for (const step of selected(['switch.reverse_ready', 'switch.decided'], ['switch.fenced', 'switch.released'])) {
    await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
    await switchyard.stop();
    const marker = join(switchyard.dataDir, step);
    await switchyard.startProcess({ environment: { SWITCHYARD_FAILPOINTS: `${step}=kill:${marker}` } });
    await rehearsal.until(({ streams }) => streams[0]?.state === 'running');
    const killed = client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
    await expect(killed, step).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
    expect(existsSync(marker), step).toBe(true);
    const decided = step === 'switch.decided' || step === 'switch.released';
    await rehearsal.until(({ phase }) => phase === (decided ? 'switched_primaries' : 'running'));
    if (!decided) await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  }
  const { next } = writer;
  await expect.poll(() => writer.next).toBeGreaterThan(next + 30);
  const end = await writer.stop();
  const ids = (await notes(source)).map((text) => Number(text.split(' ')[0]));
  expect(ids.length).toBe(3 + end - 1000);
  const applied = (await notes(target)).map((text) => Number(text.split(' ')[0]));
  await counted(rehearsal, ids.length - applied.length);
  const recorded: number[] = [];
  for (let page: StrayWriteView[] = []; page.length > 0 || recorded.length === 0;) {
    page = await client.strayWrites(IMPORT, { after: page.at(-1)?.id ?? 0, limit: 1000 });
    recorded.push(...page.map(({ after }) => Number(after?.['id'])));
  }
  // Both ways have been taken, by many rows each.
  expect(applied.length).toBeGreaterThan(20);
  expect(recorded.length).toBeGreaterThan(20);
  expect([...applied, ...recorded].toSorted((a, b) => a - b)).toEqual(ids);
});

test('what reaches the old primary before the completion is kept', async () => {
  await using rehearsal = await switched();
  const { source, switchyard } = rehearsal;
  await counted(rehearsal, 0);
  await using target = await connect(rehearsal.target);
  await target.query('LOCK TABLES _switchyard.stray_writes READ');
  await run(source, ROW(4, 'first'));
  await expect
    .poll(async () => await rows(target, 'SHOW PROCESSLIST').then((all) => all.map(({ State }) => String(State))), {
      timeout: 20 * SECOND,
    })
    .toContain('Waiting for table metadata lock');
  // Behind the one that is being kept.
  await run(source, ROW(5, 'second'));
  const completing = switchyard.client.complete(IMPORT, IMPORT);
  const codeOfAnother = async () =>
    switchyard.client.resume(IMPORT).then(
      () => '',
      ({ code }: AppError) => code,
    );
  await expect.poll(codeOfAnother).toBe('OPERATION_IN_PROGRESS');
  const streams = async () => (await switchyard.client.getImport(IMPORT)).streams.length;
  await expect(expect.poll(streams, { timeout: 1.5 * SECOND }).toBe(0)).rejects.toThrow();
  await target.query('UNLOCK TABLES');
  expect((await completing).phase).toBe('completed');
  expect(await rows(target, 'SELECT row_key FROM _switchyard.stray_writes')).toEqual([
    { row_key: '(4)' },
    { row_key: '(5)' },
  ]);
});

test('an import in error is watched as well', async () => {
  await using rehearsal = await switched();
  const { source, target, switchyard } = rehearsal;
  const { client } = switchyard;
  await run(target, 'ALTER TABLE notes ADD COLUMN extra INT NULL');
  const view = async () => await client.getImport(IMPORT);
  await expect.poll(async () => (await view()).phase, { timeout: 20_000 }).toBe('error');
  await run(source, ROW(4, 'while in error'));
  await expect.poll(async () => (await view()).strayWrites?.count, { timeout: 20_000 }).toBe(1);
  process.kill(switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');
  await run(source, ROW(5, 'while in error, too'));
  const count = async () => (await view().catch(() => null))?.strayWrites?.count;
  await expect.poll(count, { timeout: 20_000 }).toBe(2);
  expect(await client.applyStrayWrites(IMPORT, [1])).toMatchObject({ applied: 1, conflicts: [] });

  // Who wants no way back needs no stream for it; one that has lost its log could not be ended otherwise.
  await expect(client.cancelImport(IMPORT)).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
  expect(await client.complete(IMPORT, IMPORT)).toMatchObject({ phase: 'completed', error: null });
  expect(await notes(target)).toContain('4 while in error');
});

test('DDL and rows logged as a statement are kept as statements, and the watch goes on', async () => {
  await using rehearsal = await switched();
  const { switchyard, source } = rehearsal;
  await run(source, 'ALTER TABLE notes ADD COLUMN extra INT NULL', 'UPDATE notes SET extra = 5 WHERE id = 1');
  await counted(rehearsal, 2);
  await run(source, "SET SESSION binlog_format = STATEMENT; UPDATE notes SET title = 'x' WHERE id = 1");
  await counted(rehearsal, 3);
  await run(source, 'DROP TABLE notes');
  await counted(rehearsal, 4);
  const writes = await switchyard.client.strayWrites(IMPORT);
  expect(writes.map(({ kind }) => kind)).toEqual(['ddl', 'update', 'statement', 'ddl']);
  expect(writes[1]).toMatchObject({ before: { extra: null }, after: { extra: '5' } });
  expect(writes[2]?.statement).toContain("SET title = 'x'");
  expect((await switchyard.client.applyStrayWrites(IMPORT, 'all')).conflicts).toHaveLength(4);
});

test('MariaDB as the old primary', async () => {
  await using rehearsal = await switched('mariadb-11.8');
  await run(rehearsal.source, ROW(4, 'stray'), "UPDATE notes SET title = 'TWO' WHERE id = 2");
  await counted(rehearsal, 2);
  const writes = await rehearsal.switchyard.client.strayWrites(IMPORT);
  expect(writes[0]?.gtid).toMatch(/^\d+-\d+-\d+$/);
  expect(await rehearsal.switchyard.client.applyStrayWrites(IMPORT, 'all')).toMatchObject({
    applied: 2,
    conflicts: [],
  });
  expect(await notes(rehearsal.target)).toEqual(['1 one', '2 TWO', '3 three', '4 stray']);
});
