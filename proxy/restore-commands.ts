import { COMMAND } from '../core/wire/command.ts';
import { ownQuery } from './backend-commands.ts';
import type { BackendConnection } from './backend-connection.ts';
import { quoteVariable, type SessionSnapshot } from './session-snapshot.ts';
import type { SessionState } from './session-state.ts';

/** Everything reported by name, the schema, and a flag for the rest. MariaDB knows `*` since 10.3. */
const TRACKERS = [
  `@@SESSION.session_track_system_variables='*'`,
  '@@SESSION.session_track_schema=1',
  '@@SESSION.session_track_state_change=1',
];

/** The trackers of a new session; nothing of it can be known without them. */
export function trackerCommand(connection: BackendConnection): Buffer {
  return ownQuery(connection, `SET ${TRACKERS.join(', ')}`);
}

export function initDbCommand(schema: string): Buffer {
  return Buffer.concat([Buffer.of(COMMAND.INIT_DB), Buffer.from(schema, 'utf8')]);
}

/**
 * The commands that give a connection the state of a session, to be sent back to back; each must succeed (I5).
 * `isFresh` is false for one that was restored before: it is reset first, which is exact whatever had changed.
 */
export function restoreCommands(
  connection: BackendConnection,
  state: SessionState,
  { snapshot, isFresh }: { snapshot: SessionSnapshot; isFresh: boolean },
): Buffer[] {
  const commands: Buffer[] = [];
  if (!isFresh) {
    commands.push(Buffer.of(COMMAND.RESET_CONNECTION), trackerCommand(connection));
    if (state.schema !== null) commands.push(initDbCommand(state.schema));
  }
  if (state.role !== null) commands.push(ownQuery(connection, state.role));
  const assignments = assignmentsOf(state, snapshot);
  if (assignments.length > 0) commands.push(ownQuery(connection, `SET ${assignments.join(', ')}`));
  for (const [name, text] of state.textPrepared) {
    commands.push(ownQuery(connection, `PREPARE \`${name.replaceAll('`', '``')}\` FROM '${text}'`));
  }
  if (state.nextTransaction !== null) commands.push(ownQuery(connection, state.nextTransaction));
  return commands;
}

function assignmentsOf(state: SessionState, snapshot: SessionSnapshot): string[] {
  const assignments: string[] = [];
  const { charset } = snapshot;
  for (const [name, value] of state.systemVariables) {
    if (charset !== null && READ_BACK_CHARSET.test(name)) continue;
    assignments.push(`@@SESSION.${name}=${systemValue(name, value)}`);
  }
  if (charset !== null) {
    // The collation last: setting the character set of the connection sets it to the default one.
    assignments.push(
      `@@SESSION.character_set_client=${charset.client}`,
      `@@SESSION.character_set_results=${charset.results ?? 'NULL'}`,
      `@@SESSION.character_set_connection=${charset.connection}`,
      `@@SESSION.collation_connection=${charset.collation}`,
    );
  }
  for (const { name, literal } of snapshot.userVariables) {
    if (literal !== 'NULL') assignments.push(`${quoteVariable(name)}=${literal}`);
  }
  if (snapshot.lastInsertId !== null) assignments.push(`@@SESSION.last_insert_id=${snapshot.lastInsertId}`);
  return assignments;
}

const READ_BACK_CHARSET = /^(?:character_set_(?:client|results|connection)|collation_connection)$/;

/** Trackers give text; numeric variables refuse a quoted number. */
function systemValue(name: string, value: Buffer): string {
  const text = value.toString('latin1');
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return text;
  if (text === '' && name === 'character_set_results') return 'NULL';
  return quoteText(text);
}

/** No backslash may stand in it as it is: whether it escapes depends on sql_mode. */
function quoteText(text: string): string {
  if (text.includes('\\')) return `_utf8mb4 X'${Buffer.from(text, 'latin1').toString('hex')}'`;
  return `'${text.replaceAll(`'`, `''`)}'`;
}
