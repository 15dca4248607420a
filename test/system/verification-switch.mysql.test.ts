import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { on, SPOILS } from '../support/verified.ts';

async function verified(rehearsal: Rehearsal): Promise<void> {
  const { switchyard } = rehearsal;
  const options = { ddl: 'EXEC', fence: 'triggers', pauseDeadlineMs: 60_000 } as const;
  await switchyard.client.createImport(rehearsal.request({ options }));
  await rehearsal.reach('running');
  await switchyard.client.verify(IMPORT);
  await rehearsal.verdict('equal');
}

/** What the event log says that a switch was forced over. */
async function forcedOver(rehearsal: Rehearsal): Promise<string[]> {
  const logs = await rehearsal.switchyard.client.logs(IMPORT);
  return logs.flatMap(({ message }) => /^the switch is forced over (\w+)/.exec(message)?.[1] ?? []);
}

test('a difference that the last look before a switch finds refuses it, stored or not; forced over rows that were not compared, it is stale behind it', async () => {
  await using rehearsal = await Rehearsal.start({
    rows: 15_000,
    failpoints: { 'verify.recheck': 'wait:recheck', 'verify.drain': 'wait:drain' },
  });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const [recheck, drain] = [join(switchyard.dataDir, 'recheck'), join(switchyard.dataDir, 'drain')];
  await verified(rehearsal);
  writeFileSync(recheck, '');
  writeFileSync(drain, '');
  await on(rehearsal.target, SPOILS);
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id = 7');
  await rehearsal.caughtUpWith(rehearsal.source);
  await on(rehearsal.target, 'DROP TRIGGER spoils');
  const switching = client.switchTraffic(IMPORT, { kind: 'primaries' });
  switching.catch(() => {});
  await rehearsal.until(() => existsSync(`${drain}.reached`) && existsSync(`${recheck}.reached`));
  // One that is refused ends nothing: the verification, a copy, went no further behind it, and said nothing of it.
  await expect(client.cancelImport(IMPORT)).rejects.toMatchObject({ code: 'OPERATION_IN_PROGRESS' });
  rmSync(drain);
  rmSync(recheck);
  await expect(switching).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: { refusals: [expect.objectContaining({ code: 'VERIFICATION_NOT_EQUAL' })] },
  });
  await rehearsal.verdict('different');
  await client.repairDifferences(IMPORT);
  await rehearsal.verdict('equal');
  expect(await forcedOver(rehearsal)).toEqual([]);

  // More than the pause has room for.
  writeFileSync(recheck, '');
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1');
  await rehearsal.caughtUpWith(rehearsal.source);
  const report = await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  expect(report).toMatchObject({
    switched: true,
    refusals: [{ code: 'VERIFICATION_BEHIND', forceable: true }],
    view: { verify: { state: 'stale', reason: expect.stringContaining('forced before all was compared') } },
  });
  expect(await forcedOver(rehearsal)).toEqual(['VERIFICATION_BEHIND']);
});

test('DDL just before the decision undoes a switch whose table is not compared in time; forced over it, the verification is stale', async () => {
  await using rehearsal = await Rehearsal.start({
    rows: 500,
    failpoints: { 'verify.paired_anew': 'wait:pairing', 'switch.hold': 'wait:hold' },
  });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const [pairing, hold] = [join(switchyard.dataDir, 'pairing'), join(switchyard.dataDir, 'hold')];
  await verified(rehearsal);
  writeFileSync(pairing, '');
  writeFileSync(hold, '');
  const switching = client.switchTraffic(IMPORT, { kind: 'primaries' });
  switching.catch(() => {});
  await rehearsal.until(() => existsSync(`${hold}.reached`));
  await on(rehearsal.source, 'ALTER TABLE orders ADD COLUMN added INT NOT NULL DEFAULT 7');
  rmSync(hold);
  await expect(switching).rejects.toMatchObject({
    code: 'SWITCH_ROLLED_BACK',
    message: expect.stringMatching(/not compared within .*orders: ALTER TABLE orders/),
  });
  expect(await client.getImport(IMPORT)).toMatchObject({
    phase: 'running',
    traffic: { primary: 'source' },
    verify: { state: 'rechecking' },
  });
  expect(await client.doctor(IMPORT)).toMatchObject({ healthy: true });
  const refused = await client.switchTraffic(IMPORT, { kind: 'primaries', force: true, dryRun: true });
  expect(refused.refusals).toMatchObject([
    { code: 'VERIFICATION_BEHIND', message: expect.stringContaining('orders: ALTER TABLE orders') },
  ]);
  const report = await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  expect(report).toMatchObject({ switched: true, view: { verify: { state: 'stale', primary: 'target' } } });
  expect(report.view.verify?.reason).toMatch(/forced before all was compared: .*orders: ALTER TABLE orders/);
  rmSync(pairing);
  // Nothing of it is said again by itself.
  await switchyard.killAll();
  await switchyard.startProcess();
  expect((await client.getImport(IMPORT)).verify).toMatchObject({ state: 'stale' });
});
