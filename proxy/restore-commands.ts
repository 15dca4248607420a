import { CAPABILITY, hasCapability } from '../core/wire/capabilities.ts';
import { COMMAND } from '../core/wire/command.ts';
import { collationOfSession } from '../core/collation.ts';
import { ownQuery } from './backend-commands.ts';
import type { BackendConnection } from './backend-connection.ts';
import { quoteVariable, type CharsetVariables, type SessionSnapshot } from './session-snapshot.ts';
import type { SessionState, StateVersions } from './session-state.ts';

/** What would let the next transaction write. */
const READ_WRITE = /\bREAD\s+WRITE\b|_read_only/i;
/** What would not let it, among other things. */
const READ_ONLY_NEXT = /\bREAD\s+ONLY\b|_read_only/i;

/** Everything reported by name, the schema, and a flag for the rest. MariaDB knows `*` since 10.3. */
const TRACKERS = [
  `@@SESSION.session_track_system_variables='*'`,
  '@@SESSION.session_track_schema=1',
  '@@SESSION.session_track_state_change=1',
];

/** Tells when what rules the next transaction was used up; on from the first such statement of a session on. */
export const NEXT_TRANSACTION_TRACKER = `SET @@SESSION.session_track_transaction_info='CHARACTERISTICS'`;

/** The trackers of a new session; nothing of it can be known without them. */
export function trackerCommand(connection: BackendConnection): Buffer {
  return ownQuery(connection, `SET ${TRACKERS.join(', ')}`);
}

export function initDbCommand(schema: string): Buffer {
  return Buffer.concat([Buffer.of(COMMAND.INIT_DB), Buffer.from(schema, 'utf8')]);
}

/**
 * The commands that give a fresh connection the state of a session, but for its prepared statements, to be sent back to back; each
 * must succeed (I5).
 */
export function restoreCommands(
  connection: BackendConnection,
  state: SessionState,
  snapshot: SessionSnapshot,
): Buffer[] {
  const charset = state.charsetTouched ? snapshot.charset : null;
  const commands: Buffer[] = state.role === null ? [] : [ownQuery(connection, state.role)];
  // In two statements: names of user variables are read by the character set that is set before.
  for (const assignments of [
    [
      ...systemAssignments(connection, state, charset),
      ...charsetAssignments(connection, charset),
      ...serverCharsetAssignments(connection, state, charset),
    ],
    [...variableAssignments(connection, snapshot), ...insertIdAssignments(snapshot)],
  ]) {
    if (assignments.length > 0) commands.push(ownQuery(connection, `SET ${assignments.join(', ')}`));
  }
  return commands;
}

/** The same for a connection that was restored before: it is reset first, which is exact whatever had changed. */
export function resetCommands(connection: BackendConnection, state: SessionState, snapshot: SessionSnapshot): Buffer[] {
  const commands = [Buffer.of(COMMAND.RESET_CONNECTION), trackerCommand(connection)];
  if (state.schema !== null) commands.push(initDbCommand(state.schema));
  // The reset took the server's default character set, not that of the login.
  const assignments = charsetAssignments(connection, snapshot.charset);
  if (assignments.length > 0) commands.push(ownQuery(connection, `SET ${assignments.join(', ')}`));
  return [...commands, ...restoreCommands(connection, state, snapshot)];
}

/** Only what the old server alone knows and `known` has not, on a connection that has all the rest already. */
export function valueCommands(
  connection: BackendConnection,
  { state, snapshot, known }: { state: SessionState; snapshot: SessionSnapshot; known: StateVersions },
): Buffer[] {
  const assignments: string[] = [];
  if (known.variablesVersion !== snapshot.variablesVersion) {
    const charset = state.charsetTouched ? snapshot.charset : null;
    assignments.push(
      ...charsetAssignments(connection, charset),
      ...serverCharsetAssignments(connection, state, charset),
      ...variableAssignments(connection, snapshot),
    );
  }
  if (known.insertIdVersion !== snapshot.insertIdVersion) assignments.push(...insertIdAssignments(snapshot));
  if (assignments.length === 0) return [];
  return [ownQuery(connection, `SET ${assignments.join(', ')}`)];
}

/** What the next transactions may do, and the next one: on a connection that has all the rest already. */
export function closingCommands(connection: BackendConnection, state: SessionState): Buffer[] {
  const { tracksNextTransaction, nextTransaction, inTransaction } = state;
  const readOnly = wantsReadOnly(state) ? [`SET @@SESSION.${variableOn(connection, READ_ONLY)}=1`] : [];
  const next = tracksNextTransaction && !inTransaction ? [NEXT_TRANSACTION_TRACKER, ...nextTransaction] : [];
  return [...readOnly, ...next].map((sql) => ownQuery(connection, sql));
}

/** Takes back what `closingCommands` has said, as far as statements that write could not be prepared with it. */
export function writableCommands(connection: BackendConnection, state: SessionState): Buffer[] {
  const mayNotWrite = wantsReadOnly(state) || state.nextTransaction.some((sql) => READ_ONLY_NEXT.test(sql));
  return mayNotWrite ? [ownQuery(connection, `SET @@SESSION.${variableOn(connection, READ_ONLY)}=0`)] : [];
}

/** COM_SET_OPTION: whether several statements may stand in one text. A reset leaves it as it is. */
export function optionCommands(capabilities: number): Buffer[] {
  const isOn = hasCapability(capabilities, CAPABILITY.MULTI_STATEMENTS);
  return [Buffer.of(COMMAND.SET_OPTION, isOn ? 0 : 1, 0)];
}

