import type { Flavor } from '../../../servers/flavor.ts';
import { FLAVOR_SPECS } from '../../../servers/flavor.ts';
import { DOCUMENTS } from './documents.ts';
import { MARIADB } from './mariadb.ts';
import { NUMBERS } from './numbers.ts';
import { SPATIAL_TYPES, VECTORS } from './spatial.ts';
import { STRINGS } from './strings.ts';
import { TIMES } from './times.ts';
import type { ZooType } from './zoo-type.ts';

/** By tables: all of a group fit into one row. */
export const ZOO: Record<string, ZooType[]> = {
  numbers: NUMBERS,
  times: TIMES,
  strings: STRINGS,
  documents: DOCUMENTS,
  spatial: [...SPATIAL_TYPES, ...VECTORS],
  mariadb: MARIADB,
};

/** The types that a server has, by group. */
export function zooOf(flavor: Flavor): Record<string, ZooType[]> {
  const groups = Object.entries(ZOO).map(
    ([name, types]) => [name, types.filter((type) => isKnown(type, flavor))] as const,
  );
  return Object.fromEntries(groups.filter(([, types]) => types.length > 0));
}

function isKnown({ only }: ZooType, flavor: Flavor): boolean {
  return only === undefined || only === flavor || only === FLAVOR_SPECS[flavor].family;
}
