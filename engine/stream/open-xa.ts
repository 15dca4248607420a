import type { StreamPosition } from '../../core/gtid.ts';

/** MariaDB's XA transactions between PREPARE and their end, each with the position before its PREPARE. */
export class OpenXa {
  readonly #since = new Map<string, string>();

  /**
   * Hears of each transaction in the order of the log: what is prepared behind it, and the position before it. Answers where
   * reading has to begin for whoever goes on behind it; undefined: anywhere.
   */
  after(prepared: Iterable<string>, before: StreamPosition): string | undefined {
    const open = [...prepared];
    if (open.length === 0 && this.#since.size === 0) return undefined;
    for (const xid of this.#since.keys()) if (!open.includes(xid)) this.#since.delete(xid);
    for (const xid of open) if (!this.#since.has(xid)) this.#since.set(xid, before.toString());
    // The oldest is the first one: a Map keeps the order.
    return this.#since.values().next().value;
  }
}
