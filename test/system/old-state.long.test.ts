import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Flavor } from '../../servers/flavor.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { backUp, balance, codes, expectHeld } from '../support/old-state.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const POLL = { timeout: 60_000, interval: 100 };
const WRITE = 'UPDATE traffic_accounts SET balance = balance + 1 WHERE id = 1';

test.each<Flavor>(['mariadb-10.11', 'mariadb-11.8'])(
  '%s: a state of before the switch, forth and back',
  async (flavor) => {
    await using rehearsal = await Rehearsal.start({ rows: 500, source: flavor });
    const { switchyard } = rehearsal;
    const { client } = switchyard;
    await client.createImport(rehearsal.request({ options: { fence: 'read_only' } }));
    await rehearsal.reach('running');
    for (const { primary, back } of [
      { primary: 'target', back: false },
      { primary: 'source', back: true },
    ] as const) {
      const restore = backUp(rehearsal);
      await client.switchTraffic(IMPORT, { kind: 'primaries', back, force: true });
      await switchyard.stop();
      restore();
      const before = await balance(rehearsal, primary);
      await switchyard.startProcess();
      await expectHeld(rehearsal, primary);
      expect(codes(await client.repair(IMPORT))).toEqual(['STATE_OUTDATED repaired']);
      await rehearsal.asApplication(WRITE);
      expect(await balance(rehearsal, primary)).toBe(before + 1);
      await rehearsal.caughtUpWith(rehearsal[primary]);
      expect(codes(await client.doctor(IMPORT))).toEqual([]);
      expect(await compareDatabases(rehearsal.source, rehearsal.target, 'shop')).toEqual([]);
    }
  },
  240_000,
);

test('of before a switch of replicas; of the middle of a switch, with a crash at each step of what follows; of before the completion', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard, target } = rehearsal;
  const { client } = switchyard;
  // Nothing but the marker stands between an old state and the old primary.
  await client.createImport(rehearsal.request({ options: { fence: 'none' } }));
  await rehearsal.reach('running');

  const beforeReplicas = backUp(rehearsal);
  await client.switchTraffic(IMPORT, { kind: 'replicas' });
  await switchyard.stop();
  beforeReplicas();
  await switchyard.startProcess();
  await expectHeld(rehearsal, 'target');
  expect(await client.repair(IMPORT)).toMatchObject({
    phase: 'switched_replicas',
    route: { primary: 'source', replica: 'target', hold: 'none' },
  });

  // Of the middle of the switch: it knows that one was begun.
  const gate = join(switchyard.dataDir, 'gate');
  await switchyard.stop();
  writeFileSync(gate, '');
  await switchyard.startProcess({ environment: { SWITCHYARD_FAILPOINTS: `switch.caught_up=wait:${gate}` } });
  await rehearsal.until(({ streams }) => streams.some(({ state }) => state === 'running'));
  const switching = client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  await expect.poll(() => existsSync(`${gate}.reached`), POLL).toBe(true);
  const midSwitch = backUp(rehearsal);
  rmSync(gate);
  await switching;
  await switchyard.stop();
  midSwitch();
  const files = ['noted', 'taken'].map((name) => join(switchyard.dataDir, name));
  const [noted = '', taken = ''] = files;
  await switchyard.startProcess({
    environment: {
      SWITCHYARD_FAILPOINTS: `marker.noted=kill:${noted},marker.route_taken_over=kill:${taken}`,
    },
  });
  // The engine that had noted it was killed before it held traffic; proxies had waited.
  expect(existsSync(noted)).toBe(true);
  await expect.poll(async () => (await client.doctor(IMPORT).catch(() => null))?.route.hold, POLL).toBe('all');
  expect(codes(await client.doctor(IMPORT))).toEqual(['STATE_OUTDATED found']);
  await expect(client.repair(IMPORT)).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
  expect(existsSync(taken)).toBe(true);
  const half = async () => (await client.doctor(IMPORT).catch(() => null))?.route;
  await expect.poll(half, POLL).toMatchObject({ primary: 'target', hold: 'all', fenced: true });
  expect(codes(await client.doctor(IMPORT))).toEqual(['STATE_OUTDATED found']);
  expect(codes(await client.repair(IMPORT))).toEqual(['STATE_OUTDATED repaired']);
  expect(await client.doctor(IMPORT)).toMatchObject({
    phase: 'switched_primaries',
    route: { primary: 'target', replica: 'target', hold: 'none' },
    intent: null,
  });
  const before = await balance(rehearsal, 'target');
  await rehearsal.asApplication(WRITE);
  expect(await balance(rehearsal, 'target')).toBe(before + 1);
  await rehearsal.caughtUpWith(target);
  expect(await rehearsal.differingTables()).toEqual([]);

  // What ended the import is told by the target as well: nothing else would keep writes from the source.
  await client.complete(IMPORT, IMPORT);
  await switchyard.stop();
  beforeReplicas();
  await switchyard.startProcess();
  expect(codes(await client.doctor(IMPORT))).toEqual(['STATE_OUTDATED found']);
  expect(await client.repair(IMPORT)).toMatchObject({ phase: 'completed', route: { primary: 'target', hold: 'none' } });
  await rehearsal.asApplication(WRITE);
  expect(await balance(rehearsal, 'target')).toBe(before + 2);
  await using connection = await connect(target);
  expect(await rows(connection, 'SELECT import_id, primary_side FROM _switchyard.route')).toEqual([
    { import_id: IMPORT, primary_side: 'target' },
  ]);
  expect(await rows(connection, 'SELECT 1 FROM _switchyard.progress')).toEqual([]);
}, 240_000);

