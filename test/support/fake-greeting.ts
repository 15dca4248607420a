import { buildHandshake } from '../../core/wire/handshake.ts';
import { framePacket } from '../../core/wire/packet.ts';
import { newScramble } from '../../core/wire/scramble.ts';
import { SERVER_STATUS } from '../../core/wire/server-status.ts';

/** The first packet of a server that a test plays. */
export function fakeGreeting(capabilities: number): Buffer {
  const greeting = buildHandshake({
    serverVersion: '9.9.9-fake',
    connectionId: 1,
    scramble: newScramble(),
    capabilities,
    collation: 255,
    statusFlags: SERVER_STATUS.AUTOCOMMIT,
    authPlugin: 'caching_sha2_password',
  });
  return framePacket(greeting, 0);
}
