import type { Bytes } from '../../../engine/server/connection.ts';

/** A column type with values that tools get wrong. The one list behind every test of values; see `zoo.ts`. */
export interface ZooType {
  /** Of the column in a wide table; unique in its flavour. */
  name: string;
  /** As in CREATE TABLE on the source. */
  type: Bytes;
  /** What docs/limits.md calls it; several types may share a row of the table there. */
  label: string;
  /** SQL of the values, NULL apart. */
  values: Bytes[];
  /** May be the whole primary key. */
  key: boolean;
  /** Where it exists; everywhere without it. */
  only?: 'mysql' | 'mariadb' | 'mariadb-11.8';
}

/** Bytes as they are, in a charset. */
export function hex(digits: string, charset = 'binary'): Bytes {
  return `_${charset} X'${digits}'`;
}

/** A list of `count` members. */
export function members(count: number): Bytes {
  return Array.from({ length: count }, (_, index) => `'m${index}'`).join(',');
}

/** Types that can be keys. */
export function keys(label: string, types: Record<string, [type: Bytes, ...values: Bytes[]]>): ZooType[] {
  return Object.entries(types).map(([name, [type, ...values]]) => ({ name, type, label, values, key: true }));
}

/** Types that cannot. */
export function plain(label: string, types: Record<string, [type: Bytes, ...values: Bytes[]]>): ZooType[] {
  return keys(label, types).map((entry) => ({ ...entry, key: false }));
}

export function only(flavor: NonNullable<ZooType['only']>, types: ZooType[]): ZooType[] {
  return types.map((type) => ({ ...type, only: flavor }));
}
