import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import type { Side } from '../../core/phase.ts';
import type { DoctorReport } from '../../engine/doctor/doctor-report.ts';
import type { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { connect, rows } from './query.ts';
import { IMPORT, type Rehearsal } from './rehearsal.ts';

export const codes = ({ findings }: DoctorReport) => findings.map(({ code, outcome }) => `${code} ${outcome}`);

function snapshot({ dataDir }: SwitchyardProcess, into: string): void {
  using database = new DatabaseSync(join(dataDir, 'state.sqlite'));
  database.exec(`VACUUM INTO '${into}'`);
}

function putBack({ dataDir }: SwitchyardProcess, backup: string): void {
  const file = join(dataDir, 'state.sqlite');
  for (const suffix of ['-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
  copyFileSync(backup, file);
}

/** As a backup has it, which is taken while Switchyard runs. Returns what puts it back; gone with the data directory. */
export function backUp({ switchyard }: Pick<Rehearsal, 'switchyard'>): () => void {
  const backup = join(mkdtempSync(join(switchyard.dataDir, 'backup-')), 'state.sqlite');
  snapshot(switchyard, backup);
  return () => putBack(switchyard, backup);
}

/** The data directory as it is now, for one that does not run. */
export function copyState(from: SwitchyardProcess, to: SwitchyardProcess): void {
  const backup = join(mkdtempSync(join(to.dataDir, 'copy-')), 'state.sqlite');
  snapshot(from, backup);
  putBack(to, backup);
  copyFileSync(join(from.dataDir, 'secret.key'), join(to.dataDir, 'secret.key'));
}

/** An application that connects as Switchyard starts and writes as soon as it may. */
export async function firstWriter(rehearsal: Rehearsal): Promise<{ answer: () => unknown; done: Promise<unknown> }> {
  let answer: unknown;
  const done = (async () => {
    for (;;) {
      try {
        return await rehearsal.asApplication('UPDATE traffic_accounts SET balance = balance + 1000000 WHERE id = 1');
      } catch (error) {
        if ((error as { code?: string }).code !== 'ECONNREFUSED') throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  })();
  done.then(
    (result) => (answer = result),
    (error: unknown) => (answer = error),
  );
  return { answer: () => answer, done };
}

export async function expectHeld(rehearsal: Rehearsal, primary: Side): Promise<void> {
  const { client } = rehearsal.switchyard;
  const view = await client.getImport(IMPORT);
  expect(view).toMatchObject({ phase: 'error', error: { code: 'STATE_OUTDATED' }, streams: [], strayWrites: null });
  const report = await client.doctor(IMPORT);
  expect(codes(report)).toEqual(['STATE_OUTDATED found']);
  expect(report.route).toMatchObject({ hold: 'all', fenced: true });
  for (const request of [
    () => client.resume(IMPORT),
    () => client.switchTraffic(IMPORT, { kind: 'primaries', force: true }),
    () => client.verify(IMPORT, {}),
  ])
    await expect(request()).rejects.toMatchObject({ code: 'STATE_OUTDATED' });
  // By an old state the tables on the target are a copy that can be made again.
  const cancelled = primary === 'target' ? 'STATE_OUTDATED' : 'PHASE_REFUSED';
  await expect(client.cancelImport(IMPORT)).rejects.toMatchObject({ code: cancelled });
}

export const balance = async (rehearsal: Rehearsal, side: Side) => {
  await using connection = await connect(rehearsal[side], 'shop');
  const [row] = await rows(connection, 'SELECT balance FROM traffic_accounts WHERE id = 1');
  return Number(row?.['balance']);
};
