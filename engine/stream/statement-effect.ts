import { sqlTokens, type SqlToken } from './sql-lexer.ts';
import type { StatementSession } from './statement-session.ts';

export interface TableName {
  schema: string;
  name: string;
}

/**
 * What a logged statement may change.
 * - `none`: no definition and no row of a base table: accounts, views, triggers, routines, temporary tables, …
 * - `tables`: the definition or the whole content of these tables; `makes`: a table may have come to be under one of the names;
 *   `queries`: with rows of a query (CREATE TABLE … SELECT, logged as a statement).
 * - `schema`: everything in a schema.
 * - `rows`: rows, by a statement (binlog_format other than ROW), of any of these tables, as far as names tell.
 * - `unknown`: cannot be told; to be treated as touching everything.
 */
export type StatementEffect =
  | { kind: 'none'; tables: TableName[] }
  | { kind: 'tables'; tables: TableName[]; makes: boolean; queries?: true }
  | { kind: 'schema'; schema: string }
  | { kind: 'rows'; tables: TableName[] }
  | { kind: 'unknown' };

const NONE: StatementEffect = { kind: 'none', tables: [] };
const UNKNOWN: StatementEffect = { kind: 'unknown' };

/** First words of statements that servers log and that change neither definitions nor rows of base tables. */
const HARMLESS = new Set([
  'GRANT',
  'REVOKE',
  'SET',
  'FLUSH',
  'OPTIMIZE',
  'REPAIR',
  'CHECK',
  'CHECKSUM',
  'CACHE',
  'INSTALL',
  'UNINSTALL',
  'RESET',
  'SAVEPOINT',
  'RELEASE',
  'USE',
  'LOCK',
  'UNLOCK',
  'PURGE',
  'CHANGE',
  'START',
  'STOP',
  'SHOW',
  'CLONE',
  'SHUTDOWN',
]);
const ROWS = new Set([
  'INSERT',
  'REPLACE',
  'UPDATE',
  'DELETE',
  'LOAD',
  'WITH',
  'CALL',
  'DO',
  'SELECT',
  'VALUES',
  'HANDLER',
  'MERGE',
]);
/** What ANALYZE is about without changing anything. */
const ANALYZED = new Set(['TABLE', 'TABLES', 'LOCAL', 'NO_WRITE_TO_BINLOG']);
/** What CREATE, ALTER and DROP may be about, other than tables, indexes, schemas and sequences. */
const OTHER_OBJECTS = new Set([
  'VIEW',
  'TRIGGER',
  'PROCEDURE',
  'FUNCTION',
  'EVENT',
  'USER',
  'ROLE',
  'SERVER',
  'TABLESPACE',
  'LOGFILE',
  'PACKAGE',
  'RESOURCE',
  'REFERENCE',
  'INSTANCE',
  'PREPARE',
  'LIBRARY',
  'CATALOG',
  'MASKING',
]);

/** What of a `LoggedQuery` its effect can be told by. */
export interface JudgedQuery {
  /** The session's default schema. */
  schema: string;
  sql: string;
  session?: Pick<StatementSession, 'sqlMode'>;
}

/** The same bit of both families. */
export const NO_BACKSLASH_ESCAPES = 1n << 20n;
/** Stands for what could not be decoded. */
const UNREADABLE = '\uFFFD';

export function statementEffect({ schema, sql, session }: JudgedQuery): StatementEffect {
  const backslashEscapes = ((session?.sqlMode ?? 0n) & NO_BACKSLASH_ESCAPES) === 0n;
  const parser = new StatementParser(sql, { schema, backslashEscapes });
  const effect = parser.effect();
  // Of statements that write rows every word and text counts as a name.
  return parser.hasUnreadableName && effect.kind !== 'rows' ? UNKNOWN : effect;
}

class StatementParser {
  readonly #tokens: Generator<SqlToken, undefined>;
  readonly #schema: string;
  #current: SqlToken | undefined;
  /** It may be the name of any table. */
  hasUnreadableName = false;

  constructor(sql: string, { schema, backslashEscapes }: { schema: string; backslashEscapes: boolean }) {
    this.#tokens = sqlTokens(sql, { backslashEscapes });
    this.#schema = schema;
    this.#advance();
  }

