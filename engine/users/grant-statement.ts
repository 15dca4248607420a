import { isWord, tokenize, type Token } from '../schema/ddl-lexer.ts';
import type { AccountName } from '../switch/accounts.ts';

export interface GrantedPrivilege {
  /** Upper case, as servers print it. */
  name: string;
  /** Empty: of the whole scope. */
  columns: string[];
}

/** `schema` of the kind `schema` is a pattern, the others name what they name. */
export type GrantScope =
  | { kind: 'server' }
  | { kind: 'schema'; schema: string }
  | { kind: 'table' | 'procedure' | 'function'; schema: string; name: string };

export interface PrivilegeGrant {
  kind: 'privileges';
  privileges: GrantedPrivilege[];
  scope: GrantScope;
  grantOption: boolean;
}

/** One line of SHOW GRANTS. `revoke`: a partial revoke takes from a grant on the whole server; `other` is not known here. */
export type GrantStatement =
  | PrivilegeGrant
  | { kind: 'roles'; roles: AccountName[]; adminOption: boolean }
  | { kind: 'defaultRoles'; roles: AccountName[] }
  | { kind: 'proxy'; of: AccountName }
  | { kind: 'revoke' }
  | { kind: 'other' };

const OTHER: GrantStatement = { kind: 'other' };

/**
 * What a server prints for SHOW GRANTS, of MySQL 5.7 and later and of MariaDB. Nothing of the text itself is kept: MariaDB
 * prints password hashes in it.
 */
export function parseGrantStatement(text: string): GrantStatement {
  const reader = new TokenReader(text);
  if (reader.take('REVOKE')) return { kind: 'revoke' };
  if (reader.take('SET')) {
    if (!reader.take('DEFAULT') || !reader.take('ROLE')) return OTHER;
    return { kind: 'defaultRoles', roles: reader.accounts() };
  }
  if (!reader.take('GRANT')) return OTHER;
  if (reader.isName) {
    const roles = reader.accounts();
    return { kind: 'roles', roles, adminOption: reader.endsWith('ADMIN', 'OPTION') };
  }
  if (reader.take('PROXY')) return reader.take('ON') ? { kind: 'proxy', of: reader.account() } : OTHER;
  const privileges = readPrivileges(reader);
  const scope = privileges === null ? null : readScope(reader);
  if (privileges === null || scope === null || !reader.take('TO')) return OTHER;
  return { kind: 'privileges', privileges, scope, grantOption: reader.endsWith('GRANT', 'OPTION') };
}

/** Up to `ON`, which is taken as well. */
function readPrivileges(reader: TokenReader): GrantedPrivilege[] | null {
  const privileges: GrantedPrivilege[] = [];
  let words: string[] = [];
  let columns: string[] = [];
  for (;;) {
    const isEnd = reader.take('ON');
    if (isEnd || reader.take(',')) {
      privileges.push({ name: words.join(' '), columns });
      [words, columns] = [[], []];
      if (isEnd) return privileges;
    } else if (reader.take('(')) {
      do columns.push(reader.name());
      while (reader.take(','));
      if (!reader.take(')')) return null;
    } else {
      const word = reader.word();
      if (word === null) return null;
      words.push(word);
    }
  }
}

function readScope(reader: TokenReader): GrantScope | null {
  if (reader.take('*')) return reader.take('.') && reader.take('*') ? { kind: 'server' } : null;
  const kind = reader.take('PROCEDURE') ? 'procedure' : reader.take('FUNCTION') ? 'function' : 'table';
  if (!reader.isName) return null;
  const schema = reader.name();
  if (!reader.take('.')) return null;
  if (reader.take('*')) return kind === 'table' ? { kind: 'schema', schema } : null;
  return reader.isName ? { kind, schema, name: reader.name() } : null;
}

/** Tokens of one statement, without spaces. */
export class TokenReader {
  readonly #tokens: Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  }

  get isName(): boolean {
    const kind = this.#tokens[this.#at]?.kind;
    return kind === 'name' || kind === 'string';
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Goes on if the next one is this word or mark. */
  take(wanted: string): boolean {
    const token = this.#tokens[this.#at];
    const isIt = isWord(token, wanted) || (token?.kind === 'mark' && token.text === wanted);
    if (isIt) this.#at += 1;
    return isIt;
  }

  word(): string | null {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'word') return null;
    this.#at += 1;
    return token.text.toUpperCase();
  }

  /** The token as it stands there. */
  text(): string {
    const text = this.#tokens[this.#at]?.text ?? '';
    this.#at += 1;
    return text;
  }

  /** Without its quotes; a bare word stands for itself (PUBLIC). */
  name(): string {
    return unquoted(this.text());
  }

  /** Roles of MariaDB have no host. */
  account(): AccountName {
    const user = this.name();
    return { user, host: this.take('@') ? this.name() : '' };
  }

  accounts(): AccountName[] {
    const accounts: AccountName[] = [];
    do accounts.push(this.account());
    while (this.take(','));
    return accounts;
  }

  /** Whether these words follow each other somewhere behind here. */
  endsWith(first: string, second: string): boolean {
    return this.#tokens
      .slice(this.#at)
      .some((token, index, rest) => isWord(token, first) && isWord(rest[index + 1], second));
  }
}

function unquoted(text: string): string {
  const quote = text[0];
  if (quote === '`') return text.slice(1, -1).replaceAll('``', '`');
  if (quote !== "'" && quote !== '"') return text;
  return text.slice(1, -1).replaceAll(/\\([^])|''/g, (_, escaped: string | undefined) => escaped ?? "'");
}
