import { AppError } from '../../core/errors.ts';
import { afterParenthesis, isWord, leadingWords, tokenize, trimmed, type Token } from './ddl-lexer.ts';

/** One line of a table's definition. */
export interface Definition {
  kind: 'column' | 'primary' | 'unique' | 'index' | 'fulltext' | 'spatial' | 'foreign' | 'check' | 'other';
  tokens: Token[];
}

export interface CreateStatement {
  definitions: Definition[];
  /** After the closing parenthesis, up to the partitions. */
  options: Token[];
  /** `PARTITION BY …`, or nothing; inside an executable comment from MySQL. */
  partitions: Token[];
}

/** What SHOW CREATE TABLE printed, in pieces. */
export function parseCreate(createSql: string): CreateStatement {
  const tokens = tokenize(createSql);
  const open = tokens.findIndex(({ kind, text }) => kind === 'mark' && text === '(');
  if (open === -1) throw new AppError('DDL_UNSUPPORTED', `not a table definition: ${createSql.slice(0, 80)}`);
  const after = afterParenthesis(tokens, open);
  const rest = tokens.slice(after);
  const partition = partitionStart(rest);
  return {
    definitions: splitAtCommas(tokens.slice(open + 1, after - 1)).map((piece) => ({
      kind: kindOf(piece),
      tokens: piece,
    })),
    options: trimmed(rest.slice(0, partition)),
    partitions: trimmed(rest.slice(partition)),
  };
}

/** Index of `PARTITION BY`, or of the executable comment that it stands in. */
function partitionStart(tokens: Token[]): number {
  const at = tokens.findIndex((token) => isWord(token, 'PARTITION'));
  if (at === -1) return tokens.length;
  const before = tokens.slice(0, at).findLastIndex(({ kind }) => kind !== 'space');
  return tokens[before]?.kind === 'mark' && tokens[before].text.startsWith('/*') ? before : at;
}

function kindOf(tokens: Token[]): Definition['kind'] {
  if (tokens[0]?.kind === 'name') return 'column';
  let words = leadingWords(tokens);
  if (words[0] === 'CONSTRAINT') {
    const name = tokens.findIndex(({ kind }) => kind === 'name');
    words = leadingWords(tokens.slice(name + 1));
  }
  switch (words[0]) {
    case 'PRIMARY':
      return 'primary';
    case 'UNIQUE':
      return 'unique';
    case 'KEY':
    case 'INDEX':
      return 'index';
    case 'FULLTEXT':
      return 'fulltext';
    case 'SPATIAL':
      return 'spatial';
    case 'FOREIGN':
      return 'foreign';
    case 'CHECK':
      return 'check';
    default:
      return 'other';
  }
}

function splitAtCommas(tokens: Token[]): Token[][] {
  const pieces: Token[][] = [];
  let depth = 0;
  let from = 0;
  for (const [at, { kind, text }] of tokens.entries()) {
    if (kind !== 'mark') continue;
    if (text === '(') depth += 1;
    if (text === ')') depth -= 1;
    if (text === ',' && depth === 0) {
      pieces.push(trimmed(tokens.slice(from, at)));
      from = at + 1;
    }
  }
  pieces.push(trimmed(tokens.slice(from)));
  return pieces;
}

/** Names of the columns of an index, in order; null for a part that is an expression. */
export function indexColumns({ tokens }: Definition): (string | null)[] {
  const open = tokens.findIndex(({ kind, text }) => kind === 'mark' && text === '(');
  return splitAtCommas(tokens.slice(open + 1, afterParenthesis(tokens, open) - 1)).map((part) =>
    part[0]?.kind === 'name' ? unquote(part[0].text) : null,
  );
}

/** The name of a column, index or constraint; null where it has none. */
export function definitionName({ tokens }: Definition): string | null {
  const open = tokens.findIndex(({ kind, text }) => kind === 'mark' && text === '(');
  const name = tokens.slice(0, open === -1 ? tokens.length : open).find(({ kind }) => kind === 'name');
  return name === undefined ? null : unquote(name.text);
}

function unquote(name: string): string {
  return name.slice(1, -1).replaceAll('``', '`');
}
