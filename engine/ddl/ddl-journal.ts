import { AppError } from '../../core/errors.ts';
import { restoreSession } from './ddl-session.ts';
import { openForDdl } from '../schema/create-target.ts';
import type { ServerDefinition } from '../api.ts';
import { typesForMysql } from './mariadb-types.ts';
import { errnoOf, quoteName, quoteText, ServerConnection, textOf, type Bytes } from '../server/connection.ts';
import { DDL_JOURNAL, SIDECAR_SCHEMA, type Direction } from '../sidecar.ts';
import { importComment } from '../stream/import-mark.ts';
import { OWN_COMMENT } from '../stream/stream-scope.ts';
import type { LoggedQuery } from '../stream/query-event.ts';
import { sqlTokens } from '../stream/sql-lexer.ts';
import { statementEffect } from '../stream/statement-effect.ts';

const NO_SUCH_TABLE = 1146;
const NO_SUCH_SCHEMA = 1049;
const LOCK_WAIT_S = 60;
/** A bit of the SQL mode, in both families. */
const NO_BACKSLASH_ESCAPES = 20n;
/** Made for the moment: see `dropWithMark`. */
const DROP_MARK: Bytes = `${quoteName(SIDECAR_SCHEMA)}.drop_mark`;

export interface JournalledDdl extends LoggedQuery {
  gtid: string;
}

export interface DdlJournalOptions {
  origin: ServerDefinition;
  destination: ServerDefinition;
  importId: string;
  direction: Direction;
}

/**
 * Runs DDL statements of a stream on its destination, each exactly once whatever happens to us (I7). DDL cannot be in a
 * transaction with the position, so before it runs the definitions that it may change are written down. When the same
 * statement comes again, they tell: where they are other ones now, it has run (the servers' DDL is atomic).
 *
 * It may also be running still, when we died and the server goes on; so whoever runs or asks holds a named lock of its
 * session, which ends with that session's last statement.
 */
export class DdlJournal {
  readonly #origin: ServerDefinition;
  readonly #destination: ServerDefinition;
  readonly #importId: string;
  readonly #lock: Bytes;
  readonly #where: Bytes;
  readonly #values: Bytes;

  constructor({ origin, destination, importId, direction }: DdlJournalOptions) {
    this.#origin = origin;
    this.#importId = importId;
    this.#destination = destination;
    this.#lock = quoteText(`switchyard-ddl-${direction}-${importId}`.slice(0, 64));
    this.#where = `import_id=${quoteText(importId)} AND direction=${quoteText(direction)}`;
    this.#values = `${quoteText(importId)}, ${quoteText(direction)}`;
  }

  /** Whether it was run before, by an engine that did not come to store the position. Rejects with DDL_OUTCOME_UNKNOWN. */
  async hasRun(ddl: JournalledDdl): Promise<boolean> {
    await using connection = await this.#open();
    const [row] = await connection.rows(
      `SELECT before_it FROM ${DDL_JOURNAL} WHERE ${this.#where} AND gtid=${quoteText(ddl.gtid)}`,
    );
    const before = row?.[0];
    if (before == null) return false;
    const now = await definitionsOf(connection, ddl);
    if (now.text !== textOf(before)) return true;
    // Exchanges that leave every definition as it was would be undone by a second run; table ids tell them.
    if (now.hasIds || !/\b(EXCHANGE|RENAME)\b/i.test(ddl.sql)) return false;
    throw new AppError('DDL_OUTCOME_UNKNOWN', `whether this ran on the destination cannot be told: ${ddl.sql}`, {
      details: { gtid: ddl.gtid, sql: ddl.sql.slice(0, 500) },
    });
  }

