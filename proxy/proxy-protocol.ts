import { once } from 'node:events';
import { BlockList, isIPv6, type Socket } from 'node:net';
import { parseProxyHeader, type ClientAddress } from '../core/wire/proxy-header.ts';

/** The balancers that are believed when they say whom they connect. */
export class TrustedNetworks {
  readonly #list = new BlockList();

  /** Addresses, or networks as `10.0.0.0/8`. */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', bits] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      this.#list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family);
    }
  }

  includes(address: string): boolean {
    const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
    return plain !== '' && this.#list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
  }
}

/**
 * Takes the header that a trusted balancer sends before anything else, and returns whom it speaks for; what came
 * behind it stays in the socket. Rejects with MalformedPacketError, or when the socket ends.
 */
export async function readProxyHeader(socket: Socket, signal: AbortSignal): Promise<ClientAddress | null> {
  let received = Buffer.alloc(0);
  for (;;) {
    socket.resume();
    const [chunk] = (await once(socket, 'data', { signal })) as [Buffer];
    socket.pause();
    received = Buffer.concat([received, chunk]);
    const header = parseProxyHeader(received);
    if (header === undefined) continue;
    if (received.length > header.length) socket.unshift(received.subarray(header.length));
    return header.client;
  }
}
