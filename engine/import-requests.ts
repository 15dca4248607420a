import { AppError, serializeError } from '../core/errors.ts';
import type { Side } from '../core/phase.ts';
import type {
  ConflictListRequest,
  ConflictView,
  ImportView,
  ReplicaHost,
  StrayApplyReport,
  StrayApplyRequest,
  StrayListRequest,
  StrayWriteView,
  SwitchRefusal,
  SwitchReport,
  SwitchRequest,
  UsersApplyReport,
  UsersScript,
  UsersScriptRequest,
  UsersView,
  VerifyRepairReport,
  VerifyRequest,
} from './api.ts';
import type { DdlDecision } from './ddl/ddl-policy.ts';
import type { ImportDocument } from './import-document.ts';
import type { ImportRunner } from './import-runner.ts';
import type { ImportStreams } from './import-streams.ts';
import { ImportUsers } from './import-users.ts';
import type { ImportWorld } from './import-world.ts';
import { lookOnceMore } from './stray/last-look.ts';
import { isFinal, nextPhase, TRANSITIONS } from './phase.ts';
import { removeCompleted, removeState, removeTarget } from './remove.ts';
import { endpointsOf } from './route.ts';
import { ServerConnection } from './server/connection.ts';
import { applyStrayWrites } from './stray/stray-apply.ts';
import { listStrayWrites } from './stray/stray-writes.ts';
import { removeLeftFence } from './switch/fence-watch.ts';
import { checkSwitch } from './switch/switch-preflight.ts';
import { moveLeftEvents } from './switch/left-events.ts';
import type { SwitchPlan } from './switch/switch-world.ts';
import { TrafficSwitch, type SwitchOutcome } from './switch/traffic-switch.ts';
import { listConflicts } from './write-back/conflicts.ts';

/** What operators ask of one import. Requests that change something refuse while another one runs. */
export class ImportRequests {
  readonly #runner: ImportRunner;
  readonly #world: ImportWorld;
  readonly #streams: ImportStreams;
  readonly #users: ImportUsers;

  constructor(runner: ImportRunner) {
    this.#runner = runner;
    this.#world = runner.world;
    this.#streams = runner.streams;
    this.#users = new ImportUsers(runner.world);
  }

