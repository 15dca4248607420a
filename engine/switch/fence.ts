import { AppError } from '../../core/errors.ts';
import { systemClock } from '../../core/clock.ts';
import type { ImportOptions, ServerFacts } from '../api.ts';
import {
  errnoOf,
  escapeBytes,
  bytesOf,
  quoteName,
  quoteText,
  type Bytes,
  type ServerConnection,
} from '../server/connection.ts';
import { accountSql, readAccounts, type AccountName } from './accounts.ts';
import { readSessions } from './process-list.ts';

/**
 * The fence refuses application writes in the database itself, so that a stale proxy, a forgotten job or a console
 * cannot get around it. Our own user must stay able to write: the stream of the other direction does.
 */
export type FenceKind = Exclude<ImportOptions['fence'], 'auto'>;

export interface FenceContext {
  /** For `lock_tables` the connection that holds the lock: it can do nothing else meanwhile, and its end is the lock's. */
  connection: ServerConnection;
  /** More of that server, which take their share of the `triggers`. */
  beside?: readonly ServerConnection[];
  flavor: ServerFacts['flavor'];
  database: string;
  tables: string[];
  /** Accounts to lock, or that were locked. */
  accounts: readonly AccountName[];
  /** Connections that may stay although their account is locked: held by proxies, which know what they may do with them. */
  spared?: ReadonlySet<number>;
  /** Of a fence of triggers: in how many more tables than are free it waits in vain before it leaves the rest. */
  heldMax?: number;
  /** Ends that between two tables. */
  signal?: AbortSignal;
}

/** Over four connections triggers on many tables take half as long as over one, and not less over eight (ADR 4). */
const CONNECTIONS_BESIDE = 3;
/** Fewer are done sooner than connections are opened. */
const TABLES_BESIDE = 8;

/** How many connections are worth opening beside the one. */
export function connectionsBeside(kind: FenceKind, tables: readonly string[]): number {
  return kind === 'triggers' && tables.length >= TABLES_BESIDE ? CONNECTIONS_BESIDE : 0;
}

/** Names of the refusing triggers begin with it. */
export const FENCE_TRIGGER_PREFIX = '_switchyard_fence_';

/** Bound on the wait for statements under way when the fence goes up; the pause counts on it. */
const LOCK_WAIT_S = 2;
/** On the wait for one table whose fence goes: whoever reads it waits behind us meanwhile. */
const UNLOCK_WAIT_S = 1;
/** `heldMax` where somebody waits, traffic above all: a backup holds every table of the server. */
const HELD_MAX = 5;
export const LOCK_WAIT_TIMEOUT = 1205;
const ENDING_POLL_MS = 20;
const UNKNOWN_USER = [1396, 1133];
const FENCED_EVENTS = ['INSERT', 'UPDATE', 'DELETE'];

/** Resolves when no application write can commit any more. */
export async function raiseFence(kind: FenceKind, context: FenceContext): Promise<void> {
  const { connection } = context;
  try {
    if (kind === 'none') return;
    await boundLockWait(context, LOCK_WAIT_S);
    switch (kind) {
      case 'read_only':
        await connection.write('SET GLOBAL read_only=ON');
        break;
      case 'triggers':
        await renewTriggers(context);
        break;
      case 'accounts':
        for (const account of context.accounts) await alterAccount(context, account, 'LOCK');
        await endSessions(context);
        break;
      case 'lock_tables':
        await connection.write(
          `LOCK TABLES ${context.tables.map((table) => `${qualified(context, table)} READ`).join(', ')}`,
        );
        break;
      default:
        kind satisfies never;
    }
    // Of triggers the server has said so one by one, and its catalog is slow.
    if (kind !== 'triggers' && !(await isFenceStanding(kind, context))) throw new Error('the server does not have it');
  } catch (cause) {
    throw failed(kind, cause);
  }
}

/**
 * Puts back what is gone of a fence that applications may be running against: nothing of it is taken away meanwhile, and a table that
 * cannot be fenced does not leave the others open.
 */
export async function putBackFence(kind: FenceKind, context: FenceContext): Promise<void> {
  if (kind !== 'triggers') return await raiseFence(kind, context);
  try {
    await boundLockWait(context, LOCK_WAIT_S);
    await addTriggers(context, missingTriggers(context, await readFenced(context)));
    if (!(await isFenceStanding(kind, context))) throw new Error('the server does not have it');
  } catch (cause) {
    throw failed(kind, cause);
  }
}

function failed(kind: FenceKind, cause: unknown): AppError {
  return new AppError('FENCE_FAILED', `the fence (${kind}) could not be raised: ${(cause as Error).message}`, {
    cause,
  });
}

