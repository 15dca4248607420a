import { AppError } from './errors.ts';
import { MariadbGtidPosition } from './gtid-mariadb.ts';
import { MysqlGtidSet } from './gtid-mysql.ts';

export type Flavor = 'mysql' | 'mariadb';

/**
 * A point in the history of a server: MySQL's set of executed GTIDs, or MariaDB's last sequence number of each
 * domain. Mutable through `advance` alone; positions of different flavors cannot be compared (a bug, so it throws).
 */
export interface StreamPosition {
  readonly flavor: Flavor;
  /** True when everything in `other` is in this position as well. */
  covers(other: StreamPosition): boolean;
  coversGtid(gtid: string): boolean;
  /** Takes one more transaction in; amortised O(1) for the next one of a known server. */
  advance(gtid: string): void;
  clone(): StreamPosition;
  /** The server's own notation, without line breaks; the same for equal positions. */
  toString(): string;
}

/** Reads the notation of `flavor`. Throws GTID_INVALID. */
export function parsePosition(flavor: Flavor, text: string): StreamPosition {
  switch (flavor) {
    case 'mysql':
      return MysqlGtidSet.parse(text);
    case 'mariadb':
      return MariadbGtidPosition.parse(text);
    default:
      throw new AppError('GTID_INVALID', `there is no position of the kind ${String(flavor satisfies never)}`);
  }
}