/** What an old state does while the one server that knows better is away; what it had begun by then is for a person to end. */
test('an old state whose target is away takes no fence away; what it began to cancel is neither resumed, nor dropped, nor taken over by', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200 });
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request({ options: { fence: 'triggers', reverse: 'off' } }));
  await rehearsal.reach('running');
  const restore = backUp(rehearsal);
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  const fence = async () => {
    await using connection = await connect(source);
    return (await rows(connection, "SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'")).length;
  };
  const triggers = await fence();
  await switchyard.stop();
  restore();
  await target.kill();
  await switchyard.startProcess();

  // By this state the source is primary, so its fence must be left over; the state may be as old as it is.
  expect(codes(await client.repair(IMPORT))).toContain('PRIMARY_FENCED failed');
  expect(await fence()).toBe(triggers);

  await expect(client.cancelImport(IMPORT)).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  await target.start();
  await expect(client.cancelImport(IMPORT)).rejects.toMatchObject({ code: 'STATE_OUTDATED' });
  const { error } = await client.getImport(IMPORT);
  expect(error).toMatchObject({ code: 'CANCEL_UNFINISHED', details: { outdated: expect.any(String) } });
  const { findings, route } = await client.repair(IMPORT);
  expect(findings.map(({ code, outcome }) => `${code} ${outcome}`)).toEqual(['STATE_OUTDATED failed']);
  expect(findings[0]?.message).toContain('cancelling had begun before');
  expect(route).toMatchObject({ hold: 'all', fenced: true });
  expect(await fence()).toBe(triggers);
  await using onTarget = await connect(target, 'shop');
  expect(await rows(onTarget, 'SELECT COUNT(*) > 0 AS kept FROM traffic_accounts')).toEqual([{ kept: '1' }]);

  // Remembered, whoever answers.
  await target.kill();
  for (const request of [() => client.cancelImport(IMPORT), () => client.verify(IMPORT, {})])
    await expect(request()).rejects.toMatchObject({ code: 'STATE_OUTDATED' });
  await expect(client.resume(IMPORT)).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });

  // Where the servers are wrong.
  await target.start();
  await using again = await connect(target);
  await again.query('DELETE FROM _switchyard.route');
  expect(await client.resume(IMPORT)).toMatchObject({
    phase: 'error',
    error: { code: 'CANCEL_UNFINISHED', details: {} },
  });
  expect((await client.doctor(IMPORT)).route).toMatchObject({ hold: 'none', fenced: false });
  await expect(rehearsal.asApplication('UPDATE traffic_counters SET value = value')).rejects.toThrow('has moved');
  expect((await client.cancelImport(IMPORT)).phase).toBe('cancelled');
}, 180_000);

