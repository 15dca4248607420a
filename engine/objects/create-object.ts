import { AppError } from '../../core/errors.ts';
import { translateCollation } from '../../core/collation.ts';
import { knownCollations } from '../schema/create-target.ts';
import { quoteName, quoteText, type Bytes, type ServerConnection } from '../server/connection.ts';
import { OWN_COMMENT } from '../stream/stream-scope.ts';
import { accountSql } from '../switch/accounts.ts';
import type { ObjectName, StoredObject } from './stored-object.ts';

/** What the session of ours has, see `ServerConnection`. */
const OWN_SESSION: Bytes =
  "SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00', character_set_client=binary, collation_connection=binary";

/** sql_mode values that are MariaDB's or of servers before MySQL 8, which refuses them by name. */
const FOREIGN_MODES = new Set([
  'NO_AUTO_CREATE_USER',
  'IGNORE_BAD_TABLE_OPTIONS',
  'EMPTY_STRING_IS_NULL',
  'SIMULTANEOUS_ASSIGNMENT',
  'TIME_ROUND_FRACTIONAL',
  'ORACLE',
  'MSSQL',
  'DB2',
  'POSTGRESQL',
  'MAXDB',
  'MYSQL323',
  'MYSQL40',
  'NO_KEY_OPTIONS',
  'NO_TABLE_OPTIONS',
  'NO_FIELD_OPTIONS',
]);

/**
 * Creates the object with the settings that it was created with. `connection` needs `multiStatements`: all goes in one
 * packet, since mysql2 follows `character_set_client` and would encode what comes in a later one. Where the statement
 * fails the session is left half set, so the connection is closed.
 */
export async function createObject(
  connection: ServerConnection,
  database: string,
  object: StoredObject,
  { isEnabled = true }: { isEnabled?: boolean } = {},
): Promise<void> {
  const { kind, name, createSql, sqlMode, charsetClient, collationConnection, timeZone } = object;
  if (createSql === '')
    throw new AppError('OBJECT_UNREADABLE', `our user may not see the definition of ${kind} ${name}`);
  const { collations, isMysql } = await dialectOf(connection);
  const collation = translateCollation(collationConnection.toLowerCase(), collations);
  const settings = [
    ...(sqlMode === null ? [] : [`sql_mode=${quoteText(knownModes(sqlMode, isMysql))}`]),
    ...(timeZone === null ? [] : [`time_zone=${quoteText(timeZone)}`]),
    `character_set_client=${charsetClient}`,
    ...(collation === null ? [] : [`collation_connection=${collation}`]),
  ];
  try {
    await connection.batch([
      `USE ${quoteName(database)}`,
      `SET SESSION ${settings.join(', ')}`,
      `${OWN_COMMENT} ${kind === 'event' ? withStatus(createSql, isEnabled) : createSql}`,
      OWN_SESSION,
    ]);
  } catch (cause) {
    connection.destroy();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('OBJECT_REFUSED', `${kind} ${name} could not be created: ${reason}`, {
      cause,
      details: { kind, name },
    });
  }
}

export async function dropObject(connection: ServerConnection, database: string, object: ObjectName): Promise<void> {
  const name = `${quoteName(database)}.${quoteName(object.name)}`;
  await connection.write(`${OWN_COMMENT} DROP ${object.kind.toUpperCase()} IF EXISTS ${name}`);
}

/** Keeps the definer, whom ALTER EVENT would replace by our user. */
export async function setEventEnabled(
  connection: ServerConnection,
  database: string,
  { name, definer }: StoredObject,
  isEnabled: boolean,
): Promise<void> {
  const owner = definer === null ? '' : ` DEFINER=${accountSql(definer)}`;
  const event = `${quoteName(database)}.${quoteName(name)}`;
  await connection.write(`${OWN_COMMENT} ALTER${owner} EVENT ${event} ${isEnabled ? 'ENABLE' : 'DISABLE'}`);
}

/** Where SHOW CREATE EVENT puts the status: behind ON COMPLETION, in front of comment and body. */
function withStatus(createSql: Bytes, isEnabled: boolean): Bytes {
  return createSql.replace(
    /( ON COMPLETION (?:NOT )?PRESERVE) (?:ENABLE|DISABLE(?: ON (?:SLAVE|REPLICA))?)/,
    (_, completion: string) => `${completion} ${isEnabled ? 'ENABLE' : 'DISABLE'}`,
  );
}

interface Dialect {
  collations: ReadonlySet<string>;
  isMysql: boolean;
}

/** Asked once a connection: triggers are created within the pause of a switch. */
const dialects = new WeakMap<ServerConnection, Promise<Dialect>>();

async function dialectOf(connection: ServerConnection): Promise<Dialect> {
  const known = dialects.get(connection) ?? readDialect(connection);
  dialects.set(connection, known);
  return await known;
}

async function readDialect(connection: ServerConnection): Promise<Dialect> {
  const collations = await knownCollations(connection);
  const [row] = await connection.rows('SELECT VERSION()');
  return { collations, isMysql: !/mariadb/i.test(row?.[0] ?? '') };
}

function knownModes(modes: string, isMysql: boolean): string {
  return modes
    .split(',')
    .filter((mode) => !isMysql || !FOREIGN_MODES.has(mode))
    .join(',');
}

/** For an operator to run by hand: `mysql` reads it. */
export function objectScript(object: StoredObject): string {
  const { createSql, sqlMode, charsetClient, collationConnection } = object;
  const settings = [
    ...(sqlMode === null ? [] : [`sql_mode='${sqlMode}'`]),
    `character_set_client=${charsetClient}`,
    `collation_connection=${collationConnection}`,
  ];
  const text = Buffer.from(createSql, 'latin1').toString('utf8');
  return `SET SESSION ${settings.join(', ')};\nDELIMITER ;;\n${text};;\nDELIMITER ;\n`;
}
