import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connect } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { selected } from '../support/selection.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { on } from '../support/verified.ts';

const POLL = { timeout: 30_000 };
const FORTH = { kind: 'primaries' } as const;
const BACK = { kind: 'primaries', back: true } as const;

test.each(selected(['mysql-9.7'] as const, ['mariadb-11.8'] as const))(
  '%s: a fence of triggers: DDL while a switch decides, and on the way back an XA transaction and a report that hold tables',
  async (flavor) => {
    using folder = temporaryFolder();
    const [gate, gateBack] = [join(folder.path, 'gate'), join(folder.path, 'gate-back')];
    await using rehearsal = await Rehearsal.start({
      rows: 50,
      source: flavor,
      environment: { SWITCHYARD_FAILPOINTS: `switch.caught_up=wait:${gate},switch.released=wait:${gateBack}` },
    });
    const { source, switchyard } = rehearsal;
    const { client } = switchyard;
    await on(
      source,
      'CREATE TABLE reported (id INT PRIMARY KEY, a INT)',
      'INSERT INTO reported VALUES (1, 1)',
      'CREATE TABLE lost LIKE reported',
    );
    await client.createImport(
      rehearsal.request({ options: { fence: 'triggers', pauseDeadlineMs: 60_000, maxLagMs: 2000 } }),
    );
    await rehearsal.reach('running');

    // The stream to the target meets it behind everything that it was waited for, and is needed by nobody any more.
    writeFileSync(gate, '');
    const switching = client.switchTraffic(IMPORT, FORTH);
    await expect.poll(() => existsSync(`${gate}.reached`), POLL).toBe(true);
    await on(source, 'ALTER TABLE reported ADD COLUMN b INT');
    const states = async () => (await client.getImport(IMPORT)).streams.map(({ state }) => state);
    await expect.poll(states, POLL).toEqual(['failed']);
    rmSync(gate);
    expect((await switching).view.phase).toBe('switched_primaries');
    await rehearsal.until(({ streams, strayWrites }) => streams[0]?.state === 'running' && strayWrites?.count === 1);
    await on(source, 'ALTER TABLE reported DROP COLUMN b');

    // On tables that nobody moves: it is not what is said of the log, which has been read.
    await on(source, 'CREATE DATABASE elsewhere', 'CREATE TABLE elsewhere.t (id INT PRIMARY KEY)');
    await on(
      source,
      "XA START 'held'",
      'SELECT * FROM shop.reported',
      'INSERT INTO elsewhere.t VALUES (1)',
      "XA END 'held'",
      "XA PREPARE 'held'",
    );
    const { refusals } = await client.switchTraffic(IMPORT, { ...BACK, dryRun: true });
    expect(refusals.map(({ code }) => code)).toEqual(['XA_PREPARED', 'STRAY_WRITES_UNAPPLIED']);
    await on(source, "XA ROLLBACK 'held'", 'DROP TABLE lost');

    // What it does not hold is free when traffic goes on: an application that writes there sees nothing.
    await using report = await connect(source, 'shop');
    await report.query('START TRANSACTION');
    await report.query('SELECT * FROM reported, customers, orders, products LIMIT 1');
    const application = await rehearsal.application();
    const isBack = new AbortController();
    const counting = (async () => {
      while (!isBack.signal.aborted) await application.query('UPDATE traffic_counters SET value = value + 1');
    })();
    counting.catch(() => {});
    writeFileSync(gateBack, '');
    const switchingBack = client.switchTraffic(IMPORT, { ...BACK, force: true });
    switchingBack.catch(() => {});
    // Before the stream has begun, which has to know what was before it.
    await expect.poll(() => existsSync(`${gateBack}.reached`), POLL).toBe(true);
    await on(source, 'ALTER TABLE traffic_accounts ADD COLUMN later INT');
    rmSync(gateBack);
    const back = await switchingBack;
    expect(back.view.switches.at(-1)?.forced).toEqual(['TABLES_LEFT_BEHIND', 'STRAY_WRITES_UNAPPLIED']);
    isBack.abort();
    await counting;
    application.destroy();
    const writing = async () =>
      await rehearsal.asApplication('UPDATE reported SET a = a + 1').then(
        () => '',
        ({ message }: Error) => message,
      );
    expect(await writing()).toContain('has moved');
    // The fence of the target would be noted in the place of this one, which nobody took away then.
    await expect(client.cancelImport(IMPORT)).rejects.toMatchObject({ code: 'SERVER_ERROR' });
    expect(await client.doctor(IMPORT)).toMatchObject({ leftFence: { side: 'source' } });
    await report.query('COMMIT');
    await expect.poll(writing, POLL).toBe('');
    // Without the table that is gone from where everything comes from.
    await expect.poll(async () => (await client.getImport(IMPORT)).error?.code, POLL).toBe('DDL_STOPPED');
    await client.resume(IMPORT, 'apply');
    await rehearsal.caughtUpWith(source);
    const told = (await client.logs(IMPORT)).filter(({ level }) => level === 'error').map(({ message }) => message);
    expect(told).toContain('not on the source any more, and not replicated from there: lost');
    // It is gone before that is noted.
    await expect.poll(async () => (await client.doctor(IMPORT)).healthy, POLL).toBe(true);
    expect(await client.doctor(IMPORT)).toMatchObject({ phase: 'running', fence: { side: 'target' } });
  },
);