test('no news holds healthy traffic: rows and table gone, a server that cannot be told, a former import that is told of again', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200 });
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request({ options: { fence: 'none' } }));
  await rehearsal.reach('running');
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  const serves = async () => {
    await switchyard.killAll();
    await switchyard.startProcess();
    await rehearsal.asApplication(WRITE);
    await rehearsal.reach('switched_primaries');
    expect(codes(await client.doctor(IMPORT)).filter((code) => code.startsWith('STATE'))).toEqual([]);
  };
  await using onSource = await connect(source);
  await using onTarget = await connect(target);
  const told = async (connection: typeof onSource) =>
    (await rows(connection, 'SELECT import_id, primary_side FROM _switchyard.route').catch(() => [])).length;

  await onTarget.query('DROP TABLE _switchyard.route');
  await onSource.query('DELETE FROM _switchyard.route');
  await serves();
  for (const connection of [onSource, onTarget]) await expect.poll(() => told(connection), POLL).toBe(1);

  // While Switchyard runs, too.
  await onTarget.query('DROP TABLE _switchyard.route');
  await expect.poll(() => told(onTarget), POLL).toBe(1);

  await onSource.query('DELETE FROM _switchyard.route; SET GLOBAL super_read_only = ON');
  await serves();
  await expect.poll(() => switchyard.log(), POLL).toContain('the source cannot be told of the last switch');
  await onSource.query('SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF');
  await expect.poll(() => told(onSource), POLL).toBe(1);

  await onTarget.query(
    "INSERT INTO _switchyard.route SELECT 'former', database_name, created_at_ms - 1, 'former', 1, 'source', 'source', 1, '{}' FROM _switchyard.route",
  );
  await serves();
  await rehearsal.caughtUpWith(target);
  expect(await rehearsal.differingTables()).toEqual([]);
}, 240_000);

/** How long proxies that had started waited for the route, in the last start: what the gate costs. */
function gateMs(log: string): number[] {
  const lines = log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map(
      (line) =>
        JSON.parse(line) as { time: number; msg?: string; process?: string; role?: string; instanceId?: string },
    );
  const connected = lines.filter(({ msg, role }) => msg === 'connected' && role === 'proxy');
  return connected.map(({ instanceId, time }) => {
    const route = lines.find((line) => line.msg === 'route' && line.process === instanceId);
    return (route?.time ?? Number.NaN) - time;
  });
}

test('how long a start holds traffic: with both servers, with a target that is away, with one that does not answer', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200 });
  const { switchyard, target } = rehearsal;
  await switchyard.client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  const start = async (): Promise<string> => {
    await switchyard.stop();
    const length = switchyard.log().length;
    const beganMs = performance.now();
    await switchyard.startProcess();
    await rehearsal.asApplication('SELECT 1');
    const wholeMs = Math.round(performance.now() - beganMs);
    return `${gateMs(switchyard.log().slice(length)).join(', ')} ms of ${wholeMs} ms`;
  };
  for (let round = 0; round < 3; round += 1) console.log(`a start, both servers answer: ${await start()}`);
  process.kill(target.pid ?? 0, 'SIGSTOP');
  console.log(`a start, the target does not answer: ${await start()}`);
  process.kill(target.pid ?? 0, 'SIGCONT');
  await target.kill();
  console.log(`a start, the target is away: ${await start()}`);
  await rehearsal.asApplication('UPDATE traffic_counters SET value = value');

  // Nobody waits for an engine that is started again, but for who is held by the switch in whose middle it may have died.
  const waits = () => (switchyard.log().match(/traffic waits for the target/g) ?? []).length;
  const [waited, engine] = [waits(), switchyard.pids('engine').at(-1) ?? 0];
  process.kill(engine, 'SIGKILL');
  await expect.poll(() => switchyard.pids('engine').at(-1), POLL).not.toBe(engine);
  await rehearsal.reach('running');
  expect(waits()).toBe(waited);
}, 240_000);
