import { sqlTokens } from '../stream/sql-lexer.ts';

const BARE: ReadonlySet<string> = new Set(['CURRENT_USER', 'CURRENT_ROLE']);
const CALLED: ReadonlySet<string> = new Set([
  'CONNECTION_ID',
  'DATABASE',
  'RANDOM_BYTES',
  'RAND',
  'SCHEMA',
  'SESSION_USER',
  'SYSDATE',
  'SYSTEM_USER',
  'SYS_GUID',
  'USER',
  'UUID',
  'UUID_SHORT',
  'UUID_V4',
  'UUID_V7',
  'VERSION',
]);

/**
 * A function in an ALTER TABLE that each server, or each session, answers in its own way: as the default of a new column it fills
 * the rows that are there. MySQL itself refuses most of them where it logs rows (1674), but not CONNECTION_ID(); MariaDB none.
 * An index may have the name of a function: only one that is called with nothing or a number counts.
 */
export function valueOfServer(sql: string): string | undefined {
  const tokens = [...sqlTokens(sql)];
  const isWord = (at: number, word: string) => tokens[at]?.kind === 'word' && tokens[at].text.toUpperCase() === word;
  if (!tokens.some((_, at) => isWord(at, 'ALTER'))) return undefined;
  for (const [at, { kind, text }] of tokens.entries()) {
    if (kind !== 'word') continue;
    const name = text.toUpperCase();
    if (BARE.has(name)) return name;
    const isCalled = tokens[at + 1]?.text === '(' && /^(\)|\d+)$/.test(tokens[at + 2]?.text ?? '');
    if (isCalled && CALLED.has(name)) return name;
  }
  return undefined;
}