  effect(): StatementEffect {
    const verb = this.#word();
    this.#advance();
    switch (verb) {
      case undefined:
        return this.#current === undefined ? NONE : UNKNOWN;
      case 'CREATE':
      case 'ALTER':
      case 'DROP':
        return this.#definition(verb);
      case 'RENAME':
        return this.#word() === 'TABLE' || this.#word() === 'TABLES'
          ? { kind: 'tables', tables: this.#allNames(), makes: true }
          : NONE;
      case 'TRUNCATE':
        if (this.#word() === 'TABLE') this.#advance();
        return this.#oneTable(false);
      case 'SET':
        // MariaDB: SET STATEMENT variable=value FOR statement.
        return this.#word() === 'STATEMENT' ? this.#afterFor() : NONE;
      case 'ANALYZE':
        // MariaDB: ANALYZE UPDATE …, which is executed.
        return ANALYZED.has(this.#word() ?? '') ? NONE : this.effect();
      default:
        if (HARMLESS.has(verb)) return NONE;
        return ROWS.has(verb) ? { kind: 'rows', tables: this.#allNames() } : UNKNOWN;
    }
  }

  #afterFor(): StatementEffect {
    while (this.#current !== undefined && this.#word() !== 'FOR') this.#advance();
    this.#advance();
    return this.effect();
  }

  /** Everything between the verb and the kind of object is modifiers: OR REPLACE, UNIQUE, DEFINER=…, ALGORITHM=…, … */
  #definition(verb: 'CREATE' | 'ALTER' | 'DROP'): StatementEffect {
    let temporary = false;
    for (; this.#current !== undefined; this.#advance()) {
      const word = this.#word();
      if (word === undefined) continue;
      if (word === 'TEMPORARY') temporary = true;
      if (OTHER_OBJECTS.has(word)) return NONE;
      if (word === 'TABLE' || word === 'TABLES') return temporary ? NONE : this.#tableDefinition(verb);
      if (word === 'SEQUENCE') return temporary ? NONE : this.#tableDefinition(verb);
      if (word === 'INDEX') return this.#indexDefinition();
      if (word === 'DATABASE' || word === 'SCHEMA') return this.#schemaDefinition(verb);
    }
    return UNKNOWN;
  }

  #tableDefinition(verb: 'CREATE' | 'ALTER' | 'DROP'): StatementEffect {
    this.#advance();
    this.#skipIfExists();
    if (verb === 'CREATE') {
      const effect = this.#oneTable(true);
      return effect.kind === 'tables' && this.#hasQuery() ? { ...effect, queries: true } : effect;
    }
    const first = this.#tableName();
    if (first === undefined) return UNKNOWN;
    const tables = [first];
    let ofColumn = false;
    while (this.#current !== undefined) {
      const word = this.#word();
      const comma = this.#current.text === ',' && this.#current.kind === 'punctuation';
      this.#advance();
      const next = this.#word() ?? '';
      if (word === 'RENAME' && (next === 'COLUMN' || next === 'INDEX' || next === 'KEY')) ofColumn = true;
      // DROP: a list. ALTER: RENAME [TO|AS] name, EXCHANGE PARTITION p WITH TABLE name, CONVERT PARTITION p TO TABLE
      // name; a word that is no table's name is looked up in vain. All of those words are reserved.
      const follows = verb === 'DROP' ? comma : word === 'RENAME' || word === 'TO' || word === 'AS' || word === 'TABLE';
      if (!follows || next === 'TO' || next === 'AS' || next === 'TABLE') continue;
      if (word === 'TO' && ofColumn) ofColumn = false;
      else if (!ofColumn) {
        const name = this.#tableName();
        if (name !== undefined) tables.push(name);
      }
    }
    return { kind: 'tables', tables, makes: verb === 'ALTER' && tables.length > 1 };
  }

  /**
   * In the rest of a CREATE TABLE: `SELECT …`, `TABLE other` or `VALUES …`. All of those words are reserved; partitions have
   * VALUES LESS THAN and VALUES IN.
   */
  #hasQuery(): boolean {
    while (this.#current !== undefined) {
      const word = this.#word();
      this.#advance();
      if (word === 'SELECT' || word === 'TABLE') return true;
      if (word === 'VALUES' && !['LESS', 'IN'].includes(this.#word() ?? '')) return true;
    }
    return false;
  }

  #indexDefinition(): StatementEffect {
    while (this.#current !== undefined && this.#word() !== 'ON') this.#advance();
    this.#advance();
    return this.#oneTable(false);
  }

  /** CREATE and ALTER DATABASE change defaults for tables to come. */
  #schemaDefinition(verb: 'CREATE' | 'ALTER' | 'DROP'): StatementEffect {
    this.#advance();
    this.#skipIfExists();
    const name = this.#current?.text;
    if (name === undefined) return UNKNOWN;
    // `tables` only says whose schema it was, for recognising what is ours.
    return verb === 'DROP' ? { kind: 'schema', schema: name } : { kind: 'none', tables: [{ schema: name, name: '' }] };
  }

  #oneTable(makes: boolean): StatementEffect {
    this.#skipIfExists();
    const table = this.#tableName();
    return table === undefined ? UNKNOWN : { kind: 'tables', tables: [table], makes };
  }

  #skipIfExists(): void {
    if (this.#word() !== 'IF') return;
    while (this.#current !== undefined && this.#word() !== 'EXISTS') this.#advance();
    this.#advance();
  }

  #tableName(): TableName | undefined {
    const first = this.#current;
    if (first === undefined || first.kind === 'punctuation') return undefined;
    this.#advance();
    if (!this.#isDot()) return this.#named(this.#schema, first.text);
    this.#advance();
    const second = this.#current;
    this.#advance();
    return second === undefined ? undefined : this.#named(first.text, second.text);
  }

  #named(schema: string, name: string): TableName {
    this.hasUnreadableName ||= schema.includes(UNREADABLE) || name.includes(UNREADABLE);
    return { schema, name };
  }

  /** Every name in the rest of the statement that could be a table's. */
  #allNames(): TableName[] {
    const names: TableName[] = [];
    while (this.#current !== undefined) {
      const name = this.#current.kind === 'punctuation' ? undefined : this.#tableName();
      if (name === undefined) this.#advance();
      else names.push(name);
    }
    return names;
  }

  #isDot(): boolean {
    return this.#current?.kind === 'punctuation' && this.#current.text === '.';
  }

  #word(): string | undefined {
    return this.#current?.kind === 'word' ? this.#current.text.toUpperCase() : undefined;
  }

  #advance(): void {
    this.#current = this.#tokens.next().value;
  }
}
