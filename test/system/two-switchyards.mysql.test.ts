import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { balance, codes, copyState } from '../support/old-state.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const POLL = { timeout: 60_000, interval: 100 };
const WRITE = 'UPDATE traffic_accounts SET balance = balance + 1 WHERE id = 1';

test('a copy of the data directory that runs beside the true one: the one that did not make the last switch holds traffic, whichever it is', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200 });
  const { switchyard: first, source } = rehearsal;
  await using second = await SwitchyardProcess.start();
  await second.stop();
  // Without a fence nothing but the marker keeps the other one's applications from the old primary.
  await first.client.createImport(rehearsal.request({ options: { fence: 'none' } }));
  await rehearsal.reach('running');
  copyState(first, second);
  await second.startProcess();
  const errorOf = async ({ client }: SwitchyardProcess) => (await client.getImport(IMPORT)).error?.code;
  const reach = async ({ client }: SwitchyardProcess, phase: string) =>
    expect.poll(async () => (await client.getImport(IMPORT)).phase, POLL).toBe(phase);

  // The later one has the streams. Until one of them switches, both send traffic to the same side.
  await rehearsal.asApplication(WRITE, first.primaryPort);
  await expect.poll(() => errorOf(first), POLL).toBe('STREAM_TAKEN_OVER');
  await rehearsal.asApplication(WRITE, first.primaryPort);
  await rehearsal.asApplication(WRITE, second.primaryPort);
  await expect(first.client.switchTraffic(IMPORT, { kind: 'primaries', force: true })).rejects.toMatchObject({
    code: 'PHASE_REFUSED',
  });

  await second.client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  // It would go on with the stream to the target, which everybody writes to.
  await expect(first.client.resume(IMPORT)).rejects.toMatchObject({ code: 'STATE_OUTDATED' });
  expect((await first.client.doctor(IMPORT)).route).toMatchObject({ hold: 'all', fenced: true });
  const arguments_ = [MAIN, 'serve', '--replace', '--set', `dataDir=${first.dataDir}`];
  await expect(promisify(execFile)(process.execPath, arguments_)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^STATE_OUTDATED: .*does not know the last switch.*doctor shop --repair/),
  });
  const before = await balance(rehearsal, 'source');
  const held = rehearsal.asApplication(WRITE, first.primaryPort);
  held.catch(() => {});
  await rehearsal.asApplication(WRITE, second.primaryPort);

  // A person makes the first one the true one. The second one hears of the way back by itself.
  expect(codes(await first.client.repair(IMPORT))).toEqual(['STATE_OUTDATED repaired']);
  await held;
  expect(await balance(rehearsal, 'target')).toBe(before + 2);
  await rehearsal.caughtUpWith(rehearsal.target);
  await first.client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  await expect.poll(() => errorOf(second), POLL).toBe('STATE_OUTDATED');
  expect((await second.client.doctor(IMPORT)).route).toMatchObject({ hold: 'all', fenced: true });
  await reach(first, 'running');
  await rehearsal.asApplication(WRITE, first.primaryPort);
  await rehearsal.caughtUpWith(source);
  expect(await balance(rehearsal, 'target')).toBe(await balance(rehearsal, 'source'));
  expect((await first.client.doctor(IMPORT)).findings).toEqual([]);
}, 240_000);
