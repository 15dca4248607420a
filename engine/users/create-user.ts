import type { AccountName } from '../switch/accounts.ts';
import { TokenReader } from './grant-statement.ts';

/** How an account logs in. `secret` is the hash as the server prints it (a literal): it goes into statements, and nowhere else. */
export interface AuthenticationFactor {
  plugin: string;
  secret: string | null;
}

/** What SHOW CREATE USER says of an account. */
export interface CreateUser {
  /** All of them are asked for (MySQL), or any of them does (MariaDB). */
  factors: AuthenticationFactor[];
  defaultRoles: AccountName[];
  /** `REQUIRE …`, `WITH …`, `PASSWORD …`, `ACCOUNT …`, as they stand there. */
  clauses: string[];
}

const CLAUSES = [
  'REQUIRE',
  'WITH',
  'PASSWORD',
  'ACCOUNT',
  'FAILED_LOGIN_ATTEMPTS',
  'PASSWORD_LOCK_TIME',
  'ATTRIBUTE',
  'COMMENT',
];

const KNOWN_CLAUSE =
  /^(REQUIRE \w+|WITH( MAX_\w+ [\d.]+)+$|PASSWORD (EXPIRE|HISTORY|REUSE|REQUIRE)|ACCOUNT |FAILED_LOGIN_ATTEMPTS \d|PASSWORD_LOCK_TIME |ATTRIBUTE '|COMMENT ')/;

/** Null where the statement is not understood. */
export function parseCreateUser(text: string): CreateUser | null {
  const reader = new TokenReader(text);
  if (!reader.take('CREATE') || !reader.take('USER') || !reader.isName) return null;
  reader.account();
  const factors: AuthenticationFactor[] = [];
  if (reader.take('IDENTIFIED')) {
    do factors.push(readFactor(reader));
    while (reader.take('OR') || (reader.take('AND') && reader.take('IDENTIFIED')));
  }
  const defaultRoles = reader.take('DEFAULT') && reader.take('ROLE') ? reader.accounts() : [];
  const clauses: string[] = [];
  while (!reader.isAtEnd) {
    const token = reader.text();
    const last = clauses.at(-1);
    // `PASSWORD REQUIRE CURRENT` is one clause.
    const begins = CLAUSES.includes(token.toUpperCase()) && !(last === 'PASSWORD' && token.toUpperCase() === 'REQUIRE');
    if (begins || last === undefined) clauses.push(token);
    else clauses[clauses.length - 1] = `${last} ${token}`;
  }
  // Whatever else is there may hold a secret.
  const isKnown = clauses.every((clause) => KNOWN_CLAUSE.test(clause));
  return isKnown ? { factors, defaultRoles, clauses } : null;
}

/** MySQL: `WITH 'plugin' AS …`; MariaDB: `BY PASSWORD '…'`, `VIA plugin USING '…'`. */
function readFactor(reader: TokenReader): AuthenticationFactor {
  if (reader.take('BY')) {
    reader.take('PASSWORD');
    return { plugin: 'mysql_native_password', secret: reader.text() };
  }
  if (!reader.take('WITH')) reader.take('VIA');
  const plugin = reader.name();
  return { plugin, secret: reader.take('AS') || reader.take('USING') ? reader.text() : null };
}

const LIMITS = /\b(MAX_QUERIES_PER_HOUR|MAX_UPDATES_PER_HOUR|MAX_CONNECTIONS_PER_HOUR|MAX_USER_CONNECTIONS) \d+/g;

/** Those that the other family knows as well. */
export function commonClauses({ clauses }: CreateUser): string[] {
  return clauses.flatMap((clause) => {
    if (clause.startsWith('WITH ')) {
      const limits = clause.match(LIMITS) ?? [];
      return limits.length === 0 ? [] : [`WITH ${limits.join(' ')}`];
    }
    return /^(REQUIRE|ACCOUNT|PASSWORD EXPIRE)\b/.test(clause) ? [clause] : [];
  });
}

export function isLocked({ clauses }: CreateUser): boolean {
  return clauses.includes('ACCOUNT LOCK');
}

export function tlsOf({ clauses }: CreateUser): string {
  return clauses.find((clause) => clause.startsWith('REQUIRE ')) ?? 'REQUIRE NONE';
}
