import { errnoOf, textOf, type ServerConnection } from './connection.ts';
import type { Flavor } from '../../core/gtid.ts';

/** What a server receives from another one. */
export interface ReplicaChannel {
  /** host:port of that one. */
  from: string;
  /** It is written here: by a thread that read_only does not keep back. */
  isApplied: boolean;
}

/** None where we may not know (REPLICATION CLIENT, which is a finding of its own). */
export async function replicaChannels(connection: ServerConnection, flavor: Flavor): Promise<ReplicaChannel[]> {
  const statements = flavor === 'mariadb' ? ['SHOW ALL SLAVES STATUS'] : ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS'];
  for (const sql of statements) {
    try {
      return (await connection.named(sql)).map((row) => {
        const value = (...names: string[]) => textOf(names.map((name) => row[name]).find((one) => one != null) ?? '');
        return {
          from: `${value('Source_Host', 'Master_Host')}:${value('Source_Port', 'Master_Port')}`,
          isApplied: value('Replica_SQL_Running', 'Slave_SQL_Running') !== 'No',
        };
      });
    } catch (error) {
      // The other word.
      if (errnoOf(error) === 0) throw error;
    }
  }
  return [];
}
