import { isWord, skipSpace, tokenize, type Token } from '../schema/ddl-lexer.ts';
import { textOf, type ServerConnection } from '../server/connection.ts';

/** Names for the same privilege: MariaDB's own, and words that newer versions print. */
const ALIASES: Record<string, string> = {
  'BINLOG MONITOR': 'REPLICATION CLIENT',
  'REPLICATION REPLICA': 'REPLICATION SLAVE',
  'READ_ONLY ADMIN': 'READ ONLY ADMIN',
};

interface Grant {
  privileges: Set<string>;
  grantOption: boolean;
  /** `*`, or a pattern with % and _ and backslash escapes. */
  schema: string;
  table: string;
}

/** What the current user may do, as SHOW GRANTS says it, with the roles that are active. */
export class Grants {
  readonly #grants: Grant[];
  /** `'user'@'host'`, for GRANT statements. */
  readonly account: string;

  constructor(statements: string[], account: string) {
    this.#grants = statements.flatMap(parseGrant);
    this.account = account;
  }

  static async read(connection: ServerConnection): Promise<Grants> {
    const [row] = await connection.rows('SELECT CURRENT_USER()');
    const user = textOf(row?.[0] ?? '');
    const at = user.lastIndexOf('@');
    const [name, host] = [user.slice(0, at), user.slice(at + 1)];
    const roles = await connection.rows('SELECT CURRENT_ROLE()').then(
      ([roles]) => roles?.[0] ?? 'NONE',
      () => 'NONE',
    );
    // MariaDB shows the grants of the active role without being asked, MySQL with USING.
    const using = roles.startsWith('`') ? ` FOR CURRENT_USER() USING ${roles}` : '';
    const statements = await connection.rows(`SHOW GRANTS${using}`);
    return new Grants(
      statements.map(([statement]) => textOf(statement ?? '')),
      `'${name.replaceAll("'", "''")}'@'${host}'`,
    );
  }

  onServer(privilege: string): boolean {
    return this.#grants.some(
      ({ privileges, schema, table }) => schema === '*' && table === '*' && has(privileges, privilege),
    );
  }

  /** On all of a schema. */
  onSchema(privilege: string, schema: string): boolean {
    return this.#grants.some(
      (grant) =>
        grant.table === '*' &&
        has(grant.privileges, privilege) &&
        (grant.schema === '*' || matchesSchema(grant.schema, schema)),
    );
  }

  /** Whether it may give others what it has on a schema: ALL PRIVILEGES does not say so. */
  givesOnSchema(schema: string): boolean {
    return this.#grants.some(
      (grant) =>
        grant.grantOption && grant.table === '*' && (grant.schema === '*' || matchesSchema(grant.schema, schema)),
    );
  }

  /** On all of a schema, or on each of the tables by itself. */
  onTables(privilege: string, schema: string, tables: readonly string[]): boolean {
    if (this.onSchema(privilege, schema)) return true;
    const granted = new Set(
      this.#grants.flatMap((grant) =>
        grant.schema === schema && has(grant.privileges, privilege) ? [grant.table] : [],
      ),
    );
    return tables.length > 0 && tables.every((table) => granted.has(table));
  }
}

function has(privileges: Set<string>, privilege: string): boolean {
  return privileges.has(privilege) || privileges.has('ALL PRIVILEGES') || privileges.has('ALL');
}

/** `%` and `_` are wildcards in the schema of a grant unless a backslash stands before them. */
export function matchesSchema(pattern: string, schema: string): boolean {
  const expression = pattern.replaceAll(/\\([%_\\])|%|_|[^%_\\]+|\\/g, (part, escaped: string | undefined) => {
    if (escaped !== undefined) return literally(escaped);
    return part === '%' ? '.*' : part === '_' ? '.' : literally(part);
  });
  return new RegExp(`^${expression}$`, 's').test(schema);
}

function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** `GRANT a, b (column) ON x.y TO …`; grants of roles and proxies have no such ON and give nothing. */
function parseGrant(statement: string): Grant[] {
  const tokens = tokenize(statement);
  const on = tokens.findIndex((token) => isWord(token, 'ON'));
  if (!isWord(tokens[0], 'GRANT') || on === -1) return [];
  const scope: Token[] = tokens.slice(skipSpace(tokens, on + 1));
  const end = scope.findIndex((token) => isWord(token, 'TO'));
  const place = scope
    .slice(0, end)
    .map(({ text }) => text)
    .join('')
    .trim();
  const found = /^(\*|`(?:[^`]|``)*`)\.(\*|`(?:[^`]|``)*`)$/.exec(place);
  if (found === null) return [];
  const [schema, table] = found.slice(1).map((name) => (name === '*' ? '*' : name.slice(1, -1).replaceAll('``', '`')));
  const words = tokens
    .slice(1, on)
    .map(({ text }) => text)
    .join('');
  // Privileges on single columns are not enough for anything here.
  const privileges = words
    .split(/,(?![^(]*\))/)
    .flatMap((text) => (text.includes('(') ? [] : [text.trim().replaceAll(/\s+/g, ' ').toUpperCase()]));
  return [
    {
      privileges: new Set(privileges.map((name) => ALIASES[name] ?? name)),
      grantOption: hasGrantOption(scope.slice(end)),
      schema: schema ?? '',
      table: table ?? '',
    },
  ];
}

/** `WITH GRANT OPTION`, behind the account. */
function hasGrantOption(tokens: readonly Token[]): boolean {
  const words = tokens.filter(({ kind }) => kind !== 'space');
  return words.some((token, index) => isWord(token, 'GRANT') && isWord(words[index + 1], 'OPTION'));
}
