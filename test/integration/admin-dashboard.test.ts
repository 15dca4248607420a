import { existsSync } from 'node:fs';
import { chromium, type Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { refusal } from '../../engine/switch/refusal-table.ts';
import { standInImport } from '../../admin/stand-in/stand-in-import.ts';
import { play } from '../../admin/stand-in/stand-in-play.ts';
import { startStandIn } from '../../admin/stand-in/start-stand-in.ts';

/** The dashboard in a real browser, where there is one. */
const executablePath =
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync) ?? '';
const TOKEN = '0123456789abcdef';

/** A page that fails the test on an error of the script or a breach of the content security policy. */
async function openPage(url: string): Promise<Page> {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-background-networking'] });
  const errors: string[] = [];
  onTestFinished(async () => {
    await browser.close();
    expect(errors).toEqual([]);
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      errors.push(message.text());
  });
  await page.goto(url);
  return page;
}

test.skipIf(executablePath === '')(
  'an import from the form to completion, by clicks',
  { timeout: 180_000 },
  async () => {
    await using standIn = await startStandIn();
    const timer = setInterval(() => play(standIn.backend, 5000), 100);
    onTestFinished(() => clearInterval(timer));
    const page = await openPage(standIn.url);

    await page.getByRole('button', { name: 'Create an import' }).click();
    await page.getByLabel('Name of the import', { exact: true }).fill('shop');
    await page.getByLabel('Database', { exact: true }).fill('shop');
    const source = page.getByRole('group', { name: 'Source' });
    await source.getByLabel('Host', { exact: true }).fill('db.example');
    await source.getByLabel('User', { exact: true }).fill('nobody');
    await page.getByRole('button', { name: 'Check', exact: true }).click();
    await page.getByText('The import cannot be created yet.').waitFor();
    await source.getByLabel('User', { exact: true }).fill('switchyard');
    await source.getByLabel('Password', { exact: true }).fill('hunter2');
    await page.getByRole('button', { name: 'Create import' }).click();

    await page.getByRole('button', { name: 'Verify data' }).click();
    await page.getByText('copy finished; replicating both ways').waitFor();
    const primaries = page.getByRole('button', { name: 'Switch primaries…' });
    await page.locator('.phase.verified_data').waitFor();
    await primaries.click();
    await page.getByText('Nothing stands against it.').waitFor();
    await page.getByRole('button', { name: 'Switch to the target' }).click();
    await page.getByText('84 ms pause').first().waitFor();
    await page.keyboard.press('Escape');
    expect(await primaries.isDisabled()).toBe(true);

    await page.getByRole('button', { name: 'Complete…' }).click();
    const complete = page.getByRole('button', { name: 'Complete for good' });
    expect(await complete.isDisabled()).toBe(true);
    await page.getByLabel('Type shop to confirm', { exact: true }).fill('shop');
    await complete.click();
    await page.locator('.phase.completed').waitFor();
    expect(standIn.backend.engine.calls.find(({ method }) => method === 'createImport')?.args).toMatchObject({
      source: { host: 'db.example', user: 'switchyard', password: 'hunter2' },
      actor: 'dashboard',
    });
  },
);

test.skipIf(executablePath === '')(
  'asks for the token; shows refusals and texts of a database as text',
  { timeout: 180_000 },
  async () => {
    await using standIn = await startStandIn({ token: TOKEN });
    const { engine } = standIn.backend;
    const view = standInImport({ id: 'shop' });
    engine.imports.set('shop', view);
    engine.move(view, 'running');
    const page = await openPage(standIn.url);
    await page.getByLabel('Token', { exact: true }).fill(TOKEN);
    await page.getByRole('button', { name: 'Continue' }).click();

    engine.refusals = [
      { ...refusal('DIRECT_CONNECTIONS', '<img src=x onerror=alert(1)> writes past the proxy'), forceable: false },
    ];
    await page.getByRole('button', { name: 'Switch primaries…' }).click();
    await page.getByText('<img src=x onerror=alert(1)> writes past the proxy').waitFor();
    await page.getByText('Point those programs at the proxy.').waitFor();
    expect(await page.getByRole('button', { name: 'Switch to the target' }).isDisabled()).toBe(true);
    await page.keyboard.press('Escape');

    view.phase = 'error';
    view.error = {
      code: 'DDL_STOPPED',
      message: 'ALTER TABLE x',
      details: {},
      fromPhase: 'running',
      atMs: 1,
      remedy: 'Make the change, then `switchyard resume shop`.',
    };
    engine.changed(view);
    await page.getByRole('alert').getByText('DDL_STOPPED').waitFor();
    expect(await page.locator('.remedy code').textContent()).toBe('switchyard resume shop');
    await page.getByRole('button', { name: 'Resume…' }).click();
    await page.getByLabel('The DDL statement', { exact: true }).selectOption('apply');
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await page.locator('.phase.running').waitFor();
    expect(engine.calls.find(({ method }) => method === 'resume')?.args).toEqual({
      id: 'shop',
      ddl: 'apply',
      actor: 'dashboard',
    });

    expect(await page.locator('#stray-writes').textContent()).toBe('');
    view.strayWrites = { count: 3, unapplied: 2, lastAtMs: Date.now(), watch: 'watching' };
    engine.changed(view);
    const alarm = page.locator('#stray-writes').getByRole('alert');
    await alarm.getByText('3 row changes since the switch').waitFor();
    expect(await alarm.textContent()).toContain('2 are not on the new primary');
    expect(await alarm.textContent()).toContain('switchyard stray apply shop --all');
  },
);

