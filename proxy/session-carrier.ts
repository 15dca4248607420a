import { parseErr } from '../core/wire/err-packet.ts';
import { COMMAND } from '../core/wire/command.ts';
import { ownQuery, requireSuccess, runCommands, type CommandResult } from './backend-commands.ts';
import { BackendConnection, type Destination, type LoginProfile } from './backend-connection.ts';
import { CLIENT_ERROR, ClientError, type OwnError } from './client-error.ts';
import { prepareCommand, type PreparedStatement, type PreparedStatements } from './prepared-statements.ts';
import {
  closingCommands,
  initDbCommand,
  optionCommands,
  resetCommands,
  restoreCommands,
  trackerCommand,
  valueCommands,
  variablesAgainCommands,
  writableCommands,
} from './restore-commands.ts';
import { isCurrent, parseReadBack, readBackSql, type SessionSnapshot } from './session-snapshot.ts';
import type { SessionState, StateVersions, TextStatement } from './session-state.ts';
import { quoteName } from './sql-pieces.ts';
import type { StatementDiagnostics } from './statement-diagnostics.ts';

/** A connection with the state of a session at these versions, and the ids that its prepared statements have there. */
export interface RestoredConnection extends StateVersions {
  connection: BackendConnection;
  statementIds: Map<number, number>;
  /** Of SQL's PREPARE, by their names: those that cannot be prepared there, and why. */
  missingTexts: Map<string, OwnError>;
}

export interface Carried {
  profile: LoginProfile;
  state: SessionState;
  statements: PreparedStatements;
}

/** ER_MUST_CHANGE_PASSWORD: such a session may do nothing else than that. */
const PASSWORD_EXPIRED = 1820;

/** A login tells its collation in one byte; COM_CHANGE_USER has two. */
export const HANDSHAKE_COLLATION_MAX = 255;

/** After a login in place of COM_CHANGE_USER, whose collation the login could not tell. */
export async function setCollation(connection: BackendConnection, id: number): Promise<void> {
  const select = `SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLLATIONS WHERE ID = ${id}`;
  const [found] = await runCommands(connection, [ownQuery(connection, select)]);
  const [charset, collation] = found?.kind === 'rows' ? (found.rows[0] ?? []) : [];
  // An unknown one: the server takes its default then.
  const names =
    charset && collation ? `${charset.toString('latin1')} COLLATE ${collation.toString('latin1')}` : 'DEFAULT';
  requireSuccess(await runCommands(connection, [ownQuery(connection, `SET NAMES ${names}`)]));
  requireQuiet(connection);
}

