import { AppError, assert } from './errors.ts';
import type { StreamPosition } from './gtid.ts';

/**
 * The last GTID of each replication domain, as in `gtid_binlog_pos`
 * (https://mariadb.com/kb/en/gtid/). Within a domain sequence numbers rise strictly (`gtid_strict_mode`), so "covers"
 * compares them alone; the server id is kept because the server wants it back in `@slave_connect_state`.
 */
export class MariadbGtidPosition implements StreamPosition {
  readonly flavor = 'mariadb';
  readonly #domains = new Map<number, { server: number; sequence: number }>();

  static parse(text: string): MariadbGtidPosition {
    const position = new MariadbGtidPosition();
    for (const part of text.split(',')) {
      if (part.trim() !== '') position.advance(part.trim());
    }
    return position;
  }

  covers(other: StreamPosition): boolean {
    assert(other instanceof MariadbGtidPosition, 'a MariaDB position is compared with one of another kind');
    for (const [domain, { sequence }] of other.#domains) {
      if ((this.#domains.get(domain)?.sequence ?? -1) < sequence) return false;
    }
    return true;
  }

  coversGtid(gtid: string): boolean {
    const { domain, sequence } = split(gtid);
    return (this.#domains.get(domain)?.sequence ?? -1) >= sequence;
  }

  /** A lower sequence number than the one already there (an origin without strict mode) does not go back. */
  advance(gtid: string): void {
    const { domain, server, sequence } = split(gtid);
    const had = this.#domains.get(domain);
    if (had === undefined) this.#domains.set(domain, { server, sequence });
    else if (sequence >= had.sequence) {
      had.server = server;
      had.sequence = sequence;
    }
  }

  clone(): MariadbGtidPosition {
    const position = new MariadbGtidPosition();
    for (const [domain, gtid] of this.#domains) position.#domains.set(domain, { ...gtid });
    return position;
  }

  toString(): string {
    return [...this.#domains]
      .sort(([a], [b]) => a - b)
      .map(([domain, { server, sequence }]) => `${domain}-${server}-${sequence}`)
      .join(',');
  }
}

const GTID = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/;

function split(gtid: string): { domain: number; server: number; sequence: number } {
  const match = GTID.exec(gtid);
  const [domain, server, sequence] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  if (match === null || !Number.isSafeInteger(sequence)) {
    throw new AppError(
      'GTID_INVALID',
      `${JSON.stringify(gtid.slice(0, 100))} is no GTID of the form domain-server-sequence`,
    );
  }
  return { domain, server, sequence };
}
