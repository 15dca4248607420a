import { expect, test } from 'vitest';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { on } from '../support/verified.ts';

const POLL = { timeout: 60_000, interval: 100 };
const WRITE = 'UPDATE customers SET credit = credit + 1 WHERE id = 1';

test("another Switchyard's import into the same target: of other tables it is none of our business; of the same ones our import stops, and traffic goes on", async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200 });
  const { switchyard: ours, target } = rehearsal;
  await using theirs = await SwitchyardProcess.start();
  const imported = async ({ client }: SwitchyardProcess, id: string, tables: string[]): Promise<void> => {
    await client.createImport(rehearsal.request({ id, tables }));
    await expect.poll(async () => (await client.getImport(id)).phase, POLL).toBe('running');
  };
  await imported(ours, IMPORT, ['customers', 'products']);
  await ours.client.verify(IMPORT);
  await rehearsal.verdict('equal');

  await imported(theirs, 'others', ['orders']);
  // Asks both servers first.
  const { refusals } = await ours.client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
  expect(refusals.map(({ code }) => code)).toEqual(['TABLES_LEFT_BEHIND']);
  await theirs.client.cancelImport('others');

  // Somebody makes room.
  await on(target, 'SET sql_log_bin = 0; DROP TABLE customers');
  await imported(theirs, 'rehearsal', ['customers']);
  await expect.poll(async () => (await ours.client.getImport(IMPORT)).error?.code, POLL).toBe('TARGET_SHARED');
  expect(await ours.client.getImport(IMPORT)).toMatchObject({
    error: { message: expect.stringContaining('the import rehearsal, created at') },
    verify: { state: 'stale', reason: expect.stringContaining('rehearsal') },
  });
  await rehearsal.asApplication(WRITE);
  expect((await ours.client.doctor(IMPORT)).route).toMatchObject({ hold: 'none', primary: 'source' });
  // It would drop their table.
  await expect(ours.client.cancelImport(IMPORT)).rejects.toMatchObject({ code: 'TARGET_SHARED' });
  await expect(ours.client.resume(IMPORT)).rejects.toMatchObject({ code: 'TARGET_SHARED' });

  // It goes, with the table; nothing of ours has been written meanwhile, and traffic was never held.
  await theirs.client.cancelImport('rehearsal');
  await rehearsal.asApplication(WRITE);
  await ours.client.cancelImport(IMPORT);
  expect((await ours.client.getImport(IMPORT)).phase).toBe('cancelled');
}, 240_000);
