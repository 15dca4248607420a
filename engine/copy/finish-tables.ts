import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition, TableView } from '../api.ts';
import type { TargetDdl } from '../schema/target-ddl.ts';
import { addDeferredIndexes, addForeignKeys } from './deferred-parts.ts';

/** Index builds at once: each is as busy as a core and a disk allow. */
const TABLES_AT_ONCE = 4;

export interface FinishOptions {
  target: ServerDefinition;
  ddls: TargetDdl[];
  signal: AbortSignal;
  onState: (table: string, state: TableView['state']) => void;
}

/** What was left out when the tables were created: indexes, then foreign keys. What is there already is skipped. */
export async function finishTables({ target, ddls, signal, onState }: FinishOptions): Promise<void> {
  const deferred = ddls.filter(({ indexes, fulltext }) => indexes.length + fulltext.length > 0);
  await addDeferredIndexes({
    target,
    ddls: deferred,
    connections: TABLES_AT_ONCE,
    signal,
    onProgress: (table, state) => onState(table, state === 'done' ? 'copied' : state),
  });
  await failpoint('copy.indexes_added');
  const children = ddls.filter(({ foreignKeys }) => foreignKeys.length > 0);
  await addForeignKeys({
    target,
    ddls: children,
    signal,
    onProgress: (table, state) => onState(table, state === 'done' ? 'copied' : state),
  });
}
