import type { SqlToken } from './sql-tokens.ts';

export interface TableName {
  schema: string | null;
  name: string;
}

/** A list of names, each with or without a schema, in the case in which they are written. */
export function tableNames(tokens: SqlToken[]): TableName[] {
  const isFiller = (token: SqlToken) => token.kind === 'word' && ['IF', 'NOT', 'EXISTS'].includes(token.text);
  let rest = tokens.slice(tokens.findIndex((token) => !isFiller(token)));
  const names: TableName[] = [];
  for (;;) {
    const [first, dot, second] = rest;
    if (first === undefined || first.kind === 'symbol') return names;
    const isQualified = dot !== undefined && isSymbol(dot, '.') && second !== undefined;
    names.push(
      isQualified
        ? { schema: writtenName(first), name: writtenName(second) }
        : { schema: null, name: writtenName(first) },
    );
    rest = rest.slice(isQualified ? 3 : 1);
    if (rest[0] === undefined || !isSymbol(rest[0], ',')) return names;
    rest = rest.slice(1);
  }
}

export function isSymbol(token: SqlToken, text: string): boolean {
  return token.kind === 'symbol' && token.text === text;
}

/** As a name in a statement. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

export function writtenName(token: SqlToken): string {
  return token.kind === 'word' ? token.written : token.text;
}

/** At the commas that stand in no parentheses. */
export function splitAtCommas(tokens: SqlToken[]): SqlToken[][] {
  const pieces: SqlToken[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (isSymbol(token, '(')) depth += 1;
    else if (isSymbol(token, ')')) depth -= 1;
    if (depth === 0 && isSymbol(token, ',')) pieces.push([]);
    else pieces.at(-1)?.push(token);
  }
  return pieces;
}

/** The statement again, without its comments. */
export function rebuild(tokens: SqlToken[]): string {
  return tokens.map(written).join(' ').replaceAll(' @', '@');
}

function written(token: SqlToken): string {
  switch (token.kind) {
    case 'word':
      return token.written;
    case 'string':
      return `'${token.text}'`;
    case 'quoted-name':
      return quoteName(token.text);
    // In SET ROLE 'name'@'host' this is the host.
    case 'user-variable':
      return `@'${token.text.replaceAll(`'`, `''`)}'`;
    case 'system-variable':
      return `@@${token.text}`;
    case 'symbol':
      return token.text;
    default:
      throw new Error(`unknown token ${JSON.stringify(token satisfies never)}`);
  }
}
