import { AppError } from '../core/errors.ts';
import { otherSide, type Side } from '../core/phase.ts';
import type { Finding, UsersApplyReport, UsersScript, UsersView } from './api.ts';
import type { ImportWorld } from './import-world.ts';
import { isFinal } from './phase.ts';
import { finding } from './preflight/finding.ts';
import type { ServerConnection } from './server/connection.ts';
import type { AccountName } from './switch/accounts.ts';
import { flavorOf } from './switch/switch-world.ts';
import { applyPlans, type AppliedPlans } from './users/apply-plans.ts';
import { readUserPlans, type UserPlans } from './users/read-plans.ts';
import { USER_FINDINGS, unreadableFindings, userFindings } from './users/user-findings.ts';
import { usersScript } from './users/users-script.ts';

type World = Pick<ImportWorld, 'record' | 'connect' | 'log'>;

/** The accounts of an import's schema: those of the primary, as the other side has them (ADR 24). */
export class ImportUsers {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  async view(from: Side): Promise<UsersView> {
    return await this.#read(from, async ({ view }) => view);
  }

  async script(from: Side, options: { hashes: boolean }): Promise<UsersScript> {
    return await this.#read(from, async ({ plans }) => usersScript(plans, options));
  }

  /** Creates what is absent and can come along. The findings of the import say what is left. */
  async apply(from: Side): Promise<UsersApplyReport> {
    const { options } = this.#world.record.document;
    if (from === 'target' && options.reverse === 'off')
      throw new AppError('PHASE_REFUSED', 'the import has reverse: off, nothing is written to the source');
    const applied = await this.#read(from, async ({ plans }, connections) => {
      return await this.#create(otherSide(from), plans, connections[otherSide(from)]);
    });
    for (const { account, statement, reason } of applied.refused)
      this.#world.log('warn', `${account}: ${reason}: ${statement}`);
    const view = await this.view(from);
    await this.#keepFindings([...userFindings(view), ...refusals(otherSide(from), applied)]);
    return { ...applied, view };
  }

  /**
   * With the objects of the copy: what the option `users` asks for. Twice: before views and routines, whose definers they may
   * be, and behind them for the privileges on routines.
   */
  async bring(when: 'before_objects' | 'behind_objects'): Promise<void> {
    const { users } = this.#world.record.document.options;
    if (users === 'ignore' || (users === 'report' && when === 'before_objects')) return;
    try {
      // What is refused for want of a routine is given behind them, and what is not is told then.
      if (when === 'before_objects')
        await this.#read('source', async ({ plans }, { target }) => this.#create('target', plans, target));
      else if (users === 'create') await this.apply('source');
      else await this.#keepFindings(userFindings(await this.view('source')));
    } catch (error) {
      const found = couldNot(error);
      for (const { code, message } of found) this.#world.log('warn', `${code}: ${message}`);
      await this.#keepFindings(found);
    }
  }

  async #create(to: Side, plans: UserPlans['plans'], connection: ServerConnection): Promise<AppliedPlans> {
    const applied = await applyPlans(
      { connection, database: this.#world.record.document.database },
      plans,
      async (names: AccountName[]) => {
        await this.#world.record.update(({ created }) => ({
          created: { ...created, users: [...created.users, ...names.map((name) => ({ ...name, side: to }))] },
        }));
      },
    );
    if (applied.created.length > 0)
      this.#world.log('info', `accounts created on the ${to}: ${applied.created.join(', ')}`);
    return applied;
  }

  async #read<T>(
    from: Side,
    use: (found: UserPlans, connections: Record<Side, Awaited<ReturnType<World['connect']>>>) => Promise<T>,
  ): Promise<T> {
    const { document } = this.#world.record;
    if (isFinal(document.phase))
      throw new AppError(
        'PHASE_REFUSED',
        `accounts are not looked at in phase ${document.phase}: the credentials are erased`,
      );
    await using source = await this.#world.connect('source');
    await using target = await this.#world.connect('target');
    const to = otherSide(from);
    const { fence, created, database } = document;
    const connections = { source, target };
    const found = await readUserPlans({
      database,
      from,
      connections,
      flavors: { source: flavorOf(document, 'source'), target: flavorOf(document, 'target') },
      isFenced: fence?.side === to && fence.kind === 'accounts',
      ours: created.users.filter(({ side }) => side === to),
    });
    return await use(found, connections);
  }

  async #keepFindings(found: Finding[]): Promise<void> {
    await this.#world.record.update(({ findings }) => ({
      findings: [...findings.filter(({ code }) => !USER_FINDINGS.includes(code)), ...found],
    }));
  }
}

function couldNot(error: unknown): Finding[] {
  if (!(error instanceof AppError) || error.code !== 'USERS_GRANT_MISSING') return unreadableFindings(error);
  const { grants } = error.details;
  return [
    finding(
      'USER_NOT_CREATED',
      'target',
      null,
      error.message,
      Array.isArray(grants) ? `${grants.join('; ')};` : undefined,
    ),
  ];
}

function refusals(side: Side, { refused }: AppliedPlans): Finding[] {
  return refused.map(({ account, statement, reason }) =>
    finding('USER_NOT_CREATED', side, account, `${account}: ${reason}`, `${statement};`),
  );
}
