import { ownQuery, requireSuccess, runCommands, type CommandResult } from './backend-commands.ts';
import type { BackendConnection } from './backend-connection.ts';
import { NEXT_TRANSACTION_TRACKER, trackerCommand } from './restore-commands.ts';
import type { CatchUp, SessionState } from './session-state.ts';
import { quoteVariable } from './session-snapshot.ts';
import { quoteName, type TableName } from './sql-pieces.ts';
import { askForLocksSql, userLockPin } from './user-locks.ts';

/**
 * Runs on the session's server what has to be asked for, or said again, right after a command of the client: later,
 * or on another server, nobody could tell any more.
 */
export async function catchUp(
  connection: BackendConnection,
  state: SessionState,
  work: readonly CatchUp[],
): Promise<void> {
  for (const item of work) {
    switch (item.kind) {
      case 'trackers':
        await turnTrackersOn(connection, state, item.names);
        break;
      case 'unscoped':
        await readUnscoped(connection, state, item.names);
        break;
      case 'options':
        await readOptions(connection, state, item.names);
        break;
      case 'functions':
        await lookForFunctions(connection, state, item.names);
        break;
      case 'user-locks':
        await askForLocks(connection, state, item.names);
        break;
      case 'next-transaction':
        await sayNextTransaction(connection, state, item.sql);
        break;
      case 'prepared-text':
        await readPreparedText(connection, state, item);
        break;
      default:
        throw new Error(`unknown catch-up ${JSON.stringify(item satisfies never)}`);
    }
  }
  connection.releaseStream();
}

/** MariaDB keeps the list over many a statement: it has to be that of the client's, not of our questions. */
export async function sayListAgain(connection: BackendConnection, state: SessionState): Promise<void> {
  const { listAgain, hasRows } = state.diagnostics;
  if (listAgain === null) return;
  // It leaves ROW_COUNT() at -1.
  await run(connection, [listAgain, ...(hasRows ? [] : ['DO 0'])]);
  connection.releaseStream();
  state.diagnostics.onSaidAgain();
}

async function sayNextTransaction(connection: BackendConnection, state: SessionState, sql: string): Promise<void> {
  const results = await run(connection, [NEXT_TRANSACTION_TRACKER, sql]);
  requireSuccess(results);
  const said = results.at(-1);
  state.onNextTransaction(sql, said?.kind === 'ok' ? said.payload : null);
}

/** Setting a variable to its own value has the server report it. */
async function turnTrackersOn(connection: BackendConnection, state: SessionState, names: string[]): Promise<void> {
  requireSuccess(await runCommands(connection, [trackerCommand(connection)]));
  if (names.length === 0) return;
  const assignments = names.map((name) => `@@SESSION.${name}=@@SESSION.${name}`);
  const [result] = await run(connection, [`SET ${assignments.join(', ')}`]);
  if (result?.kind === 'ok' && result.payload !== null) state.onOk(result.payload, [{ kind: 'sets-state' }]);
  else state.pins.add('variables set together with session_track variables');
}

/** One by one: a name that is no variable of the session fails, as it did for the client. */
async function readUnscoped(connection: BackendConnection, state: SessionState, names: string[]): Promise<void> {
  const results = await run(
    connection,
    names.map(withItsCollation).map((name) => `SET @@SESSION.\`${name}\`=@@SESSION.\`${name}\``),
  );
  for (const result of results)
    if (result.kind === 'ok' && result.payload !== null) state.onOk(result.payload, [{ kind: 'sets-state' }]);
}

/** Without a row, where sql_select_limit is 0, nothing is known. */
async function readOptions(connection: BackendConnection, state: SessionState, names: string[]): Promise<void> {
  const asked = `SELECT ${names.map((name) => `@@SESSION.\`${name}\``).join(', ')}`;
  // DO leaves ROW_COUNT() at 0, as SET does.
  const [result] = await run(connection, [asked, 'DO 0']);
  const row = result?.kind === 'rows' ? result.rows[0] : undefined;
  if (row === undefined) state.pins.add('a variable that MariaDB reports by a wrong name');
  else state.onOptions(new Map(names.map((name, index) => [name, row[index] ?? Buffer.alloc(0)])));
}

/** A character set that is set, to itself as well, has its default collation from then on. */
function withItsCollation(name: string): string {
  return name.replace(/^character_set_(?=server$|database$|connection$)/, 'collation_');
}

const ASCII = /^[\x20-\x7e]+$/;
/** ER_SP_DOES_NOT_EXIST, ER_NO_DB_ERROR */
const NO_FUNCTION: ReadonlySet<number> = new Set([1305, 1046]);

/**
 * Who may call a function sees it there. It is no look into a table: that would begin a transaction, or use up what was
 * said about the next one.
 */
async function lookForFunctions(
  connection: BackendConnection,
  state: SessionState,
  names: readonly TableName[],
): Promise<void> {
  const asked = names.map(({ schema, name }) =>
    schema === null || schema === state.schema ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`,
  );
  const results = await run(
    connection,
    asked.map((name) => `SHOW CREATE FUNCTION ${name}`),
  );
  const isNone = (result: CommandResult) => result.kind === 'error' && NO_FUNCTION.has(result.error.packet.code);
  // Other names are those of no functions of the server; and a schema's may have come in another character set.
  if (!results.every(isNone) || !asked.every((name) => ASCII.test(name))) state.onRoutine();
}

/**
 * Without a row, where sql_select_limit is 0, nothing is known. Nor is it asked where the client may read more of its
 * statement than can be put back: the next statement on locks leads here again, until then the session stays.
 */
async function askForLocks(connection: BackendConnection, state: SessionState, names: string[]): Promise<void> {
  const { isPlain, hasRows } = state.diagnostics;
  if (!isPlain) return;
  // DO leaves ROW_COUNT() at 0.
  const [result] = await run(connection, [askForLocksSql(names), ...(hasRows ? [] : ['DO 0'])]);
  const row = result?.kind === 'rows' ? result.rows[0] : undefined;
  for (const [index, name] of names.entries())
    if (row?.[index]?.toString('latin1') === '0') state.pins.remove(userLockPin(name));
}

async function readPreparedText(
  connection: BackendConnection,
  state: SessionState,
  { name, variable }: { name: string; variable: string },
): Promise<void> {
  const [result] = await run(connection, [`SELECT HEX(CONVERT(${quoteVariable(variable)} USING utf8mb4))`]);
  const hex = result?.kind === 'rows' ? result.rows[0]?.[0] : undefined;
  if (hex === undefined || hex === null) state.pins.add(`PREPARE ${name} FROM a variable that could not be read`);
  else state.onPreparedText(name, Buffer.from(hex.toString('latin1'), 'hex'));
}

async function run(connection: BackendConnection, statements: string[]): Promise<CommandResult[]> {
  return runCommands(
    connection,
    statements.map((sql) => ownQuery(connection, sql)),
  );
}
