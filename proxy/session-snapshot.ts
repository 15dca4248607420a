import type { CommandResult } from './backend-commands.ts';
import type { SessionState, StateVersions } from './session-state.ts';

/** What only the old server can tell, read just before the move, as SQL literals for the new one. */
export interface SessionSnapshot extends StateVersions {
  /** `collation`: of a text, to be said behind its literal. */
  userVariables: { name: string; literal: string; collation: string | null }[];
  charset: CharsetVariables | null;
  lastInsertId: string | null;
}

/** The trackers do not report what SET NAMES … COLLATE and COM_RESET_CONNECTION do to these. */
export interface CharsetVariables {
  client: string;
  results: string | null;
  connection: string;
  collation: string;
}

/** For a session of which there is nothing to read, or nothing could be read yet: then no version matches it. */
export function emptySnapshot(state: SessionState): SessionSnapshot {
  return {
    userVariables: [],
    charset: null,
    lastInsertId: null,
    structureVersion: state.structureVersion,
    variablesVersion: state.hasVariables ? NEVER : state.variablesVersion,
    insertIdVersion: state.lastInsertIdTouched ? NEVER : state.insertIdVersion,
  };
}

/** Nothing happened since that could have changed what was read or restored. */
export function isCurrent(copy: StateVersions, state: SessionState): boolean {
  return hasCurrentVariables(copy, state) && copy.insertIdVersion === state.insertIdVersion;
}

function hasCurrentVariables(copy: StateVersions, state: SessionState): boolean {
  return copy.structureVersion === state.structureVersion && copy.variablesVersion === state.variablesVersion;
}

/** Differs from every version of a session. */
const NEVER = -1;

/** Column types whose text is a number. Source: MySQL internals, enum_field_types. */
const INTEGER_TYPES = new Set([1, 2, 3, 8, 9]);
const DECIMAL_TYPES = new Set([0, 246]);
const DOUBLE_TYPES = new Set([4, 5]);
const COLUMNS_PER_VARIABLE = 4;
const INSERT_ID_COLUMN = 'LAST_INSERT_ID()';
const CHARSET_COLUMNS = [
  '@@SESSION.character_set_client',
  '@@SESSION.character_set_results',
  '@@SESSION.character_set_connection',
  '@@SESSION.collation_connection',
];

/**
 * One SELECT with everything that is not in `known` yet. Values come with their bytes in hex, character set and
 * collation, so that no conversion can touch them.
 */
export function readBackSql(state: SessionState, known: SessionSnapshot | null): string {
  const columns = [INSERT_ID_COLUMN];
  if (known === null || !hasCurrentVariables(known, state)) {
    columns.push(...CHARSET_COLUMNS);
    for (const name of state.userVariables) {
      const variable = quoteVariable(name);
      columns.push(variable, `HEX(${variable})`, `CHARSET(${variable})`, `COLLATION(${variable})`);
    }
  }
  return `SELECT ${columns.join(', ')}`;
}

/** Undefined when there is no row: the client's sql_select_limit is 0. */
export function parseReadBack(
  state: SessionState,
  known: SessionSnapshot | null,
  { rows, columns }: Extract<CommandResult, { kind: 'rows' }>,
): SessionSnapshot | undefined {
  const [row] = rows;
  if (row === undefined) return undefined;
  const text = (index: number) => row[index]?.toString('latin1') ?? null;
  const { structureVersion, variablesVersion, insertIdVersion } = state;
  const versions = { structureVersion, variablesVersion, insertIdVersion };
  const lastInsertId = state.lastInsertIdTouched ? text(0) : null;
  if (known !== null && hasCurrentVariables(known, state)) return { ...known, ...versions, lastInsertId };
  const userVariables = [...state.userVariables].map((name, position) => {
    const index = 1 + CHARSET_COLUMNS.length + position * COLUMNS_PER_VARIABLE;
    const [value, hex, charset, collation] = [text(index), text(index + 1), text(index + 2), text(index + 3)] as const;
    return { name, ...valueOf({ type: columns[index]?.type ?? -1, value, hex, charset, collation }) };
  });
  const charset = { client: text(1) ?? '', results: text(2), connection: text(3) ?? '', collation: text(4) ?? '' };
  return { ...versions, lastInsertId, userVariables, charset };
}

type ReadLiteral = Pick<SessionSnapshot['userVariables'][number], 'literal' | 'collation'>;

interface ReadValue {
  type: number;
  value: string | null;
  hex: string | null;
  charset: string | null;
  collation: string | null;
}

function valueOf({ type, value, hex, charset, collation }: ReadValue): ReadLiteral {
  const plain = (literal: string) => ({ literal, collation: null });
  if (value === null || hex === null) return nullOf(type, charset, collation);
  if (INTEGER_TYPES.has(type) || DECIMAL_TYPES.has(type)) return plain(value);
  // Without an exponent the literal would be a DECIMAL.
  if (DOUBLE_TYPES.has(type)) return plain(/e/i.test(value) ? value : `${value}e0`);
  if (charset === null || charset === 'binary') return plain(`_binary X'${hex}'`);
  return { literal: `_${charset} X'${hex}'`, collation };
}

/** A NULL keeps the type of what it was: IFNULL(@x, 'a') is a number, or compares as the collation does, because of it. */
function nullOf(type: number, charset: string | null, collation: string | null): ReadLiteral {
  const plain = (literal: string) => ({ literal, collation: null });
  if (INTEGER_TYPES.has(type)) return plain('CAST(NULL AS SIGNED)');
  if (DECIMAL_TYPES.has(type)) return plain('CAST(NULL AS DECIMAL)');
  if (DOUBLE_TYPES.has(type)) return plain('NULL + 0e0');
  if (charset === null || charset === 'binary') return plain('CAST(NULL AS BINARY)');
  return { literal: `CONVERT(NULL USING ${charset})`, collation };
}

export function quoteVariable(name: string): string {
  return `@\`${name.replaceAll('`', '``')}\``;
}
