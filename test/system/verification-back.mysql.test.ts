import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ImportRequestInput } from '../../admin/client.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { on, SPOILS, stateOf } from '../support/verified.ts';
import { selected } from '../support/selection.ts';

async function verified(rehearsal: Rehearsal, options: ImportRequestInput['options'] = {}): Promise<void> {
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options }));
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  await rehearsal.reach('verified_data');
}

test.each(selected(['mariadb-11.8'] as const, ['mysql-9.7'] as const))(
  '%s: verified stays verified beyond the switch and on the way back, under traffic',
  async (source) => {
    await using rehearsal = await Rehearsal.start({ rows: 5000, source });
    const { client } = rehearsal.switchyard;
    await client.createImport(rehearsal.request());
    const traffic = rehearsal.traffic();
    await rehearsal.reach('running');
    await client.verify(IMPORT);
    await rehearsal.reach('verified_data');
    const ways = [
      [false, 'target'],
      [true, 'source'],
    ] as const;
    for (const [back, primary] of selected(ways, ways)) {
      const report = await client.switchTraffic(IMPORT, { kind: 'primaries', back });
      expect(report).toMatchObject({ switched: true, refusals: [], view: { verify: { state: 'equal', primary } } });
      expect(report.warnings.filter((warning) => warning.startsWith('VERIFICATION'))).toEqual([]);
      const { verify, phase } = await rehearsal.until((view) => (view.verify?.recheck?.compared ?? 0) > 100);
      expect(verify).toMatchObject({ state: 'equal', primary });
      expect(phase).toBe(back ? 'verified_data' : 'switched_primaries');
      const before = verify?.position;
      await rehearsal.until((view) => view.verify?.position !== before);
    }
    await traffic.stop();
    expect(traffic.errors).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal.source)).toMatchObject({ exact: true, lost: 0 });
  },
);

test('a row that the old side spoilt is found, told in the terms of the import, and refuses the way back', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 2000 });
  const { client } = rehearsal.switchyard;
  await verified(rehearsal);
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await rehearsal.until(({ streams }) => streams[0]?.direction === 'reverse' && streams[0].state === 'running');
  // Past the log, and then written by the new primary: right again, since a whole row comes with every change.
  await on(rehearsal.source, "SET sql_log_bin = 0; UPDATE customers SET name = 'flipped' WHERE id IN (3, 5)");
  await rehearsal.asApplication('UPDATE customers SET credit = credit + 1 WHERE id = 5');
  const first = await rehearsal.until((view) => (view.verify?.recheck?.compared ?? 0) > 0);
  expect(first.verify).toMatchObject({ state: 'equal', primary: 'target' });
  await on(rehearsal.source, `SET sql_log_bin = 0; ${SPOILS}`);
  await rehearsal.asApplication('UPDATE customers SET credit = credit + 1 WHERE id IN (7, 8)');
  const { verify } = await rehearsal.until((view) => view.verify?.state === 'different');
  expect(verify?.tables.find(({ name }) => name === 'customers')).toMatchObject({
    differencesTotal: 1,
    differences: [{ key: '(7)', kind: 'different', columns: ['name'], values: [{ column: 'name', source: 'spoilt' }] }],
  });
  await on(rehearsal.source, 'SET sql_log_bin = 0; DROP TRIGGER spoils');
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries', back: true })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: { refusals: [expect.objectContaining({ code: 'VERIFICATION_NOT_EQUAL' })] },
  });
  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  expect((await client.getImport(IMPORT)).verify).toMatchObject({ state: 'different', primary: 'source' });
});

test('an engine that is killed behind the decision, and one behind rows that were not compared yet: the next one goes on', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 2000 });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  await verified(rehearsal);
  const held = join(switchyard.dataDir, 'held');
  const environment = {
    SWITCHYARD_FAILPOINTS: `switch.decided=kill:${join(switchyard.dataDir, 'killed')},verify.recheck=wait:${held}`,
  };
  await switchyard.stop();
  await switchyard.startProcess({ environment });
  await rehearsal.until(({ streams, verify }) => streams[0]?.state === 'running' && verify?.recheck !== null);
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({
    code: 'ENGINE_UNAVAILABLE',
  });
  const moved = await rehearsal.reach('switched_primaries');
  expect(moved.verify).toMatchObject({ state: 'equal', primary: 'target' });
  // Its session begins with a look at triggers.
  await rehearsal.until(({ streams }) => streams[0]?.direction === 'reverse' && streams[0].state === 'running');

  writeFileSync(held, '');
  await on(rehearsal.source, `SET sql_log_bin = 0; ${SPOILS}`);
  await rehearsal.asApplication('UPDATE customers SET credit = credit + 1 WHERE id BETWEEN 1 AND 20');
  await rehearsal.caughtUpWith(rehearsal.target);
  await on(rehearsal.source, 'SET sql_log_bin = 0; DROP TRIGGER spoils');
  expect((await client.getImport(IMPORT)).verify).toMatchObject({ state: 'equal', recheck: { keys: 20 } });
  await switchyard.killAll();
  rmSync(held);
  await switchyard.startProcess();
  const { verify } = await rehearsal.until((view) => view.verify?.state === 'different');
  expect(verify?.tables.find(({ name }) => name === 'customers')?.differencesTotal).toBe(10);
});