test.skipIf(executablePath === '')(
  'an import that appeared without an event is found by asking',
  { timeout: 180_000 },
  async () => {
    await using standIn = await startStandIn();
    const page = await openPage(standIn.url);
    await page.getByRole('heading', { name: 'No import yet' }).waitFor();
    standIn.backend.engine.imports.set('shop', standInImport({ id: 'shop' }));
    await page.locator('.phase.pending').waitFor();
  },
);

test.skipIf(executablePath === '')(
  'a verification: paused and gone on, what is compared again, rows that differ and their repair',
  { timeout: 180_000 },
  async () => {
    await using standIn = await startStandIn();
    const { engine } = standIn.backend;
    const view = standInImport({ id: 'shop' });
    engine.imports.set('shop', view);
    engine.move(view, 'running');
    const page = await openPage(standIn.url);
    await page.getByRole('button', { name: 'Verify data' }).click();
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    const { verify } = view;
    if (verify === null) throw new Error('nothing is verified');
    verify.position = '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';
    engine.changed(view);
    const card = page.locator('#verification');
    await card.getByText('Paused').waitFor();
    await page.getByRole('button', { name: 'Go on verifying' }).click();
    await card.getByText('Comparing…').waitFor();

    for (const table of verify.tables) Object.assign(table, { state: 'equal', chunksDone: table.chunksTotal });
    Object.assign(verify.tables[1] ?? {}, {
      state: 'different',
      differencesTotal: 2,
      differences: [
        {
          key: '(7)',
          kind: 'different',
          columns: ['name'],
          values: [{ column: 'name', source: '<b>Ada</b>', target: 'spoilt' }],
        },
        { key: '(9)', kind: 'missing', columns: [], values: [{ column: 'id', source: '9', target: null }] },
      ],
    });
    Object.assign(verify, { state: 'different', finishedAtMs: Date.now(), etaMs: null });
    verify.recheck = { keys: 120, tables: [], behindMs: 340, compared: 51_234 };
    engine.move(view, 'running');
    await card.getByText('<b>Ada</b>').waitFor();
    await card.getByText('id=9').waitFor();
    expect(await page.locator('#verification-recheck').textContent()).toContain('51,234 so far, 120 wait, for 340 ms');
    if (process.env['SCREENSHOTS'] !== undefined)
      await page.screenshot({ path: `${process.env['SCREENSHOTS']}/verification.png`, fullPage: true });
    await page.getByRole('button', { name: 'Repair rows…' }).click();
    await page.getByRole('button', { name: 'Repair on the target' }).click();
    await expect.poll(() => engine.calls.map(({ method }) => method)).toContain('repairDifferences');
    expect(engine.calls.map(({ method }) => method).filter((method) => /erif|repair/.test(method))).toEqual([
      'verify',
      'pauseVerification',
      'resumeVerification',
      'repairDifferences',
    ]);
  },
);

test.skipIf(executablePath === '')(
  'accounts: what the other side has of them, the script, the creation of absent ones',
  { timeout: 180_000 },
  async () => {
    await using standIn = await startStandIn();
    const { engine } = standIn.backend;
    const view = standInImport({ id: 'shop' });
    engine.imports.set('shop', view);
    engine.move(view, 'running');
    const page = await openPage(standIn.url);
    const card = page.locator('#accounts');
    await card.getByText('2 of 5 are the same on the target').waitFor();
    const rows = await card.locator('tbody tr').allTextContents();
    expect(rows.map((row) => row.replace(/'@.*/, ''))).toEqual(["'app", "'old", "'report", "'shop", "'readers"]);
    expect(rows[1]).toContain('mysql_old_password does not exist there');
    expect(rows[2]).toContain("there is 'report'@'localhost'");
    expect(await card.textContent()).toContain("not brought: 'root'@'localhost'");
    const asked = (name: string) => engine.calls.filter(({ method }) => method === name);

    await card.getByRole('button', { name: 'Script…' }).click();
    await page.getByLabel('Script', { exact: true }).getByText('CREATE USER').waitFor();
    await page.getByLabel('with password hashes').check();
    await expect
      .poll(() => asked('usersScript').map(({ args }) => args))
      .toMatchObject([{ hashes: false, actor: 'dashboard' }, { hashes: true }]);
    await page.keyboard.press('Escape');

    await card.getByRole('button', { name: 'Create the absent…' }).click();
    expect(await page.locator('dialog .chip').allTextContents()).toEqual(["'app'@'%'"]);
    await page.getByRole('button', { name: 'Create on the target' }).click();
    await page.getByText('1 created').waitFor();
    await page.keyboard.press('Escape');
    await card.getByText('3 of 5 are the same on the target').waitFor();
    expect(await card.getByRole('button', { name: 'Create the absent…' }).isDisabled()).toBe(true);

    // Behind a switch it is about the other direction, and once it has ended about none.
    expect(asked('listUsers')).toHaveLength(1);
    view.traffic.primary = 'target';
    engine.move(view, 'switched_primaries');
    await expect.poll(() => asked('listUsers').length).toBe(2);
    engine.move(view, 'completed');
    await card.waitFor({ state: 'hidden' });
    expect(asked('listUsers')).toHaveLength(2);
  },
);
