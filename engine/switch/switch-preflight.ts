import { AppError } from '../../core/errors.ts';
import { otherSide, type Phase } from '../../core/phase.ts';
import type { Role } from '../../core/routing-record.ts';
import type { SwitchRefusal, SwitchRequest } from '../api.ts';
import { checkDurability, DURABILITY_VARIABLES } from '../preflight/check-durability.ts';
import { detectProvider } from '../preflight/provider.ts';
import { globalVariables } from '../schema/inspect.ts';
import { executedPosition } from '../server/position.ts';
import { replicaChannels } from '../server/replica-channels.ts';
import { checkStrayWatch, checkStrayWrites } from '../stray/stray-watch-check.ts';
import { AskedServers } from './asked-servers.ts';
import {
  fenceContext,
  flavorOf,
  leavesReplicas,
  replicaSideAfter,
  type SwitchPlan,
  type SwitchWorld,
} from './switch-world.ts';
import type { Account } from './accounts.ts';
import { isReadOnly, type FenceKind } from './fence.ts';
import { checkDirectSessions, type DirectSession } from './direct-connections.ts';
import { planFence } from './fence-plan.ts';
import { removeLeftFence } from './fence-watch.ts';
import { checkUsers } from './check-users.ts';
import { checkVerification } from './check-verification.ts';
import { checkLeftTables } from './left-tables.ts';
import { checkOpenTransactions } from './open-transactions.ts';
import { checkPinned } from './pinned-sessions.ts';
import { refusalOfPrepared, sidesWithoutPrepared } from './prepared-transactions.ts';
import { refusal } from './refusal-table.ts';

export interface SwitchCheck {
  plan: SwitchPlan;
  refusals: SwitchRefusal[];
  warnings: string[];
}

/** The triggers of one table, on an idle server and on a busy one. */
const FENCE_TABLE_MS = [5, 15];

const PHASES_FOR: Record<SwitchRequest['kind'], { forth: Phase[]; back: Phase[] }> = {
  replicas: { forth: ['running', 'verified_data'], back: ['switched_replicas'] },
  primaries: { forth: ['running', 'verified_data', 'switched_replicas'], back: ['switched_primaries'] },
};

/** Step 0: everything that can be known or done without a pause. Collects every reason at once, also where a server does not answer. */
export async function checkSwitch(
  switchWorld: SwitchWorld,
  { kind, back, policy, force, ...budgets }: SwitchRequest,
): Promise<SwitchCheck> {
  const servers = new AskedServers(switchWorld);
  const { world } = servers;
  const { document } = world.record;
  const possible = PHASES_FOR[kind][back ? 'back' : 'forth'];
  if (!possible.includes(document.phase)) {
    throw new AppError(
      'PHASE_REFUSED',
      `switching ${kind}${back ? ' back' : ''} is not possible in phase ${document.phase}; possible in ${possible.join(', ')}`,
      {
        details: { phase: document.phase, possible },
      },
    );
  }
  const { drainPolicy, drainBudgetMs, pauseDeadlineMs } = document.options;
  const plan: SwitchPlan = {
    kind,
    to: back ? 'source' : 'target',
    fence: 'none',
    accounts: [],
    drainPolicy: policy ?? drainPolicy,
    drainBudgetMs: budgets.drainBudgetMs ?? drainBudgetMs,
    pauseDeadlineMs: budgets.pauseDeadlineMs ?? pauseDeadlineMs,
    isVerified: false,
    forced: [],
  };
  const refusals: SwitchRefusal[] = [];
  const warnings: string[] = [];
  checkReverse(world, plan, { refusals, warnings });
  warnings.push(...replicaWrites(world, plan));
  await checkLeftFence(world, refusals);
  await servers.ask('how far replication is', () => checkStream(world, plan, refusals));
  await servers.ask('how far the write-back is', () => checkWriteBack(world, plan, refusals));
  if (kind === 'primaries') {
    const direct = await servers.ask('direct connections', () =>
      checkDirectSessions(world, plan, { refusals, warnings }),
    );
    await servers.ask('the fence', () => checkFence(world, plan, { direct: direct ?? [], refusals, warnings }));
    await servers.ask(`whether the ${plan.to} takes writes`, () => checkWritable(world, plan, refusals));
    await servers.ask(`whether the log of the ${plan.to} is durable`, () => checkLog(world, plan, warnings));
    await servers.ask('what the old primary receives', () => checkReceived(world, plan, warnings));
    await servers.ask('prepared transactions', () => checkPrepared(world, plan, refusals));
    await servers.ask('tables that are not replicated', () => checkLeftTables(world, plan, refusals));
    if (back) {
      await servers.ask('whether there are more stray writes', () => checkStrayWatch(world, refusals));
      await servers.ask('stray writes', () => checkStrayWrites(world, refusals));
    }
  }
  await checkUsers(world, plan, warnings);
  // Each of them would say the same again.
  if (!servers.isAway(plan.to)) await prepareSessions(world, plan, refusals, warnings);
  await checkOpenTransactions(world, plan, { refusals, warnings });
  // Last: little is written between this and the pause.
  plan.isVerified = await checkVerification(world, { to: plan.to, isForced: force }, { refusals, warnings });
  return { plan, refusals: [...servers.refusals, ...refusals], warnings };
}