/** The beginning of every session, behind its login. */
export async function turnTrackersOn(connection: BackendConnection): Promise<void> {
  try {
    const [result] = await runCommands(connection, [trackerCommand(connection)]);
    requireQuiet(connection);
    if (result?.kind === 'error') {
      if (result.error.packet.code !== PASSWORD_EXPIRED) throw result.error;
      connection.hasTrackers = false;
    } else if (result?.kind === 'ok') {
      connection.loginStatusFlags = result.statusFlags;
    }
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/**
 * What an ERR or EOF packet did not tell: whether a transaction is open, and what had changed until then. Of what the server
 * remembers of the statement, COM_PING changes ROW_COUNT() alone, which SHOW WARNINGS sets to -1 again: behind errors and rows it was that.
 */
export async function readReport(connection: BackendConnection, state: SessionState): Promise<void> {
  const [pong] = await runCommands(connection, [
    Buffer.of(COMMAND.PING),
    ownQuery(connection, 'SHOW WARNINGS LIMIT 0'),
  ]);
  requireQuiet(connection);
  if (pong?.kind !== 'ok' || pong.payload === null)
    throw new ClientError(CLIENT_ERROR.backendLost('it did not answer a ping'));
  state.diagnostics.onPinged(state.onReport(pong.payload).warnings);
}

/** An EOF packet carries no trackers: what they have to tell comes with the next OK packet. */
export async function readPendingTrackers(connection: BackendConnection, state: SessionState): Promise<void> {
  const [result] = await runCommands(connection, [ownQuery(connection, 'DO 0')]);
  requireQuiet(connection);
  if (result?.kind === 'ok' && result.payload !== null) state.onOk(result.payload, []);
}

/** SHOW WARNINGS leaves FOUND_ROWS() as it is, and not the other way round. */
export async function readDiagnostics(connection: BackendConnection, diagnostics: StatementDiagnostics): Promise<void> {
  const statements = ['SHOW WARNINGS', 'SELECT FOUND_ROWS()'];
  const commands = statements.map((sql) => ownQuery(connection, sql));
  const [shown, found] = await runCommands(connection, commands);
  requireQuiet(connection);
  const rows = shown?.kind === 'rows' ? shown.rows : [];
  const warnings = rows.map(([level, code, message]) => ({
    level: level?.toString('latin1') ?? '',
    code: code?.toString('latin1') ?? '0',
    message: message ?? Buffer.alloc(0),
  }));
  const foundRows = found?.kind === 'rows' ? (found.rows[0]?.[0]?.toString('latin1') ?? null) : null;
  diagnostics.onRead(warnings, foundRows);
}

/** What only the server knows, read at a boundary. */
export async function readBack(
  connection: BackendConnection,
  state: SessionState,
  known: SessionSnapshot | null,
): Promise<SessionSnapshot> {
  const [result] = await runCommands(connection, [ownQuery(connection, readBackSql(state, known))]);
  requireQuiet(connection);
  if (result?.kind === 'error') throw result.error;
  const snapshot = result?.kind === 'rows' ? parseReadBack(state, known, result) : undefined;
  if (snapshot === undefined) throw new ClientError(CLIENT_ERROR.moveFailed('its state could not be read'));
  for (const { name } of snapshot.userVariables) state.doubtfulVariables.delete(name);
  return snapshot;
}

/** Opens, logs in and restores a connection. Rejects with ClientError; nothing is left open then. */
export async function openRestored(
  destination: Destination,
  { profile, state, statements }: Carried,
  snapshot: SessionSnapshot,
): Promise<RestoredConnection> {
  const { structureVersion } = state;
  const { variablesVersion, insertIdVersion } = snapshot;
  const schema = state.schema === null ? null : Buffer.from(state.schema, 'utf8');
  const connection = await BackendConnection.open(destination, profile, schema);
  try {
    const commands = [trackerCommand(connection), ...restoreCommands(connection, state, snapshot)];
    const texts = [...state.textPrepared];
    const made = await restore(connection, commands, { state, snapshot, texts, statements: statements.all() });
    return { connection, ...made, structureVersion, variablesVersion, insertIdVersion };
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/**
 * Brings a connection that was prepared ahead up to date, in one round trip: everything anew when the structure of the
 * state changed, else only values and the statements that are missing.
 */
export async function refresh(
  prepared: RestoredConnection,
  { profile, state, statements }: Carried,
  snapshot: SessionSnapshot,
): Promise<void> {
  const { connection, statementIds } = prepared;
  const { structureVersion } = state;
  const { variablesVersion, insertIdVersion } = snapshot;
  let commands: Buffer[] = [];
  const isAnew = prepared.structureVersion !== structureVersion;
  if (isAnew) {
    // It came after the values were read, and a reset without them would lose the character set.
    if (snapshot.charset === null) throw new ClientError(CLIENT_ERROR.moveFailed('its state could not be read'));
    statementIds.clear();
    commands = [...optionCommands(profile.capabilities), ...resetCommands(connection, state, snapshot)];
  } else {
    commands = valueCommands(connection, { state, snapshot, known: prepared });
  }
  const missing = statements.all().filter(({ clientId }) => !statementIds.has(clientId));
  if (missing.length > 0) commands.push(...writableCommands(connection, state));
  const texts = isAnew ? [...state.textPrepared] : [];
  const made = await restore(connection, commands, { state, snapshot, texts, statements: missing });
  for (const [clientId, id] of made.statementIds) statementIds.set(clientId, id);
  if (isAnew) prepared.missingTexts = made.missingTexts;
  prepared.structureVersion = structureVersion;
  prepared.variablesVersion = variablesVersion;
  prepared.insertIdVersion = insertIdVersion;
}

export function isUpToDate(prepared: RestoredConnection, carried: Carried): boolean {
  return (
    isCurrent(prepared, carried.state) &&
    carried.statements.all().every(({ clientId }) => prepared.statementIds.has(clientId))
  );
}

/** On the session's own server: one that could not be prepared when the session came there. */
export async function prepareMissing(
  connection: BackendConnection,
  state: SessionState,
  statement: PreparedStatement,
): Promise<void> {
  const { statementIds } = await restore(connection, writableCommands(connection, state), {
    state,
    snapshot: null,
    texts: [],
    statements: [statement],
  });
  statement.backendId = statementIds.get(statement.clientId) ?? null;
}

/** The same, of SQL's PREPARE. */
export async function prepareMissingText(
  connection: BackendConnection,
  state: SessionState,
  name: string,
): Promise<void> {
  const statement = state.textPrepared.get(name);
  if (statement === undefined) return;
  const { missingTexts } = await restore(connection, writableCommands(connection, state), {
    state,
    snapshot: null,
    texts: [[name, statement]],
    statements: [],
  });
  statement.missing = missingTexts.get(name) ?? null;
}

/** What becomes of a statement that is prepared anew. */
interface PrepareOutcome {
  onPrepared(answer: CommandResult | undefined): void;
  /** Its table is gone: it fails when it is executed, as it would have; or can be prepared by then. */
  onRefused(error: OwnError): void;
}

/**
 * Runs `commands`, then prepares `texts` and `statements`, all sent at once. What keeps transactions from writing comes last: a
 * statement that writes cannot be prepared where the next one may not.
 */
async function restore(
  connection: BackendConnection,
  commands: Buffer[],
  {
    state,
    snapshot,
    texts,
    statements,
  }: {
    state: SessionState;
    snapshot: SessionSnapshot | null;
    texts: readonly (readonly [name: string, statement: TextStatement])[];
    statements: PreparedStatement[];
  },
): Promise<Pick<RestoredConnection, 'statementIds' | 'missingTexts'>> {
  const sent = [...commands];
  /** With the places of their commands among those that are sent. */
  const prepared: { at: readonly number[]; outcome: PrepareOutcome }[] = [];
  // A statement resolves its names against the schema in which it was prepared, which may be gone.
  let schema = state.schema;
  let schemaAt: readonly number[] = [];
  const prepare = (wanted: string | null, own: readonly Buffer[], outcome: PrepareOutcome) => {
    if (wanted !== schema && wanted !== null) {
      schema = wanted;
      schemaAt = [sent.length];
      sent.push(initDbCommand(wanted));
    }
    const ownAt = own.map((_command, index) => sent.length + index);
    prepared.push({ at: wanted === null ? ownAt : [...schemaAt, ...ownAt], outcome });
    sent.push(...own);
  };
  const statementIds = new Map<number, number>();
  const missingTexts = new Map<string, OwnError>();
  for (const [name, text] of texts) {
    const commandsOfText = text.restore.map((sql) => ownQuery(connection, sql));
    prepare(text.schema, commandsOfText, {
      onPrepared() {},
      onRefused: (error) => void missingTexts.set(name, error),
    });
  }
  for (const statement of statements) {
    prepare(statement.schema, [prepareCommand(statement.text)], {
      onPrepared(answer) {
        if (answer?.kind === 'prepared') statementIds.set(statement.clientId, answer.statementId);
      },
      onRefused: (error) => void (statement.refusal = error),
    });
  }
  if (schema !== state.schema && state.schema !== null) sent.push(initDbCommand(state.schema));
  const preparesAny = statements.length + state.textPrepared.size > 0;
  if (snapshot !== null && preparesAny && sent.length > 0) sent.push(...variablesAgainCommands(connection, snapshot));
  if (sent.length > 0) sent.push(...closingCommands(connection, state));
  const results = await runCommands(connection, sent);
  requireQuiet(connection);
  const mayFail = new Set(prepared.flatMap(({ at }) => at));
  requireSuccess(results.filter((_result, index) => !mayFail.has(index)));
  for (const { at, outcome } of prepared) {
    const answers = at.map((index) => results[index]);
    const failed = answers.find((answer) => answer?.kind === 'error');
    if (failed === undefined) outcome.onPrepared(answers.at(-1));
    else outcome.onRefused(failed.error.packet);
  }
  await forget(connection, [...missingTexts.keys()]);
  return { statementIds, missingTexts };
}

/** In another schema than its own a statement may have been prepared all the same, with names of another meaning. */
async function forget(connection: BackendConnection, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await runCommands(
    connection,
    names.map((name) => ownQuery(connection, `DEALLOCATE PREPARE ${quoteName(name)}`)),
  );
  requireQuiet(connection);
}

/** Bytes beyond the answers can only be an error sent before the server closes the connection. */
function requireQuiet(connection: BackendConnection): void {
  const rest = connection.releaseStream();
  if (rest.length === 0) return;
  connection.destroy();
  const why = rest.length > 5 && rest[4] === 0xff ? parseErr(rest.subarray(4)).message : 'unexpected data';
  throw new ClientError(CLIENT_ERROR.backendLost(why));
}
