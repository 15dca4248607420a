import { TIMESTAMPS_AFTER_2038 } from '../support/zoo/times.ts';
import type { Bytes } from '../../engine/server/connection.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { FLAVOR_SPECS } from '../../servers/flavor.ts';

/** What cannot go to the target: each in a schema of its own, since it stops the copy and the stream. */
export interface Refusal {
  label: string;
  only: 'mysql' | 'mariadb' | 'mariadb-11.8';
  /** Makes the table `t`, empty. */
  before: Bytes[];
  /** Puts the value in: before the copy, and once more into the stream. Missing: the definition alone is refused. */
  insert?: Bytes;
  /** Of a row that the stream had before, where the insert leaves room for one. */
  update?: { insert: Bytes; update: Bytes };
  /** The code of what stops, or the finding of the validation where there is no such table to copy. */
  codes: { copy: string; stream?: string };
}

export const REFUSALS: Refusal[] = [
  ...TIMESTAMPS_AFTER_2038.map(({ label, type, values }): Refusal => ({
    label,
    only: 'mariadb-11.8',
    before: [`CREATE TABLE t (id INT PRIMARY KEY, v ${type})`],
    insert: `INSERT INTO t VALUES (1, ${values[0] ?? ''})`,
    update: { insert: 'INSERT INTO t VALUES (2, NULL)', update: `UPDATE t SET v = ${values[1] ?? ''} WHERE id = 2` },
    codes: { copy: 'COPY_VALUE_REFUSED', stream: 'APPLY_VALUE_REFUSED' },
  })),
  {
    label: 'sequences',
    only: 'mariadb',
    before: ['CREATE SEQUENCE t'],
    codes: { copy: 'NOT_IMPORTABLE' },
  },
  {
    label: 'tables with system versioning',
    only: 'mariadb',
    before: ['CREATE TABLE t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING'],
    codes: { copy: 'NOT_IMPORTABLE' },
  },
  {
    label: 'defaults from a sequence',
    only: 'mariadb',
    before: ['CREATE SEQUENCE s', 'CREATE TABLE t (id INT PRIMARY KEY DEFAULT NEXTVAL(s))'],
    codes: { copy: 'DDL_UNSUPPORTED' },
  },
  {
    label: 'tables without a key',
    only: 'mysql',
    before: ['CREATE TABLE t (v INT)'],
    codes: { copy: 'TABLE_WITHOUT_KEY' },
  },
];

export function refusalsOf(flavor: Flavor): Refusal[] {
  return REFUSALS.filter(({ only }) => only === flavor || only === FLAVOR_SPECS[flavor].family);
}
