import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import type { ServerFacts } from '../api.ts';
import type { ServerConnection } from './connection.ts';

/**
 * Everything committed on the server, as its binlog names it. On MySQL a transaction in `gtid_executed` is visible to
 * a SELECT that starts afterwards, which file positions do not promise (engine.md, "Visibility trap").
 */
export async function executedPosition(
  connection: ServerConnection,
  flavor: ServerFacts['flavor'],
): Promise<StreamPosition> {
  const variable = flavor === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_binlog_pos';
  const row = await connection.selectOne<{ position: string }>(`SELECT ${variable} AS position`);
  return parsePosition(flavor, row?.position ?? '');
}
