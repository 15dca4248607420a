import { AppError } from '../../core/errors.ts';
import type { StreamPosition } from '../../core/gtid.ts';

/**
 * MariaDB's positions have no holes (MySQL's have: there a PREPARE is left out until its end). So where an XA transaction is
 * prepared, a stream that goes on behind it begins to read before the oldest PREPARE, keeps what is prepared, and passes over
 * everything else up to where it had come to.
 *
 * That it is the same history is shown by the transactions at which it stood: each must come before anything behind it in its
 * domain. Sequence numbers alone would take those of another server, which lacks the last ones, for known.
 */
export class ReadAgain {
  readonly #applied: StreamPosition;
  readonly #awaited: Set<string>;

  constructor(applied: StreamPosition, readFrom: StreamPosition) {
    this.#applied = applied;
    const stoodAt = applied.toString().split(',');
    this.#awaited = new Set(stoodAt.filter((gtid) => gtid !== '' && !readFrom.coversGtid(gtid)));
  }

  /** Asked of each transaction as it comes. Throws STREAM_DIVERGED. */
  covers(gtid: string): boolean {
    this.#awaited.delete(gtid);
    if (this.#applied.coversGtid(gtid)) return true;
    const domain = `${gtid.split('-')[0]}-`;
    const missing = [...this.#awaited].find((awaited) => awaited.startsWith(domain));
    if (missing === undefined) return false;
    throw new AppError('STREAM_DIVERGED', `the server has ${gtid} and not ${missing}, which was read before`, {
      details: { unknown: missing },
    });
  }
}
