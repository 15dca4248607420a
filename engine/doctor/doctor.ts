import { SIDES, type Side } from '../../core/phase.ts';
import { serializeError } from '../../core/errors.ts';
import type { ImportRunner } from '../import-runner.ts';
import { knownOutdated } from '../marker/known-outdated.ts';
import { quoteName } from '../server/connection.ts';
import { forgetFence, persistFence, putBackFence } from '../switch/fence.ts';
import { removeLeftFence } from '../switch/fence-watch.ts';
import { moveLeftEvents } from '../switch/left-events.ts';
import { fenceContext, flavorOf } from '../switch/switch-world.ts';
import { diagnose, type Examination, type Symptom } from './diagnose.ts';
import type { DoctorReport, ServerState } from './doctor-report.ts';
import { readServerState, unansweredState } from './read-server-state.ts';
import { SYMPTOM_TABLE, type SymptomEntry } from './symptom-table.ts';

const CONNECT_MS = 3000;

/** Looks at everything that a switch touches, tells what is wrong, and repairs what can be repaired without a decision. */
export class Doctor {
  readonly #runner: ImportRunner;

  constructor(runner: ImportRunner) {
    this.#runner = runner;
  }

  async examine(): Promise<DoctorReport> {
    const examination = await this.#look(this.#runner.busyWith !== null);
    return reportOf(examination, this.#runner.busyWith, []);
  }

  /** One repair after the other, each on what is found at its time: a repair can bring or heal another symptom. */
  async repair(): Promise<DoctorReport> {
    const treated: Treatment[] = [];
    const repairAll = async () => {
      for (;;) {
        const examination = await this.#look(false);
        const next = diagnose(examination).find(
          (symptom) => isRepairable(symptom) && !treated.some((other) => isSame(other.symptom, symptom)),
        );
        if (next === undefined) return reportOf(examination, null, treated);
        treated.push(await this.#treat(next));
      }
    };
    return await this.#runner.exclusively('repair', repairAll, { isRemedy: true });
  }

  async #treat(symptom: Symptom): Promise<Treatment> {
    const { world } = this.#runner;
    try {
      await this.#repairOne(symptom);
      world.log('warn', `doctor: ${symptom.code} repaired: ${symptom.message}`);
      return { symptom, outcome: 'repaired', reason: null };
    } catch (error) {
      const reason = (error as Error).message;
      world.log('error', `doctor: ${symptom.code} could not be repaired: ${reason}`);
      return { symptom, outcome: 'failed', reason };
    }
  }

  async #repairOne({ code, side }: Symptom): Promise<void> {
    const { world, streams, switchWorld, marker } = this.#runner;
    const { document } = world.record;
    switch (code) {
      case 'STATE_OUTDATED':
        await this.#runner.adopt();
        return;
      case 'SWITCH_INTERRUPTED':
        await this.#runner.recoverSwitch();
        return;
      case 'TRAFFIC_HELD':
        await this.#runner.release();
        return;
      case 'FENCE_LEFT':
        if (side !== null) await marker.settledAnew([side]);
        await removeLeftFence(switchWorld);
        return;
      case 'EVENTS_LEFT':
        await marker.settledAnew();
        if (side !== null) await moveLeftEvents(switchWorld, side);
        return;
      case 'PRIMARY_FENCED':
      case 'LEFTOVER_TRIGGERS':
        // To a state that does not know the last switch the true fence is a leftover, and the one who knows may be away.
        await marker.settledAnew();
        if (side !== null) await this.#free(side, code === 'PRIMARY_FENCED');
        return;
      case 'READ_ONLY_PERSISTED':
        await marker.settledAnew();
        await this.#forgetPersisted();
        return;
      case 'FENCE_MISSING': {
        const { fence } = document;
        if (fence === null) return;
        await using connection = await world.connect(fence.side);
        await putBackFence(fence.kind, {
          ...fenceContext(document, fence.side, connection),
          accounts: fence.accounts,
        });
        return;
      }
      case 'STREAM_STOPPED':
        if (side !== null) {
          // The one that has taken it over may have switched since.
          marker.askAgain();
          // One that failed is still in its place.
          await streams.stopReplicationTo(side);
          if (side === 'target') streams.followSource();
          else streams.startReplicationTo(side);
        }
        return;
      case 'SERVER_AWAY':
      case 'CREDENTIALS_REFUSED':
      case 'IMPORT_FAILED':
      case 'ROUTE_AND_PHASE_DIFFER':
      case 'PRIMARY_READ_ONLY':
      case 'PROGRESS_MISSING':
      case 'STRAY_WATCH_FAILED':
      case 'STRAY_WRITES_UNAPPLIED':
      case 'PROXIES_MISSING':
      case 'PROXY_BEHIND':
        throw new Error(`${code} is for a person to decide`);
      default:
        throw new Error(`unknown symptom ${String(code satisfies never)}`);
    }
  }

