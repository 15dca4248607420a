import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';
import { connect, rows } from '../support/query.ts';
import type { ScheduleRun } from './run-schedule.ts';
import type { Step } from './schedule.ts';
import { DATABASE } from './soak-stage.ts';
import { lines } from './writer.ts';

/** Resolves when the step is done; what follows from it (an engine that starts again) goes on beside the next step. */
export async function takeStep(run: ScheduleRun, step: Step): Promise<void> {
  const { switchyard, relays, servers } = run.stage;
  switch (step.kind) {
    case 'wait':
      await delay(step.ms);
      return;
    case 'running':
      await run.until(({ phase }) => phase !== 'pending' && phase !== 'copying');
      return;
    case 'caught_up':
      await run.caughtUp();
      return;
    case 'verify':
      await attempt(run, 'verify', async () => switchyard.client.verify(run.importId));
      return;
    case 'kill_engine': {
      const pid = switchyard.pids('engine').at(-1);
      if (pid !== undefined) kill(pid);
      return;
    }
    case 'kill_proxy':
      for (const pid of switchyard.pids('proxy')) kill(pid);
      return;
    case 'kill_supervisor':
      await switchyard.killSupervisor();
      await switchyard.startProcess();
      return;
    case 'kill_everything':
      await switchyard.killAll();
      await switchyard.startProcess();
      return;
    case 'replace':
      await attempt(run, 'replace', async () => switchyard.replace());
      return;
    case 'replica':
      await troubleReplica(run, step);
      return;
    case 'cut':
      relays[step.side].cut(step.how);
      return;
    case 'stall':
      relays[step.side].stall();
      await delay(step.ms);
      relays[step.side].forward();
      return;
    case 'refuse':
      relays[step.side].refuse();
      relays[step.side].cut('reset');
      await delay(step.ms);
      relays[step.side].forward();
      return;
    case 'kill_sessions':
      await killSessions(run, step.side);
      return;
    case 'rotate': {
      await using connection = await connect(servers[step.side]);
      await connection.query('FLUSH BINARY LOGS');
      return;
    }
    case 'restart':
      await servers[step.side].restart();
      return;
    case 'crash':
      await servers[step.side].kill();
      await servers[step.side].start();
      return;
    case 'stray':
      await run.strays.write(step);
      return;
    case 'apply_strays':
      await attempt(run, 'apply strays', async () => switchyard.client.applyStrayWrites(run.importId, 'all'));
      return;
    case 'switch': {
      const { what: kind, back, force } = step;
      const switching = attempt(run, `switch ${kind}${back ? ' back' : ''}`, async () =>
        switchyard.client.switchTraffic(run.importId, { kind, back, force }),
      );
      // Its failure is waited for below.
      switching.catch(() => {});
      if (step.during !== null) {
        await delay(step.during.afterMs);
        await takeStep(run, step.during.step);
      }
      await switching;
      await run.until(({ phase }) => phase !== 'switching_primaries' && phase !== 'switching_replicas');
      return;
    }
    case 'ddl': {
      const { traffic } = await run.view();
      await using connection = await connect(servers[traffic.primary], DATABASE);
      for (const setting of step.session) await connection.query(setting).catch(() => run.count('ddl session refused'));
      for (const sql of step.sql) {
        const outcome = await connection.query({ sql, infileStreamFactory: lines }).then(
          () => 'ddl',
          () => 'ddl refused',
        );
        run.count(outcome);
      }
      return;
    }
    default:
      step satisfies never;
  }
}

/** Refused, undone or without an answer: all are allowed while things break, and the end shows whether it was right. */
async function attempt(run: ScheduleRun, what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    run.count(what);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    run.count(`${what}: ${error.code}`);
    run.note(`  ${error.code}: ${error.message.slice(0, 300)}`);
  }
}

async function troubleReplica({ replica }: ScheduleRun, { how, ms }: Extract<Step, { kind: 'replica' }>) {
  if (how === 'behind') await replica?.stopApplying(ms);
  else if (how === 'restart') await replica?.server.restart();
  else {
    await replica?.server.kill();
    await delay(ms);
    await replica?.server.start();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

/** As an administrator does: every session of our user, in whatever state. */
async function killSessions(run: ScheduleRun, side: Side): Promise<void> {
  await using connection = await connect(run.stage.servers[side]);
  // Not from information_schema or performance_schema: those fail where a session's statement has an emoji.
  const sessions = await rows(connection, 'SHOW PROCESSLIST');
  for (const { Id, User } of sessions) {
    if (User === 'switchyard') await connection.query(`KILL ${String(Id)}`).catch(() => {});
  }
}
