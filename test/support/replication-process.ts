/**
 * A process of its own that replicates one schema and nothing else, DDL too, so that a test can measure its memory or kill
 * it:
 * `node test/support/replication-process.ts '{"importId": …, "origin": …, "destination": …, "database": …}'`
 */
import { z } from 'zod';
import { serverSchema } from '../../engine/api.ts';
import { DdlJournal } from '../../engine/ddl/ddl-journal.ts';
import { ddlHandler } from '../../engine/ddl/ddl-policy.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';

const settings = z.object({
  importId: z.string(),
  origin: serverSchema,
  destination: serverSchema,
  database: z.string(),
});

const { importId, origin, destination, database } = settings.parse(JSON.parse(process.argv[2] ?? '{}'));
const controller = new AbortController();
process.once('SIGTERM', () => controller.abort());
const replication = new Replication(
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
    onDdl: ddlHandler({
      world: { log: (_level, message) => console.error(message) },
      journal: new DdlJournal({ origin, destination, importId, direction: 'forward' }),
      destination: 'target',
      policy: 'EXEC',
      decisionOn: () => undefined,
    }),
    onRetry: (error) => console.error(`${error.code}: ${error.message}`),
  },
  controller.signal,
);
await replication.done;
