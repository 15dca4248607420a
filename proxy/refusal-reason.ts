import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { ClientError, type RefusalReason } from './client-error.ts';
import { ConnectionLostError } from './message-stream.ts';

const ACCESS_DENIED = 1045;

export function refusalReason(error: unknown, { timedOut = false } = {}): RefusalReason {
  if (timedOut) return 'handshake timeout';
  if (error instanceof ClientError) {
    const { reason, code } = error.packet;
    return reason ?? (code === ACCESS_DENIED ? 'access denied' : 'refused by the server');
  }
  if (error instanceof MalformedPacketError) return 'malformed packet';
  return error instanceof ConnectionLostError ? 'connection lost' : 'internal error';
}
