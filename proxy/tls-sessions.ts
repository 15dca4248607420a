import type { TLSSocket } from 'node:tls';
import type { Destination } from './backend-connection.ts';

/**
 * What servers gave to resume their TLS sessions with (RFC 8446, 2.2): a login then costs neither side a signature. Hundreds of
 * connections are opened ahead of a switch, while clients want answers.
 *
 * A resumed session is not verified again (node skips `checkServerIdentity`), so it is used only where everything that
 * the verification looks at is the same: the server's address, the TLS settings, our certificate.
 */
const latest = new Map<string, { session: Buffer; clientCertificate: Destination['clientCertificate'] }>();

export function resumableSession(destination: Destination): Buffer | undefined {
  const found = latest.get(keyOf(destination));
  return found?.clientCertificate === destination.clientCertificate ? found?.session : undefined;
}

/** Keeps the first one that the server gives; it comes after the handshake. */
export function keepSession(socket: TLSSocket, destination: Destination): void {
  const { clientCertificate } = destination;
  socket.once('session', (session) => latest.set(keyOf(destination), { session, clientCertificate }));
}

function keyOf({ endpoint: { host, port, tls } }: Destination): string {
  return JSON.stringify([host, port, tls]);
}
