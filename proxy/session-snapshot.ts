import type { CommandResult } from './backend-commands.ts';
import type { SessionState } from './session-state.ts';

/** What only the old server can tell, read just before the move, as SQL literals for the new one. */
export interface SessionSnapshot {
  userVariables: { name: string; literal: string }[];
  charset: CharsetVariables | null;
  lastInsertId: string | null;
  /** Of the session's state when it was read. */
  structureVersion: number;
  valuesVersion: number;
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
    valuesVersion: state.needsReadBack ? NEVER : state.valuesVersion,
  };
}

/** Nothing happened since that could have changed what was read. */
export function isCurrent(snapshot: SessionSnapshot, state: SessionState): boolean {
  return snapshot.structureVersion === state.structureVersion && snapshot.valuesVersion === state.valuesVersion;
}

/** Differs from every version of a session. */
const NEVER = -1;

/** Column types whose text is a number. Source: MySQL internals, enum_field_types. */
const INTEGER_TYPES = new Set([1, 2, 3, 8, 9]);
const DECIMAL_TYPES = new Set([0, 246]);
const DOUBLE_TYPES = new Set([4, 5]);
const COLUMNS_PER_VARIABLE = 4;
const FIXED_COLUMNS = [
  'LAST_INSERT_ID()',
  '@@SESSION.character_set_client',
  '@@SESSION.character_set_results',
  '@@SESSION.character_set_connection',
  '@@SESSION.collation_connection',
];

/**
 * One SELECT with everything to be read back. Values come with their bytes in hex, character set and collation, so
 * that no conversion can touch them.
 */
export function readBackSql(state: SessionState): string {
  const columns = [...FIXED_COLUMNS];
  for (const name of state.userVariables) {
    const variable = quoteVariable(name);
    columns.push(variable, `HEX(${variable})`, `CHARSET(${variable})`, `COLLATION(${variable})`);
  }
  return `SELECT ${columns.join(', ')}`;
}

export function parseReadBack(state: SessionState, result: Extract<CommandResult, { kind: 'rows' }>): SessionSnapshot {
  const [row = []] = result.rows;
  const text = (index: number) => row[index]?.toString('latin1') ?? null;
  const userVariables = [...state.userVariables].map((name, position) => {
    const index = FIXED_COLUMNS.length + position * COLUMNS_PER_VARIABLE;
    const type = result.columns[index]?.type ?? -1;
    return {
      name,
      literal: literalOf({
        type,
        value: text(index),
        hex: text(index + 1),
        charset: text(index + 2),
        collation: text(index + 3),
      }),
    };
  });
  return {
    userVariables,
    charset: { client: text(1) ?? '', results: text(2), connection: text(3) ?? '', collation: text(4) ?? '' },
    lastInsertId: state.lastInsertIdTouched ? text(0) : null,
    structureVersion: state.structureVersion,
    valuesVersion: state.valuesVersion,
  };
}

interface ReadValue {
  type: number;
  value: string | null;
  hex: string | null;
  charset: string | null;
  collation: string | null;
}

function literalOf({ type, value, hex, charset, collation }: ReadValue): string {
  if (value === null || hex === null) return 'NULL';
  if (INTEGER_TYPES.has(type) || DECIMAL_TYPES.has(type)) return value;
  // Without an exponent the literal would be a DECIMAL.
  if (DOUBLE_TYPES.has(type)) return /e/i.test(value) ? value : `${value}e0`;
  if (charset === null || charset === 'binary') return `_binary X'${hex}'`;
  return `_${charset} X'${hex}'${collation === null ? '' : ` COLLATE ${collation}`}`;
}

export function quoteVariable(name: string): string {
  return `@\`${name.replaceAll('`', '``')}\``;
}
