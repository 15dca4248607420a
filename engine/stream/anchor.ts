import { AppError } from '../../core/errors.ts';
import type { StreamPosition } from '../../core/gtid.ts';
import { EVENT, type BinlogEvent } from './event.ts';
import { readTransactionStart, type TransactionStart } from './gtid-event.ts';

/** The last transaction that was applied before a connection was lost. */
export interface Anchor {
  gtid: string;
  /** See `stampIn`. */
  stamp: string;
  /** Everything else that was applied. */
  before: StreamPosition;
}

/** With the server whose log it is from, where it means something there only. */
export function stampIn(logServerId: number, { stamp }: TransactionStart): string {
  return stamp.startsWith('us') ? stamp : `${stamp} ${logServerId}`;
}

/** False also where it cannot be told: stamps of the logs of two servers, by seconds. */
function isAnother(stamp: string, before: string): boolean {
  return stamp !== before && stamp.split(' ')[1] === before.split(' ')[1];
}

const STARTS: ReadonlySet<number> = new Set([EVENT.GTID, EVENT.GTID_TAGGED, EVENT.MARIADB_GTID]);

/**
 * A server whose machine crashed may come back without its last transactions, where its logs are not written to disk at each commit
 * (sync_binlog), and give their GTIDs to others: those would be taken for known, and never read. So the last one that was
 * applied is read again, and must be the one that it was.
 */
export class AnchorCheck {
  readonly #anchor: Anchor;
  #isWithin = false;
  #logServerId = 0;
  /** The anchor has come, and something behind it. */
  done = false;

  constructor(anchor: Anchor) {
    this.#anchor = anchor;
  }

  /** Whether the event belongs to the anchor, which is applied. Throws STREAM_DIVERGED where the anchor is another one now. */
  takes(event: BinlogEvent): boolean {
    if (STARTS.has(event.type)) this.#begin(event);
    else if (event.type === EVENT.FORMAT_DESCRIPTION) {
      this.#logServerId = event.serverId;
      this.#isWithin = false;
    }
    return this.#isWithin;
  }

  #begin(event: BinlogEvent): void {
    const start = readTransactionStart(event);
    const { gtid } = start;
    const stamp = stampIn(this.#logServerId, start);
    this.done ||= this.#isWithin;
    this.#isWithin = gtid === this.#anchor.gtid;
    if (!this.#isWithin || !isAnother(stamp, this.#anchor.stamp)) return;
    throw new AppError(
      'STREAM_DIVERGED',
      `transaction ${gtid} is another one on the server than when it was read: the server has lost its last transactions`,
      { details: { unknown: gtid, stamp, stampBefore: this.#anchor.stamp } },
    );
  }
}