  /** Rejects with what the server said; then it has not run. */
  async run(ddl: JournalledDdl): Promise<void> {
    await using connection = await this.#open();
    const { text } = await definitionsOf(connection, ddl);
    await connection.write(
      `REPLACE INTO ${DDL_JOURNAL} VALUES (${this.#values}, ${quoteText(ddl.gtid)}, ${quoteText(ddl.sql)}, ${quoteText(text)}, ${Date.now()})`,
    );
    try {
      const drop = dropWithMark(ddl);
      if (drop === null) {
        const origin = async () => ServerConnection.open(this.#origin);
        const families = await restoreSession({ connection, origin, query: ddl });
        const isTranslated = families.origin === 'mariadb' && families.destination === 'mysql';
        const backslashEscapes = (((ddl.session.sqlMode ?? 0n) >> NO_BACKSLASH_ESCAPES) & 1n) === 0n;
        const statement = isTranslated ? typesForMysql(ddl.bytes, { backslashEscapes }) : ddl.bytes;
        // The comment marks the statement as ours in the binlog of the destination.
        await connection.write(`${OWN_COMMENT} ${importComment(this.#importId)} ${statement}`);
      } else {
        await connection.write(`CREATE TABLE IF NOT EXISTS ${DROP_MARK} (id INT PRIMARY KEY)`);
        await connection.write(drop);
      }
    } catch (error) {
      if (!connection.broken) await connection.write(`DELETE FROM ${DDL_JOURNAL} WHERE ${this.#where}`);
      throw error;
    }
  }

  async #open(): Promise<ServerConnection> {
    const connection = await openForDdl(this.#destination);
    // Should this host vanish, the server must not hold the lock for hours.
    await connection.write('SET SESSION wait_timeout = 60');
    for (;;) {
      const [row] = await connection.rows(`SELECT GET_LOCK(${this.#lock}, ${LOCK_WAIT_S})`);
      if (row?.[0] === '1') return connection;
    }
  }
}

/**
 * DROP TABLE is written anew for the log, without comments. So a table of ours goes with those that it names: that tells that it is
 * ours (I7), where it would be replicated back or taken for a stray. Null for any other statement.
 */
function dropWithMark(ddl: JournalledDdl): Bytes | null {
  const effect = statementEffect(ddl);
  const words = [...sqlTokens(ddl.sql)].map(({ kind, text }) => (kind === 'word' ? text.toUpperCase() : ''));
  const isDrop = words[0] === 'DROP' && (words[1] === 'TABLE' || words[1] === 'TABLES');
  // A name that could not be decoded stays as it came.
  if (!isDrop || effect.kind !== 'tables' || ddl.sql.includes('\u{FFFD}')) return null;
  const names = effect.tables.map(({ schema, name }) => `${quoteName(schema)}.${quoteName(name)}`);
  return `DROP TABLE ${words[2] === 'IF' ? 'IF EXISTS ' : ''}${[...names, DROP_MARK].join(', ')}`;
}

/** Everything that the statement may change, as text. */
async function definitionsOf(
  connection: ServerConnection,
  ddl: JournalledDdl,
): Promise<{ text: string; hasIds: boolean }> {
  const effect = statementEffect(ddl);
  const schema = effect.kind === 'schema' ? effect.schema : ddl.schema;
  const names = effect.kind === 'tables' ? effect.tables : await allTables(connection, schema);
  const definitions = new Map<string, string>();
  let hasIds = true;
  for (const table of names) {
    const ids = await tableIds(connection, table.schema, table.name);
    hasIds &&= ids !== undefined;
    const definition = await createStatement(connection, table.schema, table.name);
    definitions.set(`${table.schema}.${table.name}`, `${definition ?? 'absent'} ${ids ?? ''}`);
  }
  return { text: JSON.stringify([...definitions].toSorted(([a], [b]) => (a < b ? -1 : 1))), hasIds };
}

async function allTables(connection: ServerConnection, schema: string): Promise<{ schema: string; name: string }[]> {
  const rows = await connection.rows(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(schema)} AND TABLE_TYPE = 'BASE TABLE'`,
  );
  return rows.map(([name]) => ({ schema, name: textOf(name ?? '') }));
}

/** Without the counter, which writes of others move. */
async function createStatement(
  connection: ServerConnection,
  schema: string,
  name: string,
): Promise<string | undefined> {
  try {
    const [row] = await connection.rows(`SHOW CREATE TABLE ${quoteName(schema)}.${quoteName(name)}`);
    return textOf(row?.[1] ?? '').replace(/\bAUTO_INCREMENT=\d+ ?/, '');
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === NO_SUCH_TABLE || errno === NO_SUCH_SCHEMA) return undefined;
    throw error;
  }
}

/** InnoDB's own number of a table, which follows it when it is renamed and is new when it is emptied or rebuilt. */
async function tableIds(connection: ServerConnection, schema: string, name: string): Promise<string | undefined> {
  const plain = `${schema}/${name}`;
  for (const view of ['INNODB_TABLES', 'INNODB_SYS_TABLES']) {
    try {
      const rows = await connection.rows(
        `SELECT NAME, TABLE_ID FROM information_schema.${view} WHERE NAME = ${quoteText(plain)} OR NAME LIKE ${quoteText(`${plain.replace(/[%_\\]/g, '\\$&')}#%`)} ORDER BY NAME`,
      );
      return rows.map((row) => row.map((value) => textOf(value ?? '')).join('=')).join(',');
    } catch (error) {
      // Without PROCESS (1227, 1142), or the other family's name of it (1109, 1146).
      if (errnoOf(error) === undefined) throw error;
    }
  }
  return undefined;
}
