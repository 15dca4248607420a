import { parsePosition } from '../../core/gtid.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import type { FromReplication, ReplicationTask, ToReplication } from './messages.ts';

/** The replication alone in a process, as the engine runs it: nothing of the benchmark shares its event loop. */
const task = JSON.parse(process.env['REPLICATION_TASK'] ?? '{}') as ReplicationTask;
const controller = new AbortController();
let replication: Replication | undefined;
let windows = 0;

process.on('message', (message: ToReplication) => {
  void handle(message).catch((error: unknown) => tell({ kind: 'failed', message: String(error) }));
});
process.on('disconnect', () => process.exit());
tell({ kind: 'ready' });

async function handle(message: ToReplication): Promise<void> {
  switch (message.kind) {
    case 'start':
      replication = start();
      replication.done.catch((error: unknown) => tell({ kind: 'failed', message: String(error) }));
      return;
    case 'waitFor': {
      await replication?.waitFor(parsePosition('mysql', message.position), controller.signal);
      const { user, system } = process.cpuUsage();
      const residentMb = Math.round(process.resourceUsage().maxRSS / 1024);
      const rowChanges = replication?.view().rowChangesApplied ?? 0;
      tell({ kind: 'reached', residentMb, cpuMs: Math.round((user + system) / 1000), windows, rowChanges });
      return;
    }
    case 'stop':
      await replication?.stop();
      tell({ kind: 'stopped' });
      process.disconnect();
      return;
    default:
      message satisfies never;
  }
}

function start(): Replication {
  const { importId, origin, destination, database } = task;
  return new Replication(
    {
      importId,
      direction: 'forward',
      origin,
      destination,
      flavor: 'mysql',
      database,
      loadTables: async () => {
        await using connection = await ServerConnection.open(origin);
        return await inspectTables(connection, database, 'all');
      },
      onDdl: async ({ ddl }) => {
        throw new Error(`DDL in the benchmark: ${ddl.sql}`);
      },
      onApplied: () => {
        windows += 1;
      },
    },
    controller.signal,
  );
}

function tell(message: FromReplication): void {
  process.send?.(message);
}
