import type { ServerConnection } from '../server/connection.ts';
import { NO_BACKSLASH_ESCAPES, statementEffect, type TableName } from './statement-effect.ts';

/** A view, a routine, or a table with a trigger, by the name that a statement calls it. */
interface StoredCode extends TableName {
  what: string;
  /** Names in its body. */
  mentions: readonly TableName[];
}

interface CodeRow extends Record<string, string | null> {
  schema: string;
  name: string;
  what: string;
  body: string | null;
}

const SYSTEM = "('mysql', 'sys', 'information_schema', 'performance_schema')";
/** The body is NULL or empty where our user may not see it. */
const CODE = [
  `SELECT TRIGGER_SCHEMA AS \`schema\`, EVENT_OBJECT_TABLE AS name, CONCAT('trigger ', TRIGGER_NAME) AS what, ACTION_STATEMENT AS body FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA NOT IN ${SYSTEM}`,
  `SELECT TABLE_SCHEMA AS \`schema\`, TABLE_NAME AS name, 'view' AS what, VIEW_DEFINITION AS body FROM information_schema.VIEWS WHERE TABLE_SCHEMA NOT IN ${SYSTEM}`,
  `SELECT ROUTINE_SCHEMA AS \`schema\`, ROUTINE_NAME AS name, LOWER(ROUTINE_TYPE) AS what, ROUTINE_DEFINITION AS body FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA NOT IN ${SYSTEM}`,
];

/**
 * What of a server's stored code names an imported table, itself or through other code: a statement that calls it may change
 * such a table without a word of it. By names alone, so what only reads counts too.
 */
export class ReachingObjects {
  readonly #objects: readonly StoredCode[];

  private constructor(objects: readonly StoredCode[]) {
    this.#objects = objects;
  }

  /** As the server has it by now, as far as our user may see it. */
  static async read(
    connection: ServerConnection,
    namesImported: (schema: string, name: string) => boolean,
  ): Promise<ReachingObjects> {
    const rows: CodeRow[] = [];
    for (const sql of CODE) rows.push(...(await connection.select<CodeRow>(sql)));
    let others = rows.map(({ schema, name, what, body }) => ({
      schema,
      name,
      what,
      mentions: mentionsOf(schema, body ?? ''),
    }));
    const reaching: StoredCode[] = [];
    for (;;) {
      const known = namesOf(reaching);
      const found = others.filter(({ mentions }) =>
        mentions.some((one) => namesImported(one.schema, one.name) || known.has(written(one))),
      );
      if (found.length === 0) return new ReachingObjects(reaching);
      reaching.push(...found);
      others = others.filter((one) => !found.includes(one));
    }
  }

  /** `trigger x on database.table`, `view database.name`, … of those outside of these schemas. */
  outside(inScope: (schema: string) => boolean): string[] {
    return this.#objects.filter(({ schema }) => !inScope(schema)).map(shown);
  }

  /** Of those that a statement with these names may call. */
  among(names: readonly TableName[]): string[] {
    const called = namesOf(names);
    return this.#objects.filter((one) => called.has(written(one))).map(shown);
  }
}

function shown({ schema, name, what }: StoredCode): string {
  return `${what}${what.startsWith('trigger ') ? ' on' : ''} ${schema}.${name}`;
}

/** A body is read as statements are whose every word may be a name; a backslash may be one or escape what follows. */
function mentionsOf(schema: string, body: string): TableName[] {
  const sql = `DO ${body}`;
  const modes = body.includes('\\') ? [0n, NO_BACKSLASH_ESCAPES] : [0n];
  return modes.flatMap((sqlMode) => {
    const effect = statementEffect({ schema, sql, session: { sqlMode } });
    return effect.kind === 'rows' ? effect.tables : [];
  });
}

function namesOf(names: readonly TableName[]): Set<string> {
  return new Set(names.map(written));
}

/** In any case: see `isSameName`. */
function written({ schema, name }: TableName): string {
  return `${schema}.${name}`.toLowerCase();
}
