import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { expect } from 'vitest';
import { FAILPOINTS, type Failpoint } from '../../core/failpoint.ts';
import type { Side } from '../../core/phase.ts';
import type { ImportView } from '../../engine/api.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from './query.ts';
import { IMPORT, Rehearsal } from './rehearsal.ts';

/** Who is hit while the engine stands at a failpoint. `cut`: it stops answering for a while, and is back as it was. */
export const VICTIMS = [
  'engine',
  'supervisor',
  'proxy',
  'source',
  'target',
  'source cut off',
  'target cut off',
] as const;
export type Victim = (typeof VICTIMS)[number];

export interface Harm {
  point: Failpoint;
  victim: Victim;
  back: boolean;
}

/** Passed on every switch, in this order; `switch.opened` on the way back alone. */
export const FORTH_POINTS = FAILPOINTS.filter(
  (name) =>
    name.startsWith('switch.') &&
    !['switch.opened', 'switch.claimed', 'switch.unfenced', 'switch.undone'].includes(name),
);
export const BACK_POINTS: readonly Failpoint[] = [...FORTH_POINTS, 'switch.opened'];
/** Passed by a switch that is given up. */
export const UNDO_POINTS: readonly Failpoint[] = ['switch.claimed', 'switch.unfenced', 'switch.undone'];

const AT_POINT_MS = 20_000;
const REST_MS = 60_000;

/** A running import whose switches can be stopped at every failpoint. */
export class HarmStage implements AsyncDisposable {
  readonly rehearsal: Rehearsal;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(rehearsal: Rehearsal, environment: NodeJS.ProcessEnv) {
    this.rehearsal = rehearsal;
    this.#environment = environment;
  }

  static async start(): Promise<HarmStage> {
    const rehearsal = await Rehearsal.start({ rows: 2000 });
    const { switchyard } = rehearsal;
    const gates = FAILPOINTS.map((name) => `${name}=wait:${join(switchyard.dataDir, name)}`).join(',');
    const stage = new HarmStage(rehearsal, { SWITCHYARD_FAILPOINTS: gates });
    await switchyard.stop();
    await stage.startSwitchyard();
    await switchyard.client.createImport(
      rehearsal.request({ options: { fence: 'triggers', drainBudgetMs: 500, pauseDeadlineMs: 3000 } }),
    );
    await rehearsal.reach('running');
    return stage;
  }