/** Takes the fence away; nothing to take away is no error. */
export async function lowerFence(kind: FenceKind, context: FenceContext): Promise<void> {
  const { connection, accounts } = context;
  switch (kind) {
    case 'read_only':
      await connection.write('SET GLOBAL read_only=OFF');
      return;
    case 'triggers':
      await boundLockWait(context, UNLOCK_WAIT_S);
      // By what is there: DDL under the fence may have taken a table from the list, and given others its number.
      await dropWhereFree(context, (await readFenced(context)).triggers);
      return;
    case 'accounts':
      for (const account of accounts) await alterAccount(context, account, 'UNLOCK');
      return;
    case 'lock_tables':
      await connection.write('UNLOCK TABLES');
      return;
    case 'none':
      return;
    default:
      kind satisfies never;
  }
}

/** Whether the fence is still there in all its parts. `lock_tables` stands as long as its connection does. */
export async function isFenceStanding(kind: FenceKind, context: FenceContext): Promise<boolean> {
  const { connection, flavor, accounts } = context;
  switch (kind) {
    case 'read_only':
      return await isReadOnly(connection);
    case 'triggers':
      return missingTriggers(context, await readFenced(context)).length === 0;
    case 'accounts': {
      const known = await readAccounts(connection, flavor);
      // An account that is gone lets nobody in.
      return (
        known !== null &&
        accounts.every((name) => known.find((account) => isSame(account.name, name))?.locked !== false)
      );
    }
    case 'lock_tables':
      await connection.write('DO 1');
      return true;
    case 'none':
      return true;
    default:
      throw new Error(`unknown fence ${String(kind satisfies never)}`);
  }
}

/** Makes a standing fence survive a restart of the server, where the grants allow it; outside of the pause. */
export async function persistFence(
  kind: FenceKind,
  { connection, flavor }: FenceContext,
  standing: boolean,
): Promise<boolean> {
  if (kind !== 'read_only') return true;
  if (flavor === 'mariadb') return !standing;
  try {
    await connection.write(standing ? 'SET PERSIST_ONLY read_only=ON' : 'RESET PERSIST IF EXISTS read_only');
    return true;
  } catch {
    return false;
  }
}

/**
 * A fence that is gone for good, outside of the pause. In this order, and `read_only` turned off once more: a server that was restarted since
 * the fence was lowered has come back with what was persisted. Rejects where that is not known to be forgotten.
 */
export async function forgetFence(kind: FenceKind, context: FenceContext): Promise<void> {
  if (!(await persistFence(kind, context, false)) && (await isReadOnlyPersisted(context.connection)))
    throw new AppError('SERVER_ERROR', 'read_only stays persisted: RESET PERSIST was refused');
  await lowerFence(kind, context);
}

export async function isReadOnly(connection: ServerConnection): Promise<boolean> {
  const row = await connection.selectOne<{ readOnly: string }>('SELECT @@global.read_only AS readOnly');
  // MariaDB 12 has names for its values, and more than ON and OFF.
  return row !== undefined && row.readOnly !== '0' && row.readOnly !== 'OFF';
}

/** False also where it cannot be read. */
export async function isReadOnlyPersisted(connection: ServerConnection): Promise<boolean> {
  const rows = await connection
    .select<{ value: string }>(
      "SELECT VARIABLE_VALUE AS value FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = 'read_only'",
    )
    .catch(() => []);
  return rows.some(({ value }) => value === 'ON' || value === '1');
}

type FenceTrigger = Record<'name' | 'tableName' | 'event', string>;

interface FencedTables {
  /** In small letters: servers may keep them so. */
  names: ReadonlySet<string>;
  triggers: FenceTrigger[];
}

/** In one question, since servers answer it slowly and it is asked within the pause. */
async function readFenced({ connection, database }: FenceContext): Promise<FencedTables> {
  const schema = quoteText(database);
  const rows = await connection.select<Record<'tableName', string> & Record<'name' | 'event', string | null>>(
    `SELECT TABLE_NAME AS tableName, NULL AS name, NULL AS event FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${schema} ` +
      `UNION ALL SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, EVENT_MANIPULATION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${schema}`,
  );
  const triggers = rows.flatMap(({ tableName, name, event }) =>
    name === null || event === null || !name.startsWith(FENCE_TRIGGER_PREFIX) ? [] : [{ tableName, name, event }],
  );
  const tables = rows.filter(({ name }) => name === null);
  return { names: new Set(tables.map(({ tableName }) => tableName.toLowerCase())), triggers };
}

/** Of imported tables that are there: DDL that got past the fence may have taken one away, which nobody writes to any more. */
function missingTriggers({ tables }: FenceContext, { names, triggers }: FencedTables): FenceTrigger[] {
  const fenced = new Set(triggers.map(({ tableName, event }) => `${event} ${tableName}`));
  const missing = tables
    .filter((tableName) => names.has(tableName.toLowerCase()))
    .flatMap((tableName) => FENCED_EVENTS.map((event) => ({ tableName, event })))
    .filter(({ tableName, event }) => !fenced.has(`${event} ${tableName}`));
  // Names of triggers are the schema's, and a renamed table keeps its own.
  const taken = new Set(triggers.map(({ name }) => name));
  let number = 0;
  return missing.map(({ tableName, event }) => {
    const nameOf = () => `${FENCE_TRIGGER_PREFIX}${number}_${event.toLowerCase()}`;
    while (taken.has(nameOf())) number += 1;
    taken.add(nameOf());
    return { name: nameOf(), tableName, event };
  });
}

