import type { ServerDefinition } from '../../engine/api.ts';
import { escapeBytes, quoteText, type ServerConnection } from '../../engine/server/connection.ts';

const WORKERS = 4;

/** Makes the server a replica of `source` by GTIDs and starts it; everything else at MySQL's defaults. */
export async function startMysqlReplica(replica: ServerConnection, source: ServerDefinition): Promise<void> {
  await replica.write(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${source.host}', SOURCE_PORT=${source.port}, ` +
      `SOURCE_USER='${escapeBytes(source.user)}', SOURCE_PASSWORD='${escapeBytes(source.password)}', ` +
      'SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_SSL=0',
  );
  await replica.write(`SET GLOBAL replica_parallel_workers=${WORKERS}`);
  await replica.write('START REPLICA');
}

/** Until it has executed all of `gtids`; throws what stopped it. */
export async function waitForMysqlReplica(replica: ServerConnection, gtids: string): Promise<void> {
  const row = await replica.selectOne<{ missing: string }>(
    `SELECT WAIT_FOR_EXECUTED_GTID_SET(${quoteText(gtids)}, 600) AS missing`,
  );
  if (row?.missing === '0') return;
  const errors = await replica.select<{ LAST_ERROR_MESSAGE: string }>(
    "SELECT LAST_ERROR_MESSAGE FROM performance_schema.replication_applier_status_by_worker WHERE LAST_ERROR_MESSAGE <> ''",
  );
  throw new Error(
    `the replica did not arrive: ${errors[0]?.LAST_ERROR_MESSAGE ?? 'no error, no progress in ten minutes'}`,
  );
}

export async function stopMysqlReplica(replica: ServerConnection): Promise<void> {
  await replica.write('STOP REPLICA');
  await replica.write('RESET REPLICA ALL');
}
