import { AppError } from '../../core/errors.ts';
import type { ServerDefinition } from '../api.ts';
import { bytesOf, errnoOf, quoteName, quoteText, ServerConnection, type Bytes } from '../server/connection.ts';
import { translateCollation } from '../../core/collation.ts';
import { targetDdl, type TargetDdl } from './target-ddl.ts';
import type { Table } from './table.ts';

/**
 * A connection for DDL: texts in a definition (defaults, comments) are utf8mb4, unlike everywhere else, since the
 * server converts a default to its column's charset. Not by SET NAMES: mysql2 follows `character_set_client` and would
 * encode our bytes once more; from a binary client the server takes them for `collation_connection`'s as they are.
 * Foreign keys are not checked: the rows are the source's.
 */
export async function openForDdl(target: ServerDefinition): Promise<ServerConnection> {
  const connection = await ServerConnection.open(target, {
    session: ["SET SESSION collation_connection = 'utf8mb4_general_ci', foreign_key_checks = 0"],
  });
  try {
    // A table keyed by a unique key must not get a hidden column, and may be altered; a replica of MySQL does the same
    // (REQUIRE_TABLE_PRIMARY_KEY_CHECK = STREAM). 1193: does not know the variable, 1227: may not set it.
    for (const variable of ['sql_generate_invisible_primary_key', 'sql_require_primary_key']) {
      await connection.write(`SET SESSION ${variable} = 0`).catch((error: unknown) => {
        if (errnoOf(error) !== 1193 && errnoOf(error) !== 1227) throw error;
      });
    }
    // Without it a TIMESTAMP NOT NULL would get defaults that the source's does not have, and change with every UPDATE.
    await connection.write('SET SESSION explicit_defaults_for_timestamp = 1').catch(async (error: unknown) => {
      const [row] = await connection.rows("SHOW VARIABLES LIKE 'explicit_defaults_for_timestamp'");
      if (row?.[1] !== 'ON' && errnoOf(error) === 1227) throw error;
    });
  } catch (error) {
    connection.destroy();
    throw error;
  }
  return connection;
}

export async function knownCollations(target: ServerConnection): Promise<Set<string>> {
  const rows = await target.rows(
    'SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE COLLATION_NAME IS NOT NULL',
  );
  return new Set(rows.map(([name]) => (name ?? '').toLowerCase()));
}

/** The definitions of `tables` for this target. */
export async function targetDdls(
  target: ServerConnection,
  tables: Table[],
  deferIndexes: boolean,
): Promise<TargetDdl[]> {
  const collations = await knownCollations(target);
  return tables.map((table) => targetDdl(table, { collations, deferIndexes }));
}

/** The schema with the source's default charset and collation, or the nearest; one that exists is left as it is. */
export async function createSchema(source: ServerConnection, target: ServerConnection, schema: string): Promise<void> {
  const row = await source.selectOne<{ charset: string; collation: string }>(
    `SELECT DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${quoteText(schema)}`,
  );
  if (row === undefined) throw new AppError('TABLE_UNKNOWN', `there is no schema ${schema} on the source`);
  const collation = translateCollation(row.collation.toLowerCase(), await knownCollations(target));
  const defaults: Bytes = collation === null ? '' : ` DEFAULT CHARACTER SET ${row.charset} COLLATE ${collation}`;
  await target.write(`CREATE DATABASE IF NOT EXISTS ${quoteName(schema)}${defaults}`);
}

/** Creates one table. The caller records beforehand that it is going to, so that a cancelled import can drop it. */
export async function createTable(target: ServerConnection, ddl: TargetDdl): Promise<void> {
  const unsupported = ddl.notes.filter(({ kind }) => kind === 'unsupported');
  if (unsupported.length > 0) {
    const reasons = unsupported.map(({ subject, text }) => `${subject}: ${text}`);
    throw new AppError('DDL_UNSUPPORTED', reasons.join('; '), { details: { table: ddl.table, reasons } });
  }
  try {
    await target.write(bytesOf(ddl.create));
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== 'SERVER_ERROR') throw cause;
    throw new AppError(
      'DDL_UNSUPPORTED',
      `the target refused the definition of ${ddl.schema}.${ddl.table}: ${cause.message}`,
      {
        cause,
        details: { table: ddl.table, statement: ddl.create },
      },
    );
  }
}
