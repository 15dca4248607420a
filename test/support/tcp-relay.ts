import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface RelayTarget {
  host: string;
  port: number;
}

/** Sees what the server sends, and answers what arrives instead. The connection must not use TLS. */
export type Tamper = (data: Buffer) => Buffer;

interface Pair {
  client: Socket;
  upstream: Socket;
  isStranded: boolean;
  /** What the server has said and what is not delivered yet, in order. */
  readonly late: (() => void)[];
}

/**
 * A stretch of network between a client and a server that a test can break: connections through it are delayed, stalled
 * (no byte and no FIN passes, as when a firewall forgets them), cut, refused or damaged. It slows its sender like any
 * network, for each side is read only as fast as the other one takes it.
 */
export class TcpRelay implements AsyncDisposable {
  readonly #listener: Server;
  readonly #target: RelayTarget;
  readonly #pairs = new Set<Pair>();
  #stalled = false;
  #refusing = false;
  #delayMs = 0;
  #tamper: Tamper | undefined;
  #accepted = 0;
  #bytesToClient = 0;

  static async start(target: RelayTarget): Promise<TcpRelay> {
    const relay = new TcpRelay(target);
    relay.#listener.listen(0, '127.0.0.1');
    await once(relay.#listener, 'listening');
    return relay;
  }

  private constructor(target: RelayTarget) {
    this.#target = target;
    this.#listener = createServer((client) => this.#accept(client));
  }

  get host(): string {
    return '127.0.0.1';
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** Connections made through it so far. */
  get accepted(): number {
    return this.#accepted;
  }

  get connected(): number {
    return this.#pairs.size;
  }

  get bytesToClient(): number {
    return this.#bytesToClient;
  }

  /** Ends every fault, but not what it has done. */
  forward(): void {
    this.#refusing = false;
    this.#delayMs = 0;
    this.#tamper = undefined;
    this.#stalled = false;
    for (const { client, upstream, isStranded } of this.#pairs) {
      if (isStranded) continue;
      client.resume();
      upstream.resume();
    }
  }

  /** Nothing passes in either direction, not even an end; new connections are accepted and hear nothing. */
  stall(): void {
    this.#stalled = true;
    for (const { client, upstream } of this.#pairs) {
      client.pause();
      upstream.pause();
    }
  }

  /** As a firewall that has forgotten them: what is connected now never hears anything again; new connections work. */
  strand(): void {
    for (const pair of this.#pairs) {
      pair.isStranded = true;
      pair.client.pause();
      pair.upstream.pause();
    }
  }

  /** Ends all connections, those that are stalled too: with FIN to both sides, or with RST. */
  cut(how: 'fin' | 'reset' = 'fin'): void {
    for (const pair of this.#pairs) this.#end(pair, how);
  }

  /** New connections are ended at once; those there are go on. */
  refuse(): void {
    this.#refusing = true;
  }

  /** What the server sends arrives so much later. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  corrupt(tamper: Tamper): void {
    this.#tamper = tamper;
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    this.#accepted += 1;
    const upstream = connect(this.#target.port, this.#target.host);
    const pair: Pair = { client, upstream, isStranded: false, late: [] };
    const isStalled = () => this.#stalled || pair.isStranded;
    this.#pairs.add(pair);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.#end(pair, 'reset'));
      socket.on('end', () => this.#end(pair, 'fin'));
      socket.on('close', () => this.#end(pair, 'fin'));
    }
    client.on('data', (data) => pass(data, client, upstream, isStalled));
    upstream.on('data', (data) => {
      this.#bytesToClient += data.length;
      const sent = this.#tamper?.(data) ?? data;
      const deliver = () => pass(sent, upstream, client, isStalled);
      if (this.#delayMs === 0 && pair.late.length === 0) {
        deliver();
        return;
      }
      // Whichever timer ends first, the oldest goes first: with another delay by now, bytes must not overtake bytes.
      pair.late.push(deliver);
      setTimeout(() => pair.late.shift()?.(), this.#delayMs);
    });
    if (!this.#stalled) return;
    client.pause();
    upstream.pause();
  }

  #end(pair: Pair, how: 'fin' | 'reset'): void {
    if (!this.#pairs.delete(pair)) return;
    for (const socket of [pair.client, pair.upstream]) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.end(() => socket.destroy());
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut('reset');
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}

/** `from` is read on when `to` has taken what there is. */
function pass(data: Buffer, from: Socket, to: Socket, stalled: () => boolean): void {
  if (to.destroyed || to.write(data)) return;
  from.pause();
  to.once('drain', () => {
    if (!stalled()) from.resume();
  });
}