/** What an earlier switch could not take away must be gone before it could be mistaken for the fence of this one. */
async function checkLeftFence(world: SwitchWorld, refusals: SwitchRefusal[]): Promise<void> {
  try {
    await removeLeftFence(world);
  } catch (error) {
    const side = world.record.document.leftFence?.side;
    const message = `the fence of an earlier switch could not be taken from the ${side}: ${(error as Error).message}`;
    refusals.push(refusal('FENCE_LEFT', message));
  }
}

/** Where the source must not be written to, there is no way back to it. */
function checkReverse(
  { record }: SwitchWorld,
  { kind, to }: SwitchPlan,
  { refusals, warnings }: Pick<SwitchCheck, 'refusals' | 'warnings'>,
): void {
  if (kind === 'replicas' || record.document.options.reverse !== 'off') return;
  if (to === 'source') {
    const message =
      'the import has reverse: off, so what was written on the target since the switch is not on the source';
    refusals.push(refusal('REVERSE_OFF', message));
  } else {
    warnings.push(
      'REVERSE_OFF: the import has reverse: off; what is written on the target does not reach the source, and switching back is not possible',
    );
  }
}

/** The proxy has the server refuse them (ADR 26): said beforehand, since many applications write over either endpoint. */
function replicaWrites({ record }: SwitchWorld, { kind, to }: SwitchPlan): string[] {
  const isApart = kind === 'replicas' ? to === 'target' : replicaSideAfter(record.document, { kind, to }) !== to;
  if (!isApart) return [];
  return [
    'REPLICA_WRITES: until replica and primary traffic are on the same side again, writes, SELECT … FOR UPDATE and temporary tables over the replica endpoint are refused (error 1792)',
  ];
}

/** Lag is measured, not read: what the old primary has now must be applied within the time allowed. */
async function checkStream(world: SwitchWorld, { kind, to }: SwitchPlan, refusals: SwitchRefusal[]): Promise<void> {
  const { document } = world.record;
  if (to === 'source' && (kind === 'replicas' || document.options.reverse === 'off')) return;
  const stream = world.streams.replicationTo(to);
  const { state } = stream?.view() ?? { state: 'stopped' };
  if (stream === undefined || state === 'stopped' || state === 'failed') {
    refusals.push(refusal('STREAM_NOT_RUNNING', `replication to the ${to} is not running`));
    return;
  }
  const { maxLagMs } = document.options;
  await using connection = await world.connect(otherSide(to));
  const position = await executedPosition(
    connection,
    to === 'target' ? document.sourceFacts.flavor : document.targetFacts.flavor,
  );
  try {
    await stream.waitFor(position, AbortSignal.timeout(maxLagMs));
  } catch {
    refusals.push(refusal('LAG_TOO_HIGH', `replication to the ${to} is more than ${maxLagMs} ms behind`));
  }
}