function wantsReadOnly({ systemVariables }: SessionState): boolean {
  const wanted = [...systemVariables].findLast(([name]) => (RENAMED[name] ?? name) === READ_ONLY);
  return wanted !== undefined && !/^(?:0|OFF)$/i.test(wanted[1].toString('latin1'));
}

/** Turns our own `transaction_read_only` on, or gives the session back what the client had: its own value, or the server's default. */
export function readOnlyCommands(connection: BackendConnection, state: SessionState, isOn: boolean): Buffer[] {
  const name = variableOn(connection, READ_ONLY);
  const wanted = [...state.systemVariables].findLast(([variable]) => (RENAMED[variable] ?? variable) === READ_ONLY);
  const own = wanted === undefined ? 'DEFAULT' : systemValue(READ_ONLY, wanted[1].toString('latin1'));
  const set = ownQuery(connection, `SET @@SESSION.${name}=${isOn ? '1' : own}`);
  // It has taken the place of what SET TRANSACTION said.
  const next = state.tracksNextTransaction && !state.inTransaction ? state.nextTransaction : [];
  const said = isOn ? next.filter((sql) => !READ_WRITE.test(sql)) : next;
  return [set, ...said.map((sql) => ownQuery(connection, sql))];
}

function systemAssignments(server: BackendConnection, state: SessionState, charset: CharsetVariables | null): string[] {
  const isReadOnly = wantsReadOnly(state);
  return [...state.systemVariables]
    .filter(([name]) => charset === null || !READ_BACK_CHARSET.test(name))
    .filter(([name]) => (RENAMED[name] ?? name) !== READ_ONLY || !isReadOnly)
    .map(([name, value]) => `@@SESSION.${variableOn(server, name)}=${systemValue(name, textOn(server, name, value))}`);
}

const READ_ONLY = 'transaction_read_only';

/** MariaDB took the newer names in 11.1, and has kept the older ones; MySQL has the newer ones only. */
const RENAMED: Record<string, string> = {
  tx_isolation: 'transaction_isolation',
  tx_read_only: READ_ONLY,
};

function variableOn({ isMariaDb }: BackendConnection, name: string): string {
  if (!isMariaDb) return RENAMED[name] ?? name;
  return Object.entries(RENAMED).find(([, newer]) => newer === name)?.[0] ?? name;
}

function textOn(server: BackendConnection, name: string, value: Buffer): string {
  const text = value.toString('latin1');
  if (name === 'sql_mode' && !server.isMariaDb) return withoutGone(text);
  return name === 'collation_connection' ? collationOfSession(text, server) : text;
}

/** MariaDB has it by default; MySQL took it away when it began to behave as with it, always. Source: MySQL 8.0 manual, "Server SQL Modes". */
function withoutGone(modes: string): string {
  return modes
    .split(',')
    .filter((mode) => mode !== 'NO_AUTO_CREATE_USER')
    .join(',');
}

/** The collation last: setting the character set of the connection sets it to the default one. */
function charsetAssignments(server: BackendConnection, charset: CharsetVariables | null): string[] {
  if (charset === null) return [];
  return [
    `@@SESSION.character_set_client=${charset.client}`,
    `@@SESSION.character_set_results=${charset.results ?? 'NULL'}`,
    `@@SESSION.character_set_connection=${charset.connection}`,
    `@@SESSION.collation_connection=${collationOfSession(charset.collation, server)}`,
  ];
}

/** Only where the session has one of its own: it is the server's. */
function serverCharsetAssignments(
  server: BackendConnection,
  { systemVariables }: SessionState,
  charset: CharsetVariables | null,
): string[] {
  const isOwn = systemVariables.has('character_set_server') || systemVariables.has('collation_server');
  if (charset === null || !isOwn) return [];
  return [`@@SESSION.collation_server=${collationOfSession(charset.serverCollation, server)}`];
}

/** On MariaDB a statement that assigns a variable gives it another character set where it is only prepared. */
export function variablesAgainCommands(connection: BackendConnection, snapshot: SessionSnapshot): Buffer[] {
  if (!connection.isMariaDb || snapshot.userVariables.length === 0) return [];
  return [ownQuery(connection, `SET ${variableAssignments(connection, snapshot).join(', ')}`)];
}

/** Also NULL: the connection may have an older value. */
function variableAssignments(server: BackendConnection, { userVariables }: SessionSnapshot): string[] {
  return userVariables.map(({ name, literal, collation, mariaDbLiteral }) => {
    if (server.isMariaDb && mariaDbLiteral !== null) return `${quoteVariable(name)}=${mariaDbLiteral}`;
    const collate = collation === null ? '' : ` COLLATE ${collationOfSession(collation, server)}`;
    return `${quoteVariable(name)}=${literal}${collate}`;
  });
}

function insertIdAssignments({ lastInsertId }: SessionSnapshot): string[] {
  return lastInsertId === null ? [] : [`@@SESSION.last_insert_id=${lastInsertId}`];
}

const READ_BACK_CHARSET = /^(?:character_set_(?:client|results|connection|server)|collation_(?:connection|server))$/;

/** Trackers give text; numeric variables refuse a quoted number. */
function systemValue(name: string, text: string): string {
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return text;
  if (text === '' && name === 'character_set_results') return 'NULL';
  // MariaDB's, a word and no value.
  if (text === 'DEFAULT' && name === 'system_versioning_asof') return text;
  return quoteText(text);
}

/** No backslash may stand in it as it is: whether it escapes depends on sql_mode. */
function quoteText(text: string): string {
  if (text.includes('\\')) return `_utf8mb4 X'${Buffer.from(text, 'latin1').toString('hex')}'`;
  return `'${text.replaceAll(`'`, `''`)}'`;
}
