import type { Flavor, StreamPosition } from '../../core/gtid.ts';
import { MysqlGtidSet } from '../../core/gtid-mysql.ts';
import { assert } from '../../core/errors.ts';
import type { Bytes } from '../server/connection.ts';

const COM_BINLOG_DUMP = 0x12;
const COM_BINLOG_DUMP_GTID = 0x1e;
const BINLOG_THROUGH_GTID = 0x04;

export interface DumpOptions {
  from: StreamPosition;
  /** As a replica's: unique, or the server ends the older dump of the same id. */
  serverId: number;
  heartbeatMs: number;
}

/**
 * The session variables that a dump thread reads. MySQL renamed them in 8.0.26, and takes both; MariaDB knows the old
 * ones (https://mariadb.com/kb/en/replication-protocol/… "slave registration").
 * - checksum: without it the server strips checksums, or refuses.
 * - heartbeat period, in nanoseconds: an event when nothing else is sent.
 * - mariadb_slave_capability 4: GTID events as they are.
 */
export function dumpSession(flavor: Flavor, { from, heartbeatMs }: DumpOptions, replicaUuid: string): Bytes[] {
  const period = heartbeatMs * 1_000_000;
  const session = [
    "SET @master_binlog_checksum='CRC32', @source_binlog_checksum='CRC32'",
    `SET @master_heartbeat_period=${period}, @source_heartbeat_period=${period}`,
    // While we are paused the server waits with a full socket.
    'SET SESSION net_write_timeout=86400',
  ];
  switch (flavor) {
    case 'mysql':
      return [...session, `SET @slave_uuid='${replicaUuid}', @replica_uuid='${replicaUuid}'`];
    case 'mariadb':
      return [
        ...session,
        'SET @mariadb_slave_capability=4',
        `SET @slave_connect_state='${from.toString()}'`,
        'SET @slave_gtid_strict_mode=1',
        'SET @slave_gtid_ignore_duplicates=0',
      ];
    default:
      throw new Error(`no such flavor: ${String(flavor satisfies never)}`);
  }
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_binlog_dump_gtid.html */
export function dumpCommand({ from, serverId }: DumpOptions): Buffer {
  if (from.flavor === 'mariadb') {
    // Without a file name and from position 4: @slave_connect_state decides.
    const command = Buffer.alloc(1 + 4 + 2 + 4);
    command.writeUInt8(COM_BINLOG_DUMP, 0);
    command.writeUInt32LE(4, 1);
    command.writeUInt32LE(serverId, 7);
    return command;
  }
  assert(from instanceof MysqlGtidSet, 'a MySQL stream starts from a set of GTIDs');
  const set = from.encode();
  const head = Buffer.alloc(1 + 2 + 4 + 4 + 8 + 4);
  head.writeUInt8(COM_BINLOG_DUMP_GTID, 0);
  head.writeUInt16LE(BINLOG_THROUGH_GTID, 1);
  head.writeUInt32LE(serverId, 3);
  head.writeUInt32LE(0, 7);
  head.writeBigUInt64LE(4n, 11);
  head.writeUInt32LE(set.length, 19);
  return Buffer.concat([head, set]);
}
