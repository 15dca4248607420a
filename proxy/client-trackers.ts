import { ByteReader } from '../core/wire/byte-reader.ts';
import { ByteWriter } from '../core/wire/byte-writer.ts';
import { SESSION_STATE_TYPE } from '../core/wire/session-state-change.ts';

/** What both families report where nobody changed it. Source: manuals, session_track_system_variables. */
const DEFAULT_VARIABLES: ReadonlySet<string> = new Set([
  'autocommit',
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'time_zone',
]);

/**
 * The trackers report everything to the proxy. A client that asked for trackers too gets what it would get without
 * the proxy, or, once it chose its own settings, all that there is.
 */
export class ClientTrackers {
  #choseVariables = false;
  #choseTransactions = false;

  onChosen(): void {
    this.#choseVariables = true;
  }

  onTransactionsChosen(): void {
    this.#choseTransactions = true;
  }

  /** The block of an OK packet as the client is to see it; null when nothing of it is left. */
  visible(block: Buffer): Buffer | null {
    const writer = new ByteWriter();
    const reader = new ByteReader(block);
    let isEmpty = true;
    while (reader.remaining > 0) {
      const type = reader.uint8();
      const data = this.#visibleData(type, reader.lenencBytes());
      if (data.length === 0) continue;
      writer.uint8(type).lenencBytes(data);
      isEmpty = false;
    }
    return isEmpty ? null : writer.toBuffer();
  }

  #visibleData(type: number, data: Buffer): Buffer {
    switch (type) {
      case SESSION_STATE_TYPE.SYSTEM_VARIABLES:
        return this.#visibleVariables(data);
      case SESSION_STATE_TYPE.STATE_CHANGE:
        return this.#choseVariables ? data : Buffer.alloc(0);
      case SESSION_STATE_TYPE.TRANSACTION_CHARACTERISTICS:
      case SESSION_STATE_TYPE.TRANSACTION_STATE:
        return this.#choseTransactions ? data : Buffer.alloc(0);
      default:
        return data;
    }
  }

  #visibleVariables(data: Buffer): Buffer {
    const writer = new ByteWriter();
    const reader = new ByteReader(data);
    while (reader.remaining > 0) {
      const name = reader.lenencBytes();
      const value = reader.lenencBytes();
      const text = name.toString('latin1');
      // MariaDB's redirect_url would send the client past the proxy.
      const isVisible = text !== 'redirect_url' && (this.#choseVariables || DEFAULT_VARIABLES.has(text));
      if (isVisible) writer.lenencBytes(name).lenencBytes(value);
    }
    return writer.toBuffer();
  }
}
