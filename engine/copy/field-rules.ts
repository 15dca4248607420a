import { enumMembers, numbersMeanIndexes } from '../schema/enum-members.ts';
import { selectExpression } from '../schema/column-sql.ts';
import type { Column } from '../schema/table.ts';
import { quoteName, type Bytes } from '../server/connection.ts';

/** How one column travels from a SELECT in the text protocol to LOAD DATA, unchanged to the bit. */
export interface FieldRule {
  /** In the select list of the source. */
  select: Bytes;
  /** What LOAD DATA assigns, from the user variable of that field; null: the field is stored as it is. */
  assign: ((variable: Bytes) => Bytes) | null;
  /** False where the text cannot hold a separator: digits, dates. */
  escape: boolean;
  /** An ENUM whose index 0 has to be given as a number, which draws one expected warning each. */
  warnsAtZero: boolean;
}

const PLAIN_TEXT = new Set([
  'tinyint',
  'smallint',
  'mediumint',
  'int',
  'bigint',
  'decimal',
  'float',
  'double',
  'year',
  'date',
  'time',
  'datetime',
  'timestamp',
]);

/**
 * BIT travels as its bytes (LOAD DATA stores a string of bytes into BIT as bits), JSON as text that has to be told to
 * be utf8mb4 (it refuses binary strings), ENUM and SET as numbers, since '' may be index 0 or a member. Where members
 * look like numbers themselves, only an integer is taken as an index.
 */
export function fieldRule(column: Column): FieldRule {
  const select = selectExpression(column);
  const plain = { select, assign: null, escape: !PLAIN_TEXT.has(column.dataType), warnsAtZero: false };
  switch (column.dataType) {
    case 'bit':
      return { ...plain, select: quoteName(column.name), escape: true };
    case 'json':
      return { ...plain, assign: (variable) => `CONVERT(${variable} USING utf8mb4)` };
    case 'enum':
    case 'set': {
      const direct = numbersMeanIndexes(column) && enumMembers(column).length > 0;
      return {
        ...plain,
        escape: false,
        assign: direct ? null : (variable) => `CAST(${variable} AS UNSIGNED)`,
        warnsAtZero: !direct && column.dataType === 'enum',
      };
    }
    default:
      return plain;
  }
}