  async verify(request: VerifyRequest): Promise<ImportView> {
    return await this.#runner.exclusively('verification', async () => {
      await this.#runner.phases.startVerification(request);
      return await this.#runner.view();
    });
  }

  async pauseVerification(): Promise<ImportView> {
    return await this.#runner.exclusively('pausing of the verification', async () => {
      if (!this.#runner.verification.isRunning)
        throw new AppError('PHASE_REFUSED', 'no verification runs that could be paused');
      await this.#runner.verification.pause();
      return await this.#runner.view();
    });
  }

  async resumeVerification(): Promise<ImportView> {
    return await this.#runner.exclusively('verification', async () => {
      const { verification, phases } = this.#runner;
      if (!verification.canGoOn)
        throw new AppError('PHASE_REFUSED', 'there is no verification that was paused or failed on its way');
      await phases.startVerification('resumed');
      return await this.#runner.view();
    });
  }

  async repairDifferences(actor: string): Promise<VerifyRepairReport> {
    return await this.#runner.exclusively('repair of differing rows', async () => {
      const { phase } = this.#world.record.document;
      const possible = ['running', 'verified_data', 'switched_replicas', 'switched_primaries'];
      if (!possible.includes(phase))
        throw new AppError(
          'PHASE_REFUSED',
          `rows are not repaired in phase ${phase}; possible in ${possible.join(', ')}`,
        );
      const report = await this.#runner.verification.repair(actor);
      return { ...report, view: await this.#runner.view() };
    });
  }

  async switchTraffic(request: SwitchRequest): Promise<SwitchReport> {
    const runner = this.#runner;
    return await runner.exclusively('switch', async () => {
      const { plan, refusals, warnings } = await checkSwitch(runner.switchWorld, request);
      const barred = refusals.filter(({ forceable }) => !(request.force && forceable));
      if (request.dryRun)
        return {
          switched: false,
          refusals,
          warnings,
          pauseMs: null,
          hold: null,
          fence: plan.fence,
          view: await runner.view(),
        };
      if (barred.length > 0) {
        this.#world.log('warn', `the switch is refused: ${codesOf(barred)}`, { refusals });
        throw new AppError('SWITCH_REFUSED', barred.map(({ message }) => message).join('; '), {
          details: { refusals },
        });
      }
      this.#world.log('info', `switching ${request.kind} to the ${plan.to}`, { fence: plan.fence });
      plan.forced = [...new Set(refusals.map(({ code }) => code))];
      for (const { code, message } of refusals)
        this.#world.log('warn', `the switch is forced over ${code}: ${message}`, { forced: code });
      await runner.stopFenceWatch();
      // Its refusal was passed. One that is paused does not go on behind the switch.
      await runner.verification.pause();
      using _switch = runner.verification.atSwitch.begin(plan);
      const { pauseMs, hold } = await this.#run(plan);
      this.#world.log('info', `${request.kind} are served by the ${plan.to}`, {
        pauseMs: Math.round(pauseMs),
        steps: hold.steps,
      });
      return { switched: true, refusals, warnings, pauseMs, hold, fence: plan.fence, view: await runner.view() };
    });
  }

  async #run(plan: SwitchPlan): Promise<SwitchOutcome> {
    try {
      const outcome = await TrafficSwitch.run(this.#runner.switchWorld, plan);
      if (plan.kind === 'primaries') await this.#runner.removeLeftFence();
      return outcome;
    } catch (error) {
      const { code, message } = serializeError(error);
      if (!this.#world.signal.aborted) this.#world.log('error', `${code}: ${message}`);
      throw error;
    } finally {
      this.#runner.watchFence();
    }
  }

  async setReplicaHost(replicaHost: ReplicaHost | null): Promise<ImportView> {
    const { record, route } = this.#world;
    return await this.#runner.exclusively('change of the replica host', async () => {
      const { document } = record;
      if (isFinal(document.phase)) nextPhase(document.phase, 'cancel');
      if (replicaHost !== null) {
        const probe = await ServerConnection.open({ ...this.#world.credentialsOf('source'), ...replicaHost });
        await probe.close();
      }
      const changed = await record.update(() => ({ replicaHost }));
      const { epoch } = await route.of(document.id);
      await route.change(epoch, { endpoints: endpointsOf(changed) });
      return await this.#runner.view();
    });
  }

  async complete(confirm: string): Promise<ImportView> {
    const world = this.#world;
    return await this.#runner.exclusively('completion', async () => {
      const { document } = world.record;
      // Also where a stream back has stopped that nothing brings on: nobody needs it any more.
      const phase = nextPhase(document.error?.fromPhase ?? document.phase, 'complete');
      if (confirm !== document.id) {
        throw new AppError(
          'CONFIRMATION_REQUIRED',
          `completing cannot be undone: confirm it with the name of the import, ${document.id}`,
        );
      }
      // Of a switch back that was undone: without credentials nobody could take it from the primary any more.
      await removeLeftFence(this.#runner.switchWorld);
      await moveLeftEvents(this.#runner.switchWorld, 'target');
      await lookOnceMore(world, this.#streams);
      await this.#runner.stop();
      const left = this.#streams.strayWrites()?.unapplied ?? 0;
      if (left > 0)
        world.log(
          'warn',
          `${left} stray writes were never applied: they stay in _switchyard.stray_writes on the target`,
        );
      if (document.options.reverse !== 'off')
        await world.tolerating('the sidecar schema on the source stays', () => removeState(world, 'source'));
      await world.tolerating('the target tells of the import as before its completion', () =>
        this.#runner.marker.writeEnd({ ...document, phase }),
      );
      await world.tolerating('the progress of the import on the target stays', () => removeCompleted(world));
      await world.record.update(() => ({
        phase,
        error: null,
        source: { ...document.source, user: null },
        target: { ...document.target, user: null },
      }));
      await world.eraseSecrets();
      world.log('info', 'completed: replication has ended and the stored credentials are erased', {
        fence: document.fence,
      });
      return await this.#runner.view();
    });
  }

  async cancel(): Promise<ImportView> {
    const world = this.#world;
    const { document } = world.record;
    const origin = document.error?.fromPhase ?? document.phase;
    if (!('cancel' in TRANSITIONS[origin])) nextPhase(origin, 'cancel');
    return await this.#runner.exclusively('cancelling', async () => {
      const phase = nextPhase(world.record.document.phase, 'cancel');
      // Before another one takes its place: nobody would take it from the primary any more.
      await removeLeftFence(this.#runner.switchWorld);
      await this.#runner.stop();
      // Of a switch back: with the import its reason is gone, and no later import could tell whose it was.
      const { fence } = world.record.document;
      if (fence !== null) await world.record.update(() => ({ fence: null, leftFence: { ...fence, threads: [] } }));
      await world.tolerating('events of the source stay as the switch has left them', () =>
        moveLeftEvents(this.#runner.switchWorld, 'source'),
      );
      await this.#beginRemoval();
      await removeLeftFence(this.#runner.switchWorld);
      // It may have been away when it was asked, and be what everybody writes to (ADR 27).
      await removeTarget(world, (target) => this.#runner.marker.settledOn('target', target));
      if (world.record.document.options.reverse !== 'off')
        await world.tolerating('the sidecar schema on the source stays', () => removeState(world, 'source'));
      await world.record.update(() => ({ phase, error: null }));
      await world.eraseSecrets();
      world.log('info', 'cancelled: the tables that Switchyard made on the target are dropped');
      return await this.#runner.view();
    });
  }

  /**
   * Before anything is removed: whatever ends this on its way, the import must not go on. Tables that are gone would be made
   * again, and the chunks that were copied into them be taken for done.
   */
  async #beginRemoval(): Promise<void> {
    const message = 'cancelling has begun and has not come to its end';
    await this.#world.record.update(({ phase, error }) => ({
      phase: 'error',
      error: {
        code: 'CANCEL_UNFINISHED',
        message,
        details: {},
        fromPhase: error?.fromPhase ?? (phase === 'verifying_data' ? 'running' : phase),
        atMs: Date.now(),
      },
    }));
  }

  async listStrayWrites({ after, limit, unapplied }: StrayListRequest): Promise<StrayWriteView[]> {
    await using connection = await this.#world.connect('target');
    return await listStrayWrites(connection, {
      importId: this.#world.record.document.id,
      after,
      limit,
      unappliedOnly: unapplied,
    });
  }

  async listConflicts(request: ConflictListRequest): Promise<ConflictView[]> {
    await using connection = await this.#world.connect('target');
    return await listConflicts(connection, this.#world.record.document.id, request);
  }

  async applyStrayWrites(ids: StrayApplyRequest['ids'], actor: string): Promise<StrayApplyReport> {
    return await this.#runner.exclusively('application of stray writes', async () => {
      const { id, database, phase, error } = this.#world.record.document;
      if ((error?.fromPhase ?? phase) !== 'switched_primaries') {
        throw new AppError(
          'PHASE_REFUSED',
          `stray writes cannot be applied in phase ${phase}; possible in switched_primaries`,
        );
      }
      await using connection = await this.#world.connect('target');
      const report = await applyStrayWrites({ connection, importId: id, database, ids, actor });
      await this.#streams.recountStrays(connection);
      const level = report.conflicts.length > 0 ? 'warn' : 'info';
      this.#world.log(level, `stray writes: ${report.applied} applied, ${report.conflicts.length} in conflict`, {
        conflicts: report.conflicts.slice(0, 20),
      });
      return { ...report, strayWrites: this.#streams.strayWrites() };
    });
  }

  async listUsers(): Promise<UsersView> {
    return await this.#users.view(await this.#primary());
  }

  async usersScript(request: UsersScriptRequest): Promise<UsersScript> {
    return await this.#users.script(await this.#primary(), request);
  }

  async createUsers(): Promise<UsersApplyReport> {
    return await this.#runner.exclusively('creation of accounts', async () => this.#users.apply(await this.#primary()));
  }

  async #primary(): Promise<Side> {
    const { record, route } = this.#world;
    // Once it has ended there is no route, and the accounts say so.
    return isFinal(record.document.phase) ? 'source' : (await route.of(record.document.id)).primary;
  }

  async resume(ddl: DdlDecision | undefined): Promise<ImportView> {
    const { record } = this.#world;
    return await this.#runner.exclusively(
      'resuming',
      async () => {
        const { error, phase } = record.document;
        if (error === null) {
          throw new AppError('PHASE_REFUSED', `there is nothing to resume in phase ${phase}; possible in error`);
        }
        const { marker, isOutdated: wasOutdated } = this.#runner;
        // The one that told of it may be away.
        if (wasOutdated) await marker.settledAnew();
        else await this.#runner.refuseOutdated();
        if (error.code === 'CANCEL_UNFINISHED') return await this.#leaveHalfRemoved(error, wasOutdated);
        // One that does not answer now is asked before anything begins there: another engine may have had the import.
        marker.askAgain();
        this.#streams.decideDdl(ddl === undefined ? undefined : { gtid: stoppedAt(error), decision: ddl });
        await record.update(() => ({ phase: error.fromPhase, error: null }));
        await this.#runner.start();
        if (wasOutdated) await this.#runner.release();
        return await this.#runner.view();
      },
      { isRemedy: true },
    );
  }

  /** Nothing to go on with; without the hold and its reason, where that has been settled. */
  async #leaveHalfRemoved(error: NonNullable<ImportDocument['error']>, wasOutdated: boolean): Promise<ImportView> {
    if (!wasOutdated)
      throw new AppError('PHASE_REFUSED', 'the import is half removed: it can only be cancelled, again');
    await this.#world.record.update(() => ({ error: { ...error, details: {} } }));
    await this.#runner.release();
    return await this.#runner.view();
  }
}

function codesOf(refusals: readonly SwitchRefusal[]): string {
  return [...new Set(refusals.map(({ code }) => code))].join(', ');
}

/** Of the DDL statement that stopped the import. A decision without one would meet whatever statement comes next. */
function stoppedAt({ code, details: { gtid } }: NonNullable<ImportDocument['error']>): string {
  if (typeof gtid === 'string') return gtid;
  throw new AppError(
    'REQUEST_INVALID',
    `the import has not stopped at a DDL statement (${code}): resume it without --skip-ddl and --apply-ddl`,
  );
}
