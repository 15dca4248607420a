import type { CommandResult } from './backend-commands.ts';
import type { SessionState, StateVersions } from './session-state.ts';
import { quoteName } from './sql-pieces.ts';

/** What only the old server can tell, read just before the move, as SQL literals for the new one. */
export interface SessionSnapshot extends StateVersions {
  userVariables: ReadVariable[];
  charset: CharsetVariables | null;
  lastInsertId: string | null;
}

export interface ReadVariable {
  name: string;
  literal: string;
  /** Of a text, to be said behind its literal. */
  collation: string | null;
  /** MariaDB has variables of a type that MySQL has no variables of. */
  mariaDbLiteral: string | null;
}

/** The trackers do not report what SET NAMES … COLLATE and COM_RESET_CONNECTION do to these, and MariaDB a collation by another name. */
export interface CharsetVariables {
  client: string;
  results: string | null;
  connection: string;
  collation: string;
  /** Of the server, as the session has it. */
  serverCollation: string;
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
const GEOMETRY_TYPE = 255;
const COLUMNS_PER_VARIABLE = 4;
const INSERT_ID_COLUMN = 'LAST_INSERT_ID()';
const CHARSET_COLUMNS = [
  '@@SESSION.character_set_client',
  '@@SESSION.character_set_results',
  '@@SESSION.character_set_connection',
  '@@SESSION.collation_connection',
  '@@SESSION.collation_server',
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
  const userVariables = [...state.userVariables].flatMap((name, position) => {
    const index = 1 + CHARSET_COLUMNS.length + position * COLUMNS_PER_VARIABLE;
    const [value, hex, charset, collation] = [text(index), text(index + 1), text(index + 2), text(index + 3)] as const;
    const { type, isUnsigned } = columns[index] ?? { type: -1, isUnsigned: false };
    const read = valueOf({ type, isUnsigned, value, hex, charset, collation });
    if (read.literal === NULL_OF_NO_TYPE && state.doubtfulVariables.has(name)) return [];
    return [{ name, mariaDbLiteral: type === GEOMETRY_TYPE && hex !== null ? geometryLiteral(hex) : null, ...read }];
  });
  const charset = {
    client: text(1) ?? '',
    results: text(2),
    connection: text(3) ?? '',
    collation: text(4) ?? '',
    serverCollation: text(5) ?? '',
  };
  return { ...versions, lastInsertId, userVariables, charset };
}

/** Also where there is no such variable. */
const NULL_OF_NO_TYPE = 'CAST(NULL AS BINARY)';

type ReadLiteral = Pick<ReadVariable, 'literal' | 'collation'>;

interface ReadValue {
  type: number;
  isUnsigned: boolean;
  value: string | null;
  hex: string | null;
  charset: string | null;
  collation: string | null;
}

function valueOf(read: ReadValue): ReadLiteral {
  const { type, isUnsigned, value, hex, charset, collation } = read;
  const plain = (literal: string) => ({ literal, collation: null });
  if (value === null || hex === null) return nullOf(read);
  // What is subtracted from it may not go below zero.
  if (INTEGER_TYPES.has(type) && isUnsigned) return plain(`CAST(${value} AS UNSIGNED)`);
  if (INTEGER_TYPES.has(type)) return plain(value);
  // Without a point the literal would be an integer.
  if (DECIMAL_TYPES.has(type)) return plain(value.includes('.') ? value : `${value}.`);
  // Without an exponent the literal would be a DECIMAL.
  if (DOUBLE_TYPES.has(type)) return plain(/e/i.test(value) ? value : `${value}e0`);
  if (charset === null || charset === 'binary') return plain(`_binary X'${hex}'`);
  return { literal: `_${charset} X'${hex}'`, collation };
}

/** A NULL keeps the type of what it was: IFNULL(@x, 'a') is a number, or compares as the collation does, because of it. */
function nullOf({ type, isUnsigned, charset, collation }: ReadValue): ReadLiteral {
  const plain = (literal: string) => ({ literal, collation: null });
  if (INTEGER_TYPES.has(type)) return plain(`CAST(NULL AS ${isUnsigned ? 'UN' : ''}SIGNED)`);
  if (DECIMAL_TYPES.has(type)) return plain('CAST(NULL AS DECIMAL)');
  if (DOUBLE_TYPES.has(type)) return plain('NULL + 0e0');
  if (charset === null || charset === 'binary') return plain(NULL_OF_NO_TYPE);
  return { literal: `CONVERT(NULL USING ${charset})`, collation };
}

const SRID_BYTES = 4;
const POINT_BYTES = SRID_BYTES + 1 + 4 + 16;

/** Its number of the reference system, then WKB. A point has a type of its own, which only POINT() gives. Source: manual, "Internal Geometry Storage Format". */
function geometryLiteral(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  const srid = bytes.readUInt32LE(0);
  const isPoint = bytes.length === POINT_BYTES && srid === 0 && bytes.readUInt32LE(SRID_BYTES + 1) === 1;
  if (!isPoint) return `ST_GeomFromWKB(X'${hex.slice(2 * SRID_BYTES)}', ${srid})`;
  const [x, y] = [bytes.readDoubleLE(POINT_BYTES - 16), bytes.readDoubleLE(POINT_BYTES - 8)];
  return `POINT(${x.toExponential()}, ${y.toExponential()})`;
}

export function quoteVariable(name: string): string {
  return `@${quoteName(name)}`;
}