test('a row that is spoilt within the pause of the way back undoes it before its decision', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 2000, failpoints: { 'switch.hold': 'wait:held' } });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const held = join(switchyard.dataDir, 'held');
  await verified(rehearsal, { fence: 'triggers', pauseDeadlineMs: 60_000 });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  writeFileSync(held, '');
  const switching = client.switchTraffic(IMPORT, { kind: 'primaries', back: true });
  switching.catch(() => {});
  await rehearsal.until(() => existsSync(`${held}.reached`));
  await on(rehearsal.source, `SET sql_log_bin = 0; ${SPOILS}`);
  await on(rehearsal.target, 'UPDATE customers SET credit = credit + 1 WHERE id = 7');
  rmSync(held);
  await expect(switching).rejects.toMatchObject({
    code: 'SWITCH_ROLLED_BACK',
    message: expect.stringContaining('customers (7)'),
    details: { because: 'VERIFY_DIFFERENT' },
  });
  await on(rehearsal.source, 'SET sql_log_bin = 0; DROP TRIGGER spoils');
  expect(await client.getImport(IMPORT)).toMatchObject({
    traffic: { primary: 'target' },
    verify: { state: 'different' },
  });
});

test('stray writes make it stale, which says why; a table that DDL of the new primary changes is compared anew', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  await verified(rehearsal, { ddl: 'EXEC' });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id = 3');
  const strayed = await rehearsal.until((view) => view.verify?.state === 'stale');
  expect(strayed.verify?.reason).toContain('switchyard stray list');
  await client.applyStrayWrites(IMPORT, 'all');
  const back = await client.switchTraffic(IMPORT, { kind: 'primaries', back: true });
  expect(back.warnings).toContainEqual(expect.stringMatching(/^VERIFICATION_STALE/));

  await client.verify(IMPORT);
  await rehearsal.reach('verified_data');
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  expect((await client.getImport(IMPORT)).verify).toMatchObject({ state: 'equal', primary: 'target' });
  await rehearsal.until(({ streams }) => streams[0]?.direction === 'reverse' && streams[0].state === 'running');
  await rehearsal.asApplication('CREATE TABLE parts (id INT PRIMARY KEY, code VARCHAR(40) NOT NULL)');
  await rehearsal.asApplication("INSERT INTO parts VALUES (1, 'one'), (2, 'two')");
  await rehearsal.until(({ verify }) => verify?.state === 'equal' && stateOf(verify, 'parts') === 'equal');
  // On the old side alone: a look at rows that are written does not find it, the one at the changed table does.
  await on(rehearsal.source, "SET sql_log_bin = 0; UPDATE parts SET code = 'flipped' WHERE id = 2");
  await rehearsal.asApplication('ALTER TABLE parts ADD COLUMN added INT NOT NULL DEFAULT 7');
  const { verify } = await rehearsal.until((view) => view.verify?.state === 'different');
  expect(verify).toMatchObject({ primary: 'target' });
  expect(verify?.tables.filter(({ differencesTotal }) => differencesTotal > 0)).toMatchObject([
    { name: 'parts', differences: [{ key: '(2)', values: [{ column: 'code', source: 'flipped', target: 'two' }] }] },
  ]);
  await rehearsal.asApplication('TRUNCATE TABLE parts');
  await rehearsal.until((view) => view.verify?.state === 'equal');
  const again = await client.switchTraffic(IMPORT, { kind: 'primaries', back: true });
  expect(again.view).toMatchObject({ phase: 'verified_data', verify: { state: 'equal', primary: 'source' } });
});

test('with reverse: off it is stale behind the switch, for nobody brings what is written', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  await verified(rehearsal, { reverse: 'off' });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  expect((await client.getImport(IMPORT)).verify).toMatchObject({
    state: 'stale',
    reason: expect.stringContaining('reverse: off'),
    recheck: null,
  });
  await expect(client.verify(IMPORT)).rejects.toMatchObject({ code: 'VERIFY_REVERSE_OFF' });
});
