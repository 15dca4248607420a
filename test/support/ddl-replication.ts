import { DdlJournal } from '../../engine/ddl/ddl-journal.ts';
import { ddlHandler, type DdlDecision, type DdlHandlerOptions } from '../../engine/ddl/ddl-policy.ts';
import type { ReplicationOptions } from '../../engine/replication/replication-options.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import type { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';

export interface DdlReplicationOptions extends Partial<ReplicationOptions> {
  source: ServerConnection;
  target: ServerConnection;
  /** The import is named like it. */
  database: string;
  policy?: DdlHandlerOptions['policy'];
  /** Of the operator, one for each statement that the policy stops at. */
  decisions?: DdlDecision[];
}

/** The stream of one database to the target, which does with DDL what the policy says, by default executes it. Disposing stops it. */
export function replicateDdl({
  source,
  target,
  database,
  policy = 'EXEC',
  decisions = [],
  ...more
}: DdlReplicationOptions): Replication & AsyncDisposable {
  const stream = {
    importId: database,
    direction: 'forward',
    origin: source.server,
    destination: target.server,
  } as const;
  const replication = new Replication(
    {
      ...stream,
      flavor: 'mysql',
      database,
      loadTables: () => inspectTables(source, database, 'all'),
      onDdl: ddlHandler({
        world: { log: () => {} },
        journal: new DdlJournal(stream),
        destination: 'target',
        policy,
        decisionOn: () => decisions.shift(),
      }),
      ...more,
    },
    new AbortController().signal,
  );
  return Object.assign(replication, { [Symbol.asyncDispose]: async () => replication.stop() });
}

/** Until everything that the source has now is applied; rejects with what stops it. */
export async function applyDdl(options: DdlReplicationOptions): Promise<void> {
  const { source, flavor = 'mysql' } = options;
  await using replication = replicateDdl(options);
  await replication.waitFor(await executedPosition(source, flavor), AbortSignal.timeout(30_000));
}
