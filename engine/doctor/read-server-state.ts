import type { ServerFacts } from '../api.ts';
import type { ImportDocument } from '../import-document.ts';
import { quoteText, type ServerConnection } from '../server/connection.ts';
import { readDurable, SIDECAR_SCHEMA } from '../sidecar.ts';
import { readAccounts } from '../switch/accounts.ts';
import { isFenceStanding, isReadOnly, isReadOnlyPersisted } from '../switch/fence.ts';
import type { ServerState } from './doctor-report.ts';

export interface ServerQuestion {
  connection: ServerConnection;
  flavor: ServerFacts['flavor'];
  importId: string;
  database: string;
  tables: string[];
  /** The one that should stand there. */
  fence: ImportDocument['fence'];
}

/** What a switch could have left on a server. */
export async function readServerState(question: ServerQuestion): Promise<ServerState> {
  const { connection, database, importId, flavor, fence } = question;
  const triggers = await connection.select<{ name: string }>(
    `SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${quoteText(database)} ` +
      String.raw`AND TRIGGER_NAME LIKE '\_switchyard\_fence\_%' ORDER BY 1`,
  );
  return {
    answers: true,
    reason: null,
    readOnly: await isReadOnly(connection),
    readOnlyPersisted: flavor === 'mysql' && (await isReadOnlyPersisted(connection)),
    fenceTriggers: triggers.map(({ name }) => name),
    fenceStands: fence === null ? null : await isFenceStanding(fence.kind, { ...question, accounts: fence.accounts }),
    lockedAccounts: await lockedAccounts(question),
    progress: await progressOf(connection, importId),
  };
}

export function unansweredState(reason: string): ServerState {
  return {
    answers: false,
    reason,
    readOnly: false,
    readOnlyPersisted: false,
    fenceStands: null,
    fenceTriggers: [],
    lockedAccounts: [],
    progress: [],
  };
}

async function lockedAccounts({ connection, flavor, fence }: ServerQuestion): Promise<string[]> {
  const accounts = fence?.accounts ?? [];
  if (accounts.length === 0) return [];
  const known = (await readAccounts(connection, flavor)) ?? [];
  return known
    .filter(({ name, locked }) => locked && accounts.some(({ user, host }) => user === name.user && host === name.host))
    .map(({ label }) => label);
}

async function progressOf(connection: ServerConnection, importId: string): Promise<ServerState['progress']> {
  const rows = await connection
    .select<{ direction: string; position: string }>(
      `SELECT direction, position FROM ${SIDECAR_SCHEMA}.progress WHERE import_id = ${quoteText(importId)} ORDER BY 1`,
    )
    .catch(() => []);
  return rows.map(({ direction, position }) => ({ direction, position: readDurable(position).position }));
}
