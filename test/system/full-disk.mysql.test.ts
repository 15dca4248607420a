import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { RunningServer } from '../../servers/running-server.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { isWhole } from '../support/selection.ts';

const MIB = 1024 * 1024;

/** A file system of its own size for the data of a server, where this machine lets us mount one. */
class SmallDisk implements Disposable {
  readonly #folder: string;

  /** The server must be stopped. Holds what is there and `freeBytes` more. */
  static under(server: RunningServer, freeBytes: number): SmallDisk {
    const folder = server.datadir;
    if (folder === null) throw new Error('not a server of this machine');
    renameSync(folder, `${folder}.before`);
    mkdirSync(folder);
    const used = Number(execFileSync('du', ['-sb', `${folder}.before`], { encoding: 'utf8' }).split('\t')[0]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${used + freeBytes}`, 'tmpfs', folder]);
    cpSync(`${folder}.before`, folder, { recursive: true });
    rmSync(`${folder}.before`, { recursive: true });
    return new SmallDisk(folder);
  }

  private constructor(folder: string) {
    this.#folder = folder;
  }

  grow(bytes: number): void {
    const size = Number(
      execFileSync('df', ['-B1', '--output=size', this.#folder], { encoding: 'utf8' }).split('\n')[1],
    );
    execFileSync('mount', ['-o', `remount,size=${size + bytes}`, this.#folder]);
  }

  get freeBytes(): number {
    return Number(execFileSync('df', ['-B1', '--output=avail', this.#folder], { encoding: 'utf8' }).split('\n')[1]);
  }

  /** Also under a server that still runs: its files go with it. */
  [Symbol.dispose](): void {
    execFileSync('umount', ['--lazy', this.#folder]);
  }
}

function canMount(): boolean {
  try {
    const folder = '/tmp/switchyard-mount-trial';
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}

test.runIf(isWhole && canMount())(
  'a target whose disk is full, while copying and while running, loses nothing',
  async () => {
    await using rehearsal = await Rehearsal.start({ rows: 2000 });
    const { client } = rehearsal.switchyard;
    await using source = await connect(rehearsal.source, 'shop');
    await source.query('CREATE TABLE ballast (id INT PRIMARY KEY AUTO_INCREMENT, data LONGBLOB NOT NULL)');
    const addBallast = async () => {
      for (let i = 0; i < 12; i += 1)
        await source.query(
          'INSERT INTO ballast (data) VALUES (RANDOM_BYTES(1024)), (REPEAT(RANDOM_BYTES(1024), 4096))',
        );
    };
    await addBallast();
    await rehearsal.target.stop();
    using disk = SmallDisk.under(rehearsal.target, 64 * MIB);
    await rehearsal.target.start();

    const makeRoom = async () => {
      disk.grow(160 * MIB);
      // A server that waits for room looks again once a minute only; one that gave up has to be started anyway.
      await rehearsal.target.kill();
      await rehearsal.target.start();
    };
    await client.createImport(rehearsal.request({ options: { chunkBytes: MIB } }));
    const traffic = rehearsal.traffic(50);
    expect((await full(rehearsal, disk))?.fromPhase ?? 'copying').toBe('copying');
    await makeRoom();
    await goOn(rehearsal);

    for (let i = 0; i < 4; i += 1) await addBallast();
    expect((await full(rehearsal, disk))?.fromPhase ?? 'running').toBe('running');
    await makeRoom();
    disk.grow(400 * MIB);
    await traffic.stop();
    await goOn(rehearsal);
    await rehearsal.caughtUpWith(rehearsal.source);
    expect(await compareDatabases(rehearsal.source, rehearsal.target, 'shop')).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal.source)).toMatchObject({ exact: true, lost: 0 });
  },
);

test.runIf(canMount())(
  'a full disk of Switchyard itself, at the decision: traffic is held, and goes on when there is room',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder]);
    try {
      const gate = join(folder, 'decision');
      await using rehearsal = await Rehearsal.start({
        rows: 200,
        settings: [`dataDir=${folder}`],
        environment: { SWITCHYARD_FAILPOINTS: `switch.reverse_ready=wait:${gate}` },
      });
      const { client } = rehearsal.switchyard;
      await client.createImport(rehearsal.request({ options: { pauseDeadlineMs: 20_000 } }));
      await rehearsal.reach('running');
      const application = await rehearsal.application();
      writeFileSync(gate, '');
      const switched = client.switchTraffic(IMPORT, { kind: 'primaries' }).then(
        () => 'switched',
        () => 'undone',
      );
      await vi.waitFor(() => expect(existsSync(`${gate}.reached`)).toBe(true), { timeout: 20_000 });
      const filler = join(folder, 'filler');
      expect(() => writeFileSync(filler, Buffer.alloc(16 * MIB))).toThrow(/ENOSPC/);
      const held = rows(application, 'SELECT 1 AS one');
      rmSync(gate);
      const failures = () => rehearsal.switchyard.log().split('step claim of a switch failed').length - 1;
      await vi.waitFor(() => expect(failures()).toBeGreaterThan(55), { timeout: 60_000 });
      rmSync(filler);
      expect(await held).toEqual([{ one: 1 }]);
      application.destroy();
      const outcome = await switched;
      expect((await client.route())?.primary).toBe(outcome === 'switched' ? 'target' : 'source');
      expect(await client.doctor(IMPORT)).toMatchObject({ healthy: true, intent: null });
    } finally {
      execFileSync('umount', ['--lazy', folder]);
      rmSync(folder, { recursive: true });
    }
  },
);

/** Waits until the import has stopped for it, or until nothing fits any more and the server itself waits. */
async function full({ switchyard }: Rehearsal, disk: SmallDisk) {
  for (let waits = 0; waits < 20;) {
    const { error } = await switchyard.client.getImport(IMPORT);
    if (error !== null) {
      expect(error).toMatchObject({ code: 'SERVER_FULL' });
      return error;
    }
    if (disk.freeBytes < 2 * MIB) waits += 1;
    await delay(100);
  }
  return null;
}

/** Until it runs: it may have stopped meanwhile, or be about to, with an error of before there was room. */
async function goOn({ switchyard: { client } }: Rehearsal): Promise<void> {
  for (;;) {
    const { error, phase, streams } = await client.getImport(IMPORT);
    if (phase === 'running' && streams.some(({ position }) => position !== null)) return;
    if (error !== null) {
      expect(error).toMatchObject({ code: 'SERVER_FULL' });
      await client.resume(IMPORT);
    }
    await delay(100);
  }
}