  /** Every trigger with our name, also of tables that are gone from the list; read_only where it is ours. */
  async #free(side: Side, isPrimary: boolean): Promise<void> {
    const { world } = this.#runner;
    const { document } = world.record;
    await using connection = await world.connect(side);
    const { fenceTriggers, readOnly } = await this.#stateOf(side);
    for (const name of fenceTriggers)
      await connection.write(`DROP TRIGGER IF EXISTS ${quoteName(document.database)}.${quoteName(name)}`);
    if (!isPrimary || !readOnly) return;
    await forgetFence('read_only', fenceContext(document, side, connection));
  }

  /** The server that is primary must not come back read-only from a restart. */
  async #forgetPersisted(): Promise<void> {
    const { world } = this.#runner;
    const { record, route } = world;
    const { primary } = await route.of(record.document.id);
    await world.tolerating(`the ${primary} may be read_only after a restart`, async () => {
      await using connection = await world.connect(primary);
      await persistFence('read_only', fenceContext(record.document, primary, connection), false);
    });
  }

  async #look(isBusy: boolean): Promise<Examination> {
    const { world, streams } = this.#runner;
    const outdated = await this.#outdated(isBusy);
    const { document } = world.record;
    const [route, fleet] = [await world.route.of(document.id), await world.fleet.report()];
    const states = world.hasCredentials ? await Promise.all(SIDES.map((side) => this.#stateOf(side))) : [];
    const [source, target] = states;
    return {
      document,
      route,
      servers: source === undefined || target === undefined ? null : { source, target },
      streams: streams.views(),
      strayWrites: streams.strayWrites(),
      proxies: fleet.proxies,
      outdated,
      isBusy,
    };
  }

  /** Found here for the first time, it is acted upon at once. */
  async #outdated(isBusy: boolean): Promise<string | null> {
    const runner = this.#runner;
    const { busyWith } = runner;
    const found = await runner.marker.outdated();
    // A request that has begun meanwhile has asked as well, and is not to be stopped on its way.
    const isStill = !isBusy && runner.busyWith === busyWith;
    if (found !== undefined && isStill && !runner.isOutdated) await runner.enterOutdated(found);
    // The server that told of it may be away by now.
    return found?.message ?? knownOutdated(runner.world.record.document);
  }

  async #stateOf(side: Side): Promise<ServerState> {
    const { world } = this.#runner;
    const { document } = world.record;
    const { id: importId, database, fence } = document;
    try {
      await using connection = await world.connect(side, { connectTimeoutMs: CONNECT_MS });
      return await readServerState({
        connection,
        flavor: flavorOf(document, side),
        importId,
        database,
        tables: document.tables,
        fence: fence?.side === side ? fence : null,
      });
    } catch (error) {
      const { code, message } = serializeError(error);
      return unansweredState(`${code}: ${message}`);
    }
  }
}

function isRepairable({ code }: Symptom): boolean {
  return SYMPTOM_TABLE[code].repair !== null;
}

function isSame(one: Symptom, other: Symptom): boolean {
  return one.code === other.code && one.side === other.side;
}

interface Treatment {
  symptom: Symptom;
  outcome: 'repaired' | 'failed';
  /** Why not. */
  reason: string | null;
}

function reportOf(
  { document, route, servers, streams, strayWrites, proxies, ...rest }: Examination,
  busyWith: string | null,
  treated: Treatment[],
): DoctorReport {
  const left = diagnose({ document, route, servers, streams, strayWrites, proxies, ...rest });
  const findings: DoctorReport['findings'] = [
    ...treated.map(({ symptom, outcome, reason }) => {
      const message = reason === null ? symptom.message : `${symptom.message}. Not repaired: ${reason}`;
      return findingOf({ ...symptom, message }, outcome);
    }),
    ...left
      .filter((symptom) => !treated.some((other) => isSame(other.symptom, symptom)))
      .map((symptom) => findingOf(symptom, 'found')),
  ];
  const { fence, leftFence, intent } = document;
  return {
    importId: document.id,
    healthy: findings.every(({ severity, outcome }) => severity === 'warning' || outcome === 'repaired'),
    busyWith,
    phase: document.phase,
    route: {
      epoch: route.epoch,
      primary: route.primary,
      replica: route.replica,
      hold: route.hold,
      fenced: route.fenced,
    },
    intent:
      intent === null ? null : { switchId: intent.switchId, kind: intent.kind, to: intent.to, fence: intent.fence },
    fence: fence === null ? null : { side: fence.side, kind: fence.kind },
    leftFence: leftFence === null ? null : { side: leftFence.side, kind: leftFence.kind },
    servers,
    streams: streams.map(({ direction, state, lagMs }) => ({ direction, state, lagMs })),
    strayWrites:
      strayWrites === null
        ? null
        : { count: strayWrites.count, unapplied: strayWrites.unapplied, watch: strayWrites.watch },
    proxies: proxies.map(({ instanceId, epoch, sessions }) => ({ instanceId, epoch, sessions })),
    findings,
  };
}

function findingOf(
  { code, side, message }: Symptom,
  outcome: 'found' | 'repaired' | 'failed',
): DoctorReport['findings'][number] {
  const { severity, meaning, remedy, repair }: SymptomEntry = SYMPTOM_TABLE[code];
  return { code, severity, side, message, meaning, remedy, repair, outcome };
}
