import type { Bytes, ServerConnection } from '../server/connection.ts';
import { executedPosition, snapshotPlace } from '../server/position.ts';
import type { ServerFacts } from '../api.ts';

/**
 * Reads a chunk's stamp, then the chunk. MySQL: `gtid_executed` read before the SELECT; once a GTID is in it, its rows
 * are visible, so the chunk contains at least the stamp. MariaDB: a consistent snapshot, whose place in the binlog is
 * exact (`binlog_snapshot_file` and `_position`).
 */
export async function stamped(
  reader: ServerConnection,
  flavor: ServerFacts['flavor'],
  read: () => Promise<void>,
): Promise<Bytes> {
  if (flavor === 'mysql') {
    const stamp = (await executedPosition(reader, flavor)).toString();
    await read();
    return stamp;
  }
  await reader.write('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  await reader.write('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  const { file, offset } = await snapshotPlace(reader);
  await read();
  await reader.write('COMMIT');
  return `${file}:${offset}`;
}
