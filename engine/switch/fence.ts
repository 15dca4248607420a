import { AppError } from '../../core/errors.ts';
import type { ImportOptions, ServerFacts } from '../api.ts';
import { escapeBytes, bytesOf, quoteName, quoteText, type Bytes, type ServerConnection } from '../server/connection.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';

/**
 * The fence refuses application writes in the database itself, so that a stale proxy, a forgotten job or a console
 * cannot get around it. Our own user must stay able to write: the stream of the other direction does.
 */
export type FenceKind = Exclude<ImportOptions['fence'], 'auto'>;

export interface FenceContext {
  connection: ServerConnection;
  flavor: ServerFacts['flavor'];
  database: string;
  tables: string[];
}

export interface FencePlan {
  kind: FenceKind;
  /** Why nothing stronger was taken, or why nothing at all can be. */
  notes: string[];
  possible: boolean;
}

const SYSTEM_SCHEMAS = ['mysql', 'information_schema', 'performance_schema', 'sys', SIDECAR_SCHEMA];

/** Bound on the wait for statements under way when the fence goes up; the pause counts on it. */
const LOCK_WAIT_S = 2;

/** The strongest fence that the grants allow and that hits nobody else, or the one asked for. */
export async function planFence(context: FenceContext, requested: ImportOptions['fence']): Promise<FencePlan> {
  if (requested === 'none') return { kind: 'none', notes: ['no fence was asked for: writes that bypass the proxy are not refused'], possible: true };
  const granted = await globalGrants(context.connection);
  const notes: string[] = [];
  if (requested !== 'triggers') {
    const obstacles = [...readOnlyObstacles(context.flavor, granted), ...(requested === 'auto' ? await otherSchemas(context) : [])];
    if (obstacles.length === 0) return { kind: 'read_only', notes, possible: true };
    notes.push(...obstacles.map((obstacle) => `read_only: ${obstacle}`));
    if (requested === 'read_only') return { kind: 'read_only', notes, possible: false };
  }
  const obstacles = await triggerObstacles(context, granted);
  notes.push(...obstacles.map((obstacle) => `triggers: ${obstacle}`));
  return { kind: 'triggers', notes, possible: obstacles.length === 0 };
}

/** Resolves when no application write can commit any more. */
export async function raiseFence(kind: FenceKind, context: FenceContext): Promise<void> {
  const { connection } = context;
  try {
    switch (kind) {
      case 'read_only':
        await connection.write(`SET SESSION lock_wait_timeout=${LOCK_WAIT_S}`);
        await connection.write('SET GLOBAL read_only=ON');
        return;
      case 'triggers':
        await connection.write(`SET SESSION lock_wait_timeout=${LOCK_WAIT_S}`);
        await lowerFence('triggers', context);
        for (const statement of triggerStatements(context)) await connection.write(statement);
        return;
      case 'none':
        return;
      default:
        kind satisfies never;
    }
  } catch (cause) {
    throw new AppError('FENCE_FAILED', `the fence (${kind}) could not be raised: ${(cause as Error).message}`, { cause });
  }
}

/** Takes the fence away; nothing to take away is no error. */
export async function lowerFence(kind: FenceKind, { connection, database, tables }: FenceContext): Promise<void> {
  switch (kind) {
    case 'read_only':
      await connection.write('SET GLOBAL read_only=OFF');
      return;
    case 'triggers':
      for (const name of tables.flatMap((_, index) => triggerNames(index))) {
        await connection.write(`DROP TRIGGER IF EXISTS ${quoteName(database)}.${quoteName(name)}`);
      }
      return;
    case 'none':
      return;
    default:
      kind satisfies never;
  }
}

/** Makes a standing fence survive a restart of the server, where the grants allow it; outside of the pause. */
export async function persistFence(kind: FenceKind, { connection, flavor }: FenceContext, standing: boolean): Promise<boolean> {
  if (kind !== 'read_only') return true;
  if (flavor === 'mariadb') return !standing;
  try {
    await connection.write(standing ? 'SET PERSIST_ONLY read_only=ON' : 'RESET PERSIST IF EXISTS read_only');
    return true;
  } catch {
    return false;
  }
}

function triggerNames(index: number): string[] {
  return ['insert', 'update', 'delete'].map((event) => `_switchyard_fence_${index}_${event}`);
}

function* triggerStatements({ connection, database, tables }: FenceContext): Generator<Bytes> {
  const message = `Switchyard: ${database} has moved to another server; connect through the proxy`;
  for (const [index, table] of tables.entries()) {
    for (const name of triggerNames(index)) {
      const event = name.slice(name.lastIndexOf('_') + 1).toUpperCase();
      yield `CREATE TRIGGER ${quoteName(database)}.${quoteName(name)} BEFORE ${event} ON ${quoteName(database)}.${quoteName(table)} FOR EACH ROW ` +
        `BEGIN IF SUBSTRING_INDEX(USER(), '@', 1) <> ${quoteText(connection.server.user)} THEN ` +
        `SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${escapeBytes(bytesOf(message.slice(0, 128)))}'; END IF; END`;
    }
  }
}

/** Privileges on *.*, upper case; ALL PRIVILEGES as 'ALL'. */
async function globalGrants(connection: ServerConnection): Promise<Set<string>> {
  const rows = await connection.rows('SHOW GRANTS');
  const granted = new Set<string>();
  for (const [grant] of rows) {
    const match = /^GRANT (.*) ON \*\.\* TO/.exec(grant ?? '');
    for (const privilege of (match?.[1] ?? '').split(',')) granted.add(privilege.trim().replace(/ PRIVILEGES$/, ''));
  }
  return granted;
}

function readOnlyObstacles(flavor: ServerFacts['flavor'], granted: Set<string>): string[] {
  if (granted.has('ALL') || granted.has('SUPER')) return [];
  const needed = flavor === 'mysql' ? ['SYSTEM_VARIABLES_ADMIN', 'CONNECTION_ADMIN'] : ['READ_ONLY ADMIN'];
  return needed.filter((privilege) => !granted.has(privilege)).map((privilege) => `the Switchyard user lacks ${privilege} on *.*`);
}

async function otherSchemas({ connection, database }: FenceContext): Promise<string[]> {
  const rows = await connection.select<{ name: string }>('SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA');
  const others = rows.map(({ name }) => name).filter((name) => name !== database && !SYSTEM_SCHEMAS.includes(name.toLowerCase()));
  return others.length === 0 ? [] : [`it would also stop writes to ${others.slice(0, 5).join(', ')}`];
}

async function triggerObstacles({ connection }: FenceContext, granted: Set<string>): Promise<string[]> {
  if (granted.has('ALL') || granted.has('SUPER')) return [];
  const row = await connection.selectOne<{ trusted: string }>('SELECT @@global.log_bin_trust_function_creators AS trusted');
  const grants = await connection.rows('SHOW GRANTS');
  const mayCreate = grants.some(([grant]) => /\bTRIGGER\b|ALL PRIVILEGES/.test(grant ?? ''));
  return [
    ...(mayCreate ? [] : ['the Switchyard user lacks TRIGGER on the imported schema']),
    ...(row?.trusted === '1' ? [] : ['log_bin_trust_function_creators is OFF and the Switchyard user lacks SUPER']),
  ];
}