/** All of them anew: what has our names may be of another import, and let another user through. */
async function renewTriggers(context: FenceContext): Promise<void> {
  const found = await readFenced(context);
  await forEachTable(context, found.triggers, (connection, ofTable) => dropTriggers(context, connection, ofTable));
  await addTriggers(context, missingTriggers(context, { ...found, triggers: [] }));
}

/** A transaction that holds one table (a report, an XA transaction that is prepared) leaves the others free. Rejects where there was one. */
async function dropWhereFree(context: FenceContext, triggers: FenceTrigger[]): Promise<void> {
  const { heldMax = HELD_MAX, signal } = context;
  const held: unknown[] = [];
  let free = 0;
  await forEachTable(context, triggers, async (connection, ofTable) => {
    signal?.throwIfAborted();
    try {
      await dropTriggers(context, connection, ofTable);
      free += 1;
    } catch (error) {
      if (errnoOf(error) !== LOCK_WAIT_TIMEOUT) throw error;
      held.push(error);
      if (held.length >= free + heldMax) throw error;
    }
  });
  if (held.length > 0) throw held[0];
}

async function dropTriggers(
  context: FenceContext,
  connection: ServerConnection,
  triggers: FenceTrigger[],
): Promise<void> {
  for (const { name } of triggers) await connection.write(`DROP TRIGGER IF EXISTS ${qualified(context, name)}`);
}

async function addTriggers(context: FenceContext, triggers: FenceTrigger[]): Promise<void> {
  const { database } = context;
  const message = `Switchyard: ${database} has moved to another server; connect through the proxy`;
  await forEachTable(context, triggers, async (connection, ofTable) => {
    for (const { name, tableName, event } of ofTable) {
      await connection.write(
        `CREATE TRIGGER ${qualified(context, name)} BEFORE ${event} ON ${qualified(context, tableName)} FOR EACH ROW ` +
          `BEGIN IF SUBSTRING_INDEX(USER(), '@', 1) <> ${quoteText(connection.server.user)} THEN ` +
          `SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${escapeBytes(bytesOf(message.slice(0, 128)))}'; END IF; END`,
      );
    }
  });
}

/** Over all connections at once, each with the next table. Behind a failure none begins another one, and those under way are waited for. */
async function forEachTable(
  { connection, beside = [] }: FenceContext,
  triggers: FenceTrigger[],
  work: (connection: ServerConnection, ofTable: FenceTrigger[]) => Promise<void>,
): Promise<void> {
  const left = [...Map.groupBy(triggers, ({ tableName }) => tableName).values()];
  const ends = await Promise.allSettled(
    [connection, ...beside].map(async (one) => {
      try {
        for (let next = left.shift(); next !== undefined; next = left.shift()) await work(one, next);
      } catch (error) {
        left.length = 0;
        throw error;
      }
    }),
  );
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function boundLockWait({ connection, beside = [] }: FenceContext, seconds: number): Promise<void> {
  const bound = `SET SESSION lock_wait_timeout=${seconds}`;
  await Promise.all([connection, ...beside].map((one) => one.write(bound)));
}

function qualified({ database }: FenceContext, name: string): Bytes {
  return `${quoteName(database)}.${quoteName(name)}`;
}

async function alterAccount(
  { connection }: FenceContext,
  account: AccountName,
  action: 'LOCK' | 'UNLOCK',
): Promise<void> {
  try {
    await connection.write(`ALTER USER ${accountSql(account)} ACCOUNT ${action}`);
  } catch (error) {
    // Dropped meanwhile: there is nothing to lock or to give back.
    if (!UNKNOWN_USER.includes(errnoOf(error) ?? 0)) throw error;
  }
}

/** A locked account lets nobody in; whoever is in has to go. Until they are gone: a rollback still holds what it wrote. */
async function endSessions({ connection, accounts, spared }: FenceContext): Promise<void> {
  const users = new Set(accounts.map(({ user }) => user));
  const deadlineMs = systemClock.monotonicMs() + LOCK_WAIT_S * 1000;
  for (;;) {
    const sessions = (await readSessions(connection)).filter(
      ({ id, user }) => users.has(user) && spared?.has(id) !== true,
    );
    if (sessions.length === 0) return;
    if (systemClock.monotonicMs() > deadlineMs)
      throw new Error(`${sessions.length} sessions of locked accounts did not end within ${LOCK_WAIT_S} s`);
    // 1094: it has ended by itself.
    for (const { id } of sessions) await connection.write(`KILL ${id}`).catch((error: unknown) => ignoreGone(error));
    await systemClock.sleep(ENDING_POLL_MS);
  }
}

function ignoreGone(error: unknown): void {
  if (errnoOf(error) !== 1094) throw error;
}

function isSame(one: AccountName, other: AccountName): boolean {
  return one.user === other.user && one.host === other.host;
}
