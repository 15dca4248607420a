import { errnoOf, textOf, type ServerConnection, type Value } from './connection.ts';
import type { Flavor } from '../../core/gtid.ts';

const SYNTAX_ERROR = 1064;

/** What a server receives from another one. */
export interface ReplicaChannel {
  /** host:port of that one. */
  from: string;
  /** It is written here: by a thread that read_only does not keep back. */
  isApplied: boolean;
}

/** None where we may not know (REPLICATION CLIENT, which is a finding of its own). */
export async function replicaChannels(connection: ServerConnection, flavor: Flavor): Promise<ReplicaChannel[]> {
  try {
    const rows = await (flavor === 'mariadb' ? connection.named('SHOW ALL SLAVES STATUS') : replicaStatus(connection));
    return rows.map((row) => {
      const value = (...names: string[]) => textOf(names.map((name) => row[name]).find((one) => one != null) ?? '');
      return {
        from: `${value('Source_Host', 'Master_Host')}:${value('Source_Port', 'Master_Port')}`,
        isApplied: value('Replica_SQL_Running', 'Slave_SQL_Running') !== 'No',
      };
    });
  } catch (error) {
    if (errnoOf(error) === 0) throw error;
    return [];
  }
}

/** Needs REPLICATION CLIENT. MariaDB and MySQL before 8.0.22 know the old words only, MySQL 8.4 and later the new ones only. */
export async function replicaStatus(connection: ServerConnection): Promise<Record<string, Value>[]> {
  try {
    return await connection.named('SHOW REPLICA STATUS');
  } catch (error) {
    if (errnoOf(error) !== SYNTAX_ERROR) throw error;
    return await connection.named('SHOW SLAVE STATUS');
  }
}
