import { AppError } from '../../core/errors.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import { MysqlGtidSet } from '../../core/gtid-mysql.ts';
import type { ServerConnection } from '../server/connection.ts';

/**
 * MySQL: reading may begin at `from` only when from ⊇ gtid_purged and gtid_executed ⊇ from. The server checks the
 * first alone, and of the second not all: with transactions in `from` that it never had it skips silently.
 * MariaDB checks both itself (@slave_gtid_strict_mode), but only of `from`: where something later was read before (`has`),
 * that is asked for here.
 */
export async function checkStart(
  connection: ServerConnection,
  from: StreamPosition,
  has: StreamPosition,
): Promise<void> {
  if (from.flavor === 'mariadb') {
    if (has !== from) await checkHas(connection, has);
    return;
  }
  const row = await connection.selectOne<{ purged: string; executed: string; mode: string }>(
    'SELECT @@GLOBAL.gtid_purged AS purged, @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_mode AS mode',
  );
  if (row === undefined || row.mode !== 'ON') {
    throw new AppError('STREAM_GTID_OFF', `gtid_mode is ${row?.mode ?? 'unknown'}`);
  }
  const purged = MysqlGtidSet.parse(row.purged);
  const executed = MysqlGtidSet.parse(row.executed);
  if (!from.covers(purged)) {
    const missing = from instanceof MysqlGtidSet ? purged.subtract(from).toString() : purged.toString();
    throw new AppError('STREAM_PURGED', `the server has purged ${missing}, which was not read yet`, {
      details: { missing },
    });
  }
  if (!executed.covers(has)) {
    const unknown = has instanceof MysqlGtidSet ? has.subtract(executed).toString() : has.toString();
    throw new AppError('STREAM_DIVERGED', `the server does not have ${unknown}, which was read before`, {
      details: { unknown },
    });
  }
}

async function checkHas(connection: ServerConnection, has: StreamPosition): Promise<void> {
  const rows = await connection.rows('SELECT @@GLOBAL.gtid_binlog_pos');
  const executed = parsePosition(has.flavor, rows[0]?.[0] ?? '');
  if (executed.covers(has)) return;
  const unknown = has.toString();
  throw new AppError('STREAM_DIVERGED', `the server is at ${executed.toString()}, and ${unknown} was read before`, {
    details: { unknown },
  });
}