  async startSwitchyard(): Promise<void> {
    await this.rehearsal.switchyard.startProcess({ environment: this.#environment });
  }

  /** Hits `victim` at `point` of a switch under load, and checks that nothing was lost and everything goes on. */
  async suffer({ point, victim, back }: Harm): Promise<void> {
    const { rehearsal } = this;
    if (back) await this.switchSoon(false);
    await this.#clearLedger();
    const traffic = rehearsal.traffic(100);
    const isUndo = UNDO_POINTS.includes(point);
    try {
      await using blocker = isUndo ? await this.#openTransaction() : undefined;
      const gate = join(rehearsal.switchyard.dataDir, point);
      writeFileSync(gate, '');
      const switching = this.#switch(back).catch((error: unknown) => error);
      try {
        await until(() => existsSync(`${gate}.reached`), AT_POINT_MS, `the switch did not come to ${point}`);
        await this.#hit(victim, gate, switching);
      } finally {
        rmSync(gate, { force: true });
        rmSync(`${gate}.reached`, { force: true });
      }
      await blocker?.[Symbol.asyncDispose]();
      await this.atRest();
      // It can be repeated, in both directions.
      if ((await this.#view()).traffic.primary === 'source') await this.switchSoon(false);
      await this.switchSoon(true);
    } finally {
      await traffic.stop();
    }
    expect(await rehearsal.ledger(traffic, rehearsal.source)).toMatchObject({
      exact: true,
      lost: 0,
      duplicated: 0,
      foreign: 0,
    });
    expect(traffic.stats.wrongAnswers).toBe(0);
    if (victim === 'engine') expect(traffic.errors).toEqual([]);
  }

  /** Traffic on one side, nobody held, the old primary fenced, the primary free. */
  async atRest(): Promise<void> {
    const deadline = Date.now() + REST_MS;
    for (;;) {
      const wrong = await this.#wrongAtRest().catch((error: unknown) => String(error));
      if (wrong === null) return;
      if (Date.now() > deadline)
        throw new Error(`not at rest: ${wrong}\n${this.rehearsal.switchyard.log().slice(-6000)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Refusals pass: a server that was just away lags, sessions of a killed proxy end a moment later. */
  async switchSoon(back: boolean): Promise<void> {
    const deadline = Date.now() + REST_MS;
    for (;;) {
      try {
        await this.#switch(back);
        return;
      } catch (error) {
        const { code } = error as { code?: string };
        const passes = [
          'SWITCH_REFUSED',
          'SWITCH_ROLLED_BACK',
          'ENGINE_UNAVAILABLE',
          'OPERATION_IN_PROGRESS',
          'SERVER_GONE',
        ];
        if (Date.now() > deadline || code === undefined || !passes.includes(code)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  async #switch(back: boolean): Promise<unknown> {
    return await this.rehearsal.switchyard.client.switchTraffic(IMPORT, { kind: 'primaries', back });
  }

  async #hit(victim: Victim, gate: string, switching: Promise<unknown>): Promise<void> {
    const { switchyard, source, target } = this.rehearsal;
    const open = () => rmSync(gate, { force: true });
    switch (victim) {
      case 'engine':
      case 'proxy': {
        const pid = switchyard.pids(victim).at(-1);
        if (pid === undefined) throw new Error(`no ${victim}`);
        process.kill(pid, 'SIGKILL');
        open();
        await switching;
        return;
      }
      case 'supervisor':
        await switchyard.killSupervisor();
        open();
        await switching;
        await this.startSwitchyard();
        return;
      case 'source':
      case 'target': {
        const server = victim === 'source' ? source : target;
        await server.kill();
        open();
        await switching;
        await server.start();
        return;
      }
      case 'source cut off':
      case 'target cut off': {
        const server = victim === 'source cut off' ? source : target;
        if (server.pid === null) throw new Error('only a process can be stopped');
        process.kill(server.pid, 'SIGSTOP');
        open();
        // Longer than the pause may be: whatever waits for that server has to give up.
        await Promise.race([switching, new Promise((resolve) => setTimeout(resolve, 5000))]);
        process.kill(server.pid, 'SIGCONT');
        await switching;
        return;
      }
      default:
        throw new Error(`unknown victim ${String(victim satisfies never)}`);
    }
  }

  async #wrongAtRest(): Promise<string | null> {
    const { switchyard, source, target } = this.rehearsal;
    const { phase, traffic, streams } = await this.#view();
    const primary: Side = phase === 'switched_primaries' ? 'target' : 'source';
    if (phase !== 'switched_primaries' && phase !== 'running') return `phase ${phase}`;
    if (traffic.primary !== primary) return `primary traffic is on the ${traffic.primary} in phase ${phase}`;
    const route = await switchyard.client.route();
    if (route?.hold !== 'none') return 'traffic is held';
    if (!streams.some(({ state }) => state === 'running')) return 'no stream runs';
    const [free, old] = primary === 'source' ? [source, target] : [target, source];
    if ((await fenceTriggers(free)) > 0) return `the primary (${primary}) is fenced`;
    const { switches } = await this.#view();
    if (switches.length > 0 && (await fenceTriggers(old)) === 0) return 'the old primary is not fenced';
    await this.rehearsal.asApplication('UPDATE traffic_counters SET value = value');
    return null;
  }

  async #view(): Promise<ImportView> {
    return await this.rehearsal.switchyard.client.getImport(IMPORT);
  }

  /** Through the proxy, so that it happens where the primary is. */
  async #clearLedger(): Promise<void> {
    await this.rehearsal.asApplication('DELETE FROM traffic_ledger');
    await this.rehearsal.asApplication('UPDATE traffic_counters SET value = 0');
  }

  /** A session that no drain can wait for: the switch is given up. */
  async #openTransaction(): Promise<AsyncDisposable> {
    const session = await this.rehearsal.application();
    await session.query('BEGIN');
    await session.query('SELECT * FROM traffic_counters LIMIT 1');
    return { [Symbol.asyncDispose]: async () => session.destroy() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rehearsal[Symbol.asyncDispose]();
  }
}

async function fenceTriggers(server: RunningServer): Promise<number> {
  await using connection = await connect(server);
  const found: RowDataPacket[] = await rows(
    connection,
    String.raw`SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE '\_switchyard\_fence%'`,
  );
  return found.length;
}

async function until(condition: () => boolean, timeoutMs: number, complaint: string): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(complaint);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
