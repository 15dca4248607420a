import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { ClientError } from './client-error.ts';
import { ConnectionLostError } from './message-stream.ts';

/** Why a client was not let in, or was put out: the label of a metric, so that there are few of them. */
export type RefusalReason =
  | 'malformed packet'
  | 'handshake timeout'
  | 'connection lost'
  | 'too many connections'
  | 'too many failed logins'
  | 'access denied'
  | 'old protocol'
  | 'TLS required'
  | 'server unreachable'
  | 'shutdown'
  | 'refused by the server'
  | 'internal error';

const BY_CODE: ReadonlyMap<number, RefusalReason> = new Map([
  [1040, 'too many connections'],
  [1203, 'too many connections'],
  [1129, 'too many failed logins'],
  [1045, 'access denied'],
  [1251, 'old protocol'],
  [3159, 'TLS required'],
  [1105, 'server unreachable'],
  [1053, 'shutdown'],
  [1043, 'malformed packet'],
  [1835, 'malformed packet'],
]);

export function refusalReason(error: unknown, { timedOut }: { timedOut: boolean }): RefusalReason {
  if (timedOut) return 'handshake timeout';
  if (error instanceof ClientError) return BY_CODE.get(error.packet.code) ?? 'refused by the server';
  if (error instanceof MalformedPacketError) return 'malformed packet';
  return error instanceof ConnectionLostError ? 'connection lost' : 'internal error';
}
