import { expect, test } from 'vitest';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { differing, on } from '../support/verified.ts';

const FORTH = { kind: 'primaries' } as const;
const BACK = { kind: 'primaries', back: true } as const;

test('forced without the verification that foreign keys ask for: kept with the switch, and asked for again', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 50, source: 'mariadb-11.8' });
  const { client } = rehearsal.switchyard;
  await on(
    rehearsal.source,
    'CREATE TABLE parents (id INT PRIMARY KEY)',
    'CREATE TABLE children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE)',
  );
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  const forced = await client.switchTraffic(IMPORT, { ...FORTH, force: true });
  expect(forced.view.switches).toMatchObject([{ to: 'target', forced: ['VERIFICATION_NEEDED'] }]);
  await rehearsal.caughtUpWith(rehearsal.target);
  const back = await client.switchTraffic(IMPORT, BACK);
  expect(back.view.switches).toMatchObject([{ forced: ['VERIFICATION_NEEDED'] }, { to: 'source', forced: [] }]);
  const again = await client.switchTraffic(IMPORT, { ...FORTH, dryRun: true });
  expect(again.refusals.map(({ code }) => code)).toEqual(['VERIFICATION_NEEDED']);
  await client.verify(IMPORT);
  await rehearsal.verdict('equal');
  expect((await client.switchTraffic(IMPORT, FORTH)).refusals).toEqual([]);
});

test('back over a log of the source that is gone: a verification finds what the watch could not; forced, it stays found', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200 });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request({ options: { maxLagMs: 1000 } }));
  await rehearsal.reach('running');
  await client.switchTraffic(IMPORT, FORTH);
  await rehearsal.until(({ streams }) => streams[0]?.direction === 'reverse' && streams[0].state === 'running');
  await switchyard.killAll();
  await on(
    rehearsal.source,
    'UPDATE customers SET credit = credit + 1 WHERE id IN (3, 4)',
    'FLUSH BINARY LOGS',
    'UPDATE customers SET credit = credit + 1 WHERE id = 5',
  );
  {
    await using source = await connect(rehearsal.source);
    const last = (await rows(source, 'SHOW BINARY LOGS')).at(-1)?.['Log_name'];
    await source.query(`PURGE BINARY LOGS TO '${String(last)}'`);
  }
  await switchyard.startProcess();
  await rehearsal.until(({ strayWrites }) => strayWrites?.watch === 'failed');

  await client.verify(IMPORT);
  const { verify } = await rehearsal.until((view) => view.verify?.state === 'different');
  expect(differing(verify)).toEqual(['customers (3)', 'customers (4)', 'customers (5)']);
  const { refusals } = await client.switchTraffic(IMPORT, { ...BACK, dryRun: true });
  const codes = ['STRAY_WATCH_BEHIND', 'VERIFICATION_NOT_EQUAL'];
  expect(refusals.map(({ code }) => code)).toEqual(codes);
  // Repaired rows are the same, and it is not said to be equal: nobody would see what comes.
  const repaired = await client.repairDifferences(IMPORT);
  expect(repaired).toMatchObject({
    repaired: 3,
    view: { verify: { state: 'stale', reason: expect.stringContaining('cannot be read') } },
  });
  const back = await client.switchTraffic(IMPORT, { ...BACK, force: true });
  expect(back.view.switches.at(-1)?.forced).toEqual(['STRAY_WATCH_BEHIND']);
  expect(back.warnings).toContainEqual(expect.stringMatching(/^VERIFICATION_STALE/));
  await rehearsal.asApplication('UPDATE customers SET credit = credit + 1 WHERE id = 9');
  await rehearsal.caughtUpWith(rehearsal.source);
  expect(await rehearsal.differingTables()).toEqual([]);
});
