import type { Finding } from '../api.ts';
import type { Table } from '../schema/table.ts';
import { isCascading, type ForeignKey } from './check-foreign-keys.ts';
import { finding, listed } from './finding.ts';

/** What would let a tester's transaction change, or leave, more on the source than its own rows (`reverse: always`). */
export function checkWriteBack(
  tables: Table[],
  { engines, foreignKeys }: { engines: ReadonlyMap<string, string>; foreignKeys: readonly ForeignKey[] },
): Finding[] {
  const names = new Set(tables.map(({ name }) => name));
  const others = [...names].filter((name) => engines.get(name)?.toUpperCase() !== 'INNODB').toSorted();
  const cascading = foreignKeys.filter((key) => isCascading(key) && (names.has(key.child) || names.has(key.parent)));
  const reasons = [
    ...(others.length === 0 ? [] : [`not InnoDB: ${listed(others)}`]),
    ...(cascading.length === 0
      ? []
      : [`cascading: ${listed(cascading.map(({ name, child, parent }) => `${name} (${child} → ${parent})`))}`]),
  ];
  return reasons.length === 0 ? [] : [finding('REVERSE_ALWAYS_IMPOSSIBLE', 'source', null, reasons.join('; '))];
}
