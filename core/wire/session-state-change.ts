import { ByteReader } from './byte-reader.ts';

/** What the server's session trackers report in an OK packet. Source: MySQL internals, "enum_session_state_type". */
export type SessionStateChange =
  | { kind: 'system-variable'; name: string; value: Buffer }
  | { kind: 'schema'; name: string }
  /** Something of the session changed that has no tracker of its own: user variables, temporary tables, statements. */
  | { kind: 'state-changed' }
  /** The statements that would begin the transaction under way, or the next one, again; empty when there is nothing to say. */
  | { kind: 'transaction-characteristics'; sql: string }
  /** GTIDs, the state of the transaction, MariaDB's own: passed to the client, of no use here. */
  | { kind: 'other'; type: number };

export const SESSION_STATE_TYPE = {
  SYSTEM_VARIABLES: 0,
  SCHEMA: 1,
  STATE_CHANGE: 2,
  GTIDS: 3,
  TRANSACTION_CHARACTERISTICS: 4,
  TRANSACTION_STATE: 5,
} as const;

/** `info` is the block of an OK packet without its total length. */
export function parseSessionStateChanges(info: Buffer): SessionStateChange[] {
  const changes: SessionStateChange[] = [];
  const reader = new ByteReader(info);
  while (reader.remaining > 0) {
    const type = reader.uint8();
    const data = new ByteReader(reader.lenencBytes());
    if (type === SESSION_STATE_TYPE.SYSTEM_VARIABLES) {
      // MariaDB may put several pairs into one block.
      while (data.remaining > 0) {
        const name = data.lenencBytes().toString('latin1');
        changes.push({ kind: 'system-variable', name, value: Buffer.from(data.lenencBytes()) });
      }
    } else if (type === SESSION_STATE_TYPE.SCHEMA) {
      changes.push({ kind: 'schema', name: data.lenencBytes().toString('utf8') });
    } else if (type === SESSION_STATE_TYPE.STATE_CHANGE) {
      if (data.rest().toString('latin1') === '1') changes.push({ kind: 'state-changed' });
    } else if (type === SESSION_STATE_TYPE.TRANSACTION_CHARACTERISTICS) {
      changes.push({ kind: 'transaction-characteristics', sql: data.lenencBytes().toString('latin1') });
    } else {
      changes.push({ kind: 'other', type });
    }
  }
  return changes;
}