/** What testers have written must be judged soon as well: the rest of it is judged within the pause. */
async function checkWriteBack(world: SwitchWorld, { kind, to }: SwitchPlan, refusals: SwitchRefusal[]): Promise<void> {
  const { options, targetFacts } = world.record.document;
  if (kind === 'replicas' || to === 'source' || options.reverse !== 'always') return;
  const { writeBack } = world.streams;
  if (writeBack?.isRunning !== true) {
    const message = 'the write-back to the source is not running';
    refusals.push(refusal('STREAM_NOT_RUNNING', message));
    return;
  }
  await using target = await world.connect('target');
  const position = await executedPosition(target, targetFacts.flavor);
  try {
    await writeBack.waitFor(position, AbortSignal.timeout(options.maxLagMs));
  } catch {
    const message = `the write-back to the source is more than ${options.maxLagMs} ms behind`;
    refusals.push(refusal('LAG_TOO_HIGH', message));
  }
}

async function checkPrepared(world: SwitchWorld, { to }: SwitchPlan, refusals: SwitchRefusal[]): Promise<void> {
  for (const side of sidesWithoutPrepared(world.record.document, to)) {
    await using connection = await world.connect(side);
    const prepared = await refusalOfPrepared(connection, side);
    if (prepared !== undefined) refusals.push(prepared);
  }
}

interface FenceFindings {
  direct: DirectSession[];
  refusals: SwitchRefusal[];
  warnings: string[];
}

async function checkFence(
  world: SwitchWorld,
  plan: SwitchPlan,
  { direct, refusals, warnings }: FenceFindings,
): Promise<void> {
  const from = otherSide(plan.to);
  await using connection = await world.connect(from);
  const { document } = world.record;
  const { kind, accounts, notes, known, possible } = await planFence(
    fenceContext(document, from, connection),
    document.options.fence,
    { servesReplicas: leavesReplicas(document, plan, await world.route.of(document.id)) },
  );
  plan.fence = kind;
  plan.accounts = accounts;
  warnings.push(...slowFence(kind, document.tables.length, plan));
  warnings.push(...passedBy({ kind, known, direct, own: connection.server.user, database: document.database }));
  if (possible) {
    warnings.push(...notes.map((note) => `fence on the ${from}: ${note}`));
  } else {
    refusals.push(
      refusal(
        'FENCE_IMPOSSIBLE',
        `application writes on the ${from} could not be refused: ${notes.join('; ')}. Give the grants, or create the import with the fence "none"`,
      ),
    );
  }
}

/** Said beforehand: at the deadline it is given up, and traffic has been held for nothing. */
function slowFence(kind: FenceKind, tables: number, { pauseDeadlineMs }: SwitchPlan): string[] {
  const [fastMs, slowMs] = FENCE_TABLE_MS.map((ms) => ms * tables) as [number, number];
  if (kind !== 'triggers' || slowMs < pauseDeadlineMs / 2) return [];
  return [
    `FENCE_SLOW: triggers are created on ${tables} tables within the pause, which takes ${fastMs / 1000} to ${slowMs / 1000} s by the server and its load; at ${pauseDeadlineMs / 1000} s (pauseDeadlineMs) the switch is given up. Traffic is held as long`,
  ];
}

/** Accounts that the fence does not stop, and that have to do with the schema: administrators at large are not named. */
function passedBy({
  kind,
  known,
  direct,
  own,
  database,
}: {
  kind: FenceKind;
  known: Account[] | null;
  direct: DirectSession[];
  own: string;
  database: string;
}): string[] {
  if (kind !== 'read_only' && kind !== 'accounts') return [];
  const passing = (known ?? []).filter(
    ({ name, locked, passesReadOnly, isAdministrator }) =>
      !locked && name.user !== own && (kind === 'read_only' ? passesReadOnly : isAdministrator),
  );
  const concerned = passing.filter(
    (account) => account.isNamedIn(database) || direct.some(({ user }) => user === account.name.user),
  );
  return concerned.map(
    ({ label }) =>
      `FENCE_PASSED_BY: ${label} can go on writing behind the fence ${kind}, by its administrative privileges`,
  );
}

