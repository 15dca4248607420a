import { AppError } from '../../core/errors.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import type { ServerFacts } from '../api.ts';
import { Backoff } from '../../core/backoff.ts';
import { quoteText, type ServerConnection } from './connection.ts';

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

/**
 * A position of which a SELECT that begins afterwards shows everything. Where a stream begins whose rows are copied: what is in the
 * position and was not seen would be in neither.
 *
 * MySQL: gtid_executed. MariaDB: gtid_binlog_pos has a transaction from where it is being written to the log, and others see it only when
 * that is on disk and, with semi-synchronous replication (AFTER_SYNC), a replica has it: for seconds where that is slow. What is
 * visible has its place in the log, which a consistent snapshot tells.
 */
export async function visiblePosition(
  connection: ServerConnection,
  flavor: ServerFacts['flavor'],
): Promise<StreamPosition> {
  if (flavor === 'mysql') return await executedPosition(connection, flavor);
  await connection.write('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  const position = await openSnapshot(connection);
  await connection.write('ROLLBACK');
  return position;
}

/**
 * MariaDB: begins a transaction that shows exactly what is in the position. It has to be REPEATABLE READ, or the snapshot ends with
 * its first statement.
 */
export async function openSnapshot(connection: ServerConnection): Promise<StreamPosition> {
  await connection.write('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  const { file, offset } = await snapshotPlace(connection);
  const [row] = await connection.rows(`SELECT BINLOG_GTID_POS(${quoteText(file)},${offset})`);
  // Empty where nothing was ever logged; NULL where that log is gone by now.
  if (row?.[0] == null) {
    const message = `the server cannot tell which GTIDs are in its log up to ${file}, ${offset}: it was purged meanwhile`;
    throw new AppError('SERVER_GONE', message, { details: { errno: 0 } });
  }
  return parsePosition('mariadb', row[0]);
}

/** MariaDB: where in the log the snapshot is that the connection has open. */
export async function snapshotPlace(connection: ServerConnection): Promise<{ file: string; offset: number }> {
  const status = new Map(
    (await connection.rows("SHOW STATUS LIKE 'binlog_snapshot_%'")).map(([name, value]) => [
      (name ?? '').toLowerCase(),
      value ?? '',
    ]),
  );
  return { file: status.get('binlog_snapshot_file') ?? '', offset: Number(status.get('binlog_snapshot_position')) };
}

/** Longest wait for a transaction that is between the binlog and its visibility. */
const SETTLING_MS_MAX = 10_000;

/**
 * A position with everything in it that anybody may have seen of the server by now, on a replica as well; undefined where that
 * could not be had in a few seconds.
 *
 * MySQL: a transaction is visible a moment *before* it is in gtid_executed, and a semi-synchronous one is on a replica long before;
 * but from the moment it has a GTID until then it is in gtid_owned (sql/binlog.cc, ordered_commit; sql/rpl_gtid_state.cc,
 * update_commit_group). So whatever is owned now has to be over before gtid_executed is read. MariaDB's position is that of its log.
 */
export async function settledPosition(
  connection: ServerConnection,
  flavor: ServerFacts['flavor'],
  signal: AbortSignal,
): Promise<StreamPosition | undefined> {
  if (flavor === 'mysql') {
    const owned = await ownedGtids(connection);
    const over = async () => owned.size === 0 || (await ownedGtids(connection)).isDisjointFrom(owned);
    if (!(await holdsSoon(over, signal))) return undefined;
  }
  return await executedPosition(connection, flavor);
}

/** Transactions with a GTID that are not over, in the notation `uuid:number#thread`. */
async function ownedGtids(connection: ServerConnection): Promise<Set<string>> {
  const [row] = await connection.rows('SELECT @@GLOBAL.gtid_owned');
  const gtids = new Set<string>();
  for (const block of (row?.[0] ?? '').split(',')) {
    const [uuid = '', ...numbers] = block.trim().split(':');
    for (const number of numbers.filter((part) => part.includes('#'))) gtids.add(`${uuid}:${number}`);
  }
  return gtids;
}

/** Asks until it holds; false when it did not in time. */
export async function holdsSoon(condition: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  const backoff = new Backoff({ initialMs: 1, maxMs: 100 });
  const deadlineMs = performance.now() + SETTLING_MS_MAX;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) return false;
    await backoff.wait(signal);
  }
  return true;
}

/**
 * Whether everything in `position` is visible on a replica. On MariaDB its own log runs ahead of what is visible, need not have
 * it at all, and may have higher numbers of the replica's own; so what it has applied counts.
 */
export async function hasReached(
  replica: ServerConnection,
  flavor: ServerFacts['flavor'],
  position: StreamPosition,
): Promise<boolean> {
  if (flavor === 'mysql') return (await executedPosition(replica, flavor)).covers(position);
  const [row] = await replica.rows('SELECT @@GLOBAL.gtid_slave_pos');
  return parsePosition(flavor, row?.[0] ?? '').covers(position);
}
