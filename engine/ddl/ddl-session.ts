import { restoreTimeZone } from './ddl-time-zone.ts';
import { serverFacts } from '../schema/inspect.ts';
import { errnoOf, quoteName, type ServerConnection } from '../server/connection.ts';
import { charsetOfCollation } from '../stream/client-charset.ts';
import type { LoggedQuery } from '../stream/query-event.ts';
import type { StatementSession } from '../stream/statement-session.ts';

const UNKNOWN_SCHEMA = 1049;
const UNKNOWN_VARIABLE = 1193;
const UNKNOWN_CHARSET = 1115;
const UNKNOWN_COLLATION = 1273;

type Family = 'mysql' | 'mariadb';

export interface Families {
  origin: Family;
  destination: Family;
}

export interface RestoreOptions {
  /** Of the destination; nothing else is run on it afterwards but the statement. */
  connection: ServerConnection;
  origin: () => Promise<ServerConnection>;
  query: LoggedQuery;
}

/**
 * Makes of a connection the session in which a statement ran on the origin, as far as it decides what the statement does: its
 * time (the value of a new column with DEFAULT CURRENT_TIMESTAMP), time zone (literals of TIMESTAMP, conversions), charset
 * (the bytes of names and texts), SQL mode, and others that the log keeps for the same reason.
 *
 * Not taken over are checks: what the origin refused is not in the log, and while the stream is replayed rows may be of a
 * later time than the statement. So neither foreign keys nor the strict modes. Answers who the servers are.
 */
export async function restoreSession(options: RestoreOptions): Promise<Families> {
  const { connection, query } = options;
  const { session } = query;
  const families = await familiesOf(options);
  // mysql2 would follow the charset, and encode our bytes once more.
  await connection.write("SET SESSION session_track_system_variables = ''").catch(ignore(UNKNOWN_VARIABLE));
  await restoreTimeZone(options);
  const { increment, offset } = session.autoIncrement ?? { increment: 1, offset: 1 };
  await connection.write(
    `SET SESSION timestamp = ${session.timestamp}, auto_increment_increment = ${increment}, auto_increment_offset = ${offset}`,
  );
  if (session.lcTimeNames !== null) await connection.write(`SET SESSION lc_time_names = ${session.lcTimeNames}`);
  const explicit = explicitDefaults(session, families.origin);
  if (explicit !== null)
    await connection
      .write(`SET SESSION explicit_defaults_for_timestamp = ${explicit ? 1 : 0}`)
      .catch(ignore(UNKNOWN_VARIABLE));
  await restoreDefaultCollation(options, families);
  // One that is not here is no default either: then what names its tables fully runs, and nothing else.
  if (query.schema !== '') await connection.write(`USE ${quoteName(query.schema)}`).catch(ignore(UNKNOWN_SCHEMA));
  if (session.sqlMode !== null)
    await connection.write(`SET SESSION sql_mode = '${sqlModes(session.sqlMode, families).join(',')}'`);
  await restoreCharset(connection, session);
  return families;
}

async function familiesOf({ connection, origin }: RestoreOptions): Promise<Families> {
  await using other = await origin();
  return { origin: (await serverFacts(other)).flavor, destination: (await serverFacts(connection)).flavor };
}

/** Bit 24 of MariaDB's flags is OPTION_EXPLICIT_DEF_TIMESTAMP (sql/sql_priv.h). */
function explicitDefaults({ flags, explicitDefaultsForTimestamp }: StatementSession, origin: Family): boolean | null {
  return origin === 'mariadb' ? (flags & (1 << 24)) !== 0 : explicitDefaultsForTimestamp;
}

/** Bits that both families have in common, without those that only refuse (strict modes, engines). */
const MODES: readonly (readonly [bit: bigint, name: string])[] = [
  [0n, 'REAL_AS_FLOAT'],
  [1n, 'PIPES_AS_CONCAT'],
  [2n, 'ANSI_QUOTES'],
  [3n, 'IGNORE_SPACE'],
  [5n, 'ONLY_FULL_GROUP_BY'],
  [6n, 'NO_UNSIGNED_SUBTRACTION'],
  [7n, 'NO_DIR_IN_CREATE'],
  [19n, 'NO_AUTO_VALUE_ON_ZERO'],
  [20n, 'NO_BACKSLASH_ESCAPES'],
  [23n, 'NO_ZERO_IN_DATE'],
  [24n, 'NO_ZERO_DATE'],
  [25n, 'ALLOW_INVALID_DATES'],
  [26n, 'ERROR_FOR_DIVISION_BY_ZERO'],
  [29n, 'HIGH_NOT_PRECEDENCE'],
  [31n, 'PAD_CHAR_TO_FULL_LENGTH'],
];

/** MySQL rounds fractions of seconds unless told, MariaDB cuts them off unless told. */
function sqlModes(bits: bigint, { origin, destination }: Families): string[] {
  const has = (bit: bigint) => ((bits >> bit) & 1n) === 1n;
  const cuts = origin === 'mysql' ? has(32n) : !has(34n);
  const names = MODES.filter(([bit]) => has(bit)).map(([, name]) => name);
  if (destination === 'mysql' && cuts) names.push('TIME_TRUNCATE_FRACTIONAL');
  if (destination === 'mariadb' && !cuts) names.push('TIME_ROUND_FRACTIONAL');
  return names;
}

/** Of a column that says `CHARACTER SET utf8mb4` alone. MySQL takes two values. */
async function restoreDefaultCollation(
  { connection, origin, query }: RestoreOptions,
  families: Families,
): Promise<void> {
  if (families.destination !== 'mysql') return;
  let collation = query.session.defaultCollationForUtf8mb4 === 45 ? 'utf8mb4_general_ci' : 'utf8mb4_0900_ai_ci';
  if (families.origin === 'mariadb') {
    await using other = await origin();
    const [row] = await other.rows(
      "SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE CHARACTER_SET_NAME='utf8mb4' AND IS_DEFAULT='Yes'",
    );
    if (row?.[0] === 'utf8mb4_general_ci') collation = row[0];
  }
  await connection.write(`SET SESSION default_collation_for_utf8mb4 = ${collation}`).catch(ignore(UNKNOWN_VARIABLE));
}

/** Last, since it changes how what follows is read. */
async function restoreCharset(connection: ServerConnection, { charset }: StatementSession): Promise<void> {
  if (charset === null) return;
  const client = charsetOfCollation(charset.client) ?? String(charset.client);
  const known = charsetOfCollation(charset.connection);
  await connection.write(`SET SESSION character_set_client = ${client}`);
  try {
    await connection.write(`SET SESSION collation_connection = ${charset.connection}`);
  } catch (error) {
    // The other family's own: the charset decides what a text is, the collation only how it is compared.
    if (known === undefined || ![UNKNOWN_CHARSET, UNKNOWN_COLLATION].includes(errnoOf(error) ?? 0)) throw error;
    await connection.write(`SET SESSION character_set_connection = ${known}`);
  }
}

function ignore(errno: number): (error: unknown) => void {
  return (error) => {
    if (errnoOf(error) !== errno) throw error;
  };
}