async function checkWritable(world: SwitchWorld, { to }: SwitchPlan, refusals: SwitchRefusal[]): Promise<void> {
  const { fence } = world.record.document;
  if (fence?.side === to && fence.kind === 'read_only') return;
  await using connection = await world.connect(to);
  if (!(await isReadOnly(connection))) return;
  refusals.push(refusal('DESTINATION_READ_ONLY', `the ${to} is read_only, and Switchyard did not make it so`));
}

/** The log of the new primary is followed from now on, unless nothing is brought back. */
async function checkLog(world: SwitchWorld, { to }: SwitchPlan, warnings: string[]): Promise<void> {
  if (world.record.document.options.reverse === 'off') return;
  await using connection = await world.connect(to);
  const variables = await globalVariables(connection, DURABILITY_VARIABLES);
  const provider = await detectProvider(connection);
  const findings = checkDurability({ side: to, variables, provider });
  warnings.push(...findings.map(({ code, message, fix }) => `${code}: on the ${to} ${message}. ${fix}`));
}

/** Nobody's session, and past every fence. */
async function checkReceived(world: SwitchWorld, { to }: SwitchPlan, warnings: string[]): Promise<void> {
  const side = otherSide(to);
  await using connection = await world.connect(side);
  const channels = await replicaChannels(connection, flavorOf(world.record.document, side));
  const applied = channels.filter(({ isApplied }) => isApplied).map(({ from }) => from);
  if (applied.length === 0) return;
  warnings.push(
    `REPLICATED_FROM_ELSEWHERE: the ${side} goes on applying what it receives from ${applied.join(', ')}, which no fence keeps out: what that changes in the imported tables behind the switch are stray writes`,
  );
}

/** 1045, 1130, 1698, 3118, 3955 and their like: what the account on the other side is about. */
function accountHint(reason: string, id: string): string {
  return /access denied|is not allowed to connect|account is (locked|blocked)/i.test(reason)
    ? `; \`switchyard users ${id}\` compares the accounts`
    : '';
}

/** Opens and restores every session's connection on the other side, which is also the trial of every user seen. */
async function prepareSessions(
  world: SwitchWorld,
  plan: SwitchPlan,
  refusals: SwitchRefusal[],
  warnings: string[],
): Promise<void> {
  const { route, fleet, record } = world;
  const { kind, to } = plan;
  const { replica } = await route.of(record.document.id);
  const standing = record.document.fence;
  if (standing?.side === to && standing.kind === 'accounts') {
    if (kind === 'primaries')
      warnings.push(
        `accounts are locked on the ${to} until the switch: sessions move there without a connection opened ahead, which takes longer`,
      );
    else
      refusals.push(
        refusal(
          'SESSION_CANNOT_MOVE',
          `the fence on the ${to} has locked the accounts there, until primary traffic comes back: replica traffic could not log in`,
        ),
      );
    return;
  }
  const roles: Role[] = kind === 'replicas' ? ['replica'] : replica === to ? ['primary'] : ['primary', 'replica'];
  const { prepareBudgetMs: budgetMs } = record.document.options;
  const reports = await Promise.all(roles.map((role) => fleet.prepare({ role, to, budgetMs })));
  for (const { user, address, reason } of reports.flatMap(({ failures }) => failures)) {
    refusals.push(
      refusal(
        'SESSION_CANNOT_MOVE',
        `${user} from ${address} cannot be moved to the ${to}: ${reason}${accountHint(reason, record.document.id)}`,
      ),
    );
  }
  const pinned = await checkPinned(
    world,
    plan,
    reports.flatMap((report) => report.pinned),
  );
  refusals.push(...pinned.refusals);
  warnings.push(...pinned.warnings);
  const left = reports.reduce((sum, report) => sum + report.left, 0);
  if (left > 0) {
    warnings.push(
      `${left} sessions have no connection to the ${to} yet, since the time (prepareBudgetMs, ${budgetMs}) did not do: they log in within the pause, or when they are used next`,
    );
  }
  const unanswered = Math.max(0, ...reports.map((report) => report.unanswered));
  if (unanswered > 0)
    warnings.push(`${unanswered} proxies did not answer: whether their sessions can move is not known`);
}
