import { writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { Socket, type NetConnectOpts, type SocketConstructorOpts } from 'node:net';

/** Takes what a socket received. The bytes are lent: they are somebody else's once the call returns. */
export type ByteSink = (bytes: Buffer) => void;

/** As large as a busy server's answer comes at once; one for all sockets of the process, since reads go one at a time. */
const SHARED = Buffer.allocUnsafeSlow(1 << 17);

/**
 * What Node does not document and this file alone relies on: the handle below a socket, which another socket may be
 * built upon (as net.Server itself does), and its file descriptor. Where a Node has them not, plain sockets serve.
 */
interface Internals {
  _handle?: { readonly fd?: number } | null;
  _server?: unknown;
}

/**
 * A TCP socket that reads into the one buffer of the process and hands it to a sink, and writes at once where the kernel
 * takes it. A Socket of Node's allocates 64 KiB for each read, goes through a Readable, and answers each write in a tick of
 * its own: half of what the proxy itself spends on a query (docs/adr/0012). Without a sink it is a socket like others: its
 * bytes come as 'data', owned by the listener.
 */
class WireSocket extends Socket {
  sink: ByteSink | null = null;

  constructor(options: SocketConstructorOpts = {}) {
    super({ ...options, onread: { buffer: SHARED, callback: onRead } });
  }

  /** Like `write`, for bytes that may be lent. */
  send(bytes: Buffer): boolean {
    let rest = bytes;
    if (this.writableLength === 0 && !this.writableEnded) {
      const written = this.#writeNow(bytes);
      if (written === bytes.length) return true;
      rest = bytes.subarray(written);
    }
    return this.write(owned(rest));
  }

  /** What the kernel took. An error shows in the write that then takes the usual way. */
  #writeNow(bytes: Buffer): number {
    // Read anew each time: after a close the number may be that of another connection.
    const fd = internalsOf(this)._handle?.fd;
    if (fd === undefined || fd < 0) return 0;
    try {
      return writeSync(fd, bytes);
    } catch {
      return 0;
    }
  }
}

function onRead(this: unknown, count: number): boolean {
  const socket = this as WireSocket;
  if (socket.sink !== null) socket.sink(SHARED.subarray(0, count));
  else if (socket.listenerCount('data') > 0) socket.emit('data', Buffer.from(SHARED.subarray(0, count)));
  return true;
}

/** Opens a connection as net.connect does; it is read from the first `resume` on, so that nothing comes too early. */
export function connectWire(options: NetConnectOpts): Socket {
  return new WireSocket(options).pause().connect(options);
}

/** Goes on with a connection that a server accepted with `pauseOnConnect`; it stays paused. */
export function acceptWire(accepted: Socket): Socket {
  const internals = internalsOf(accepted);
  const handle = internals._handle;
  if (handle === undefined || handle === null) return accepted;
  const socket = new WireSocket({ handle, pauseOnCreate: true } as unknown as SocketConstructorOpts);
  // The server counts the connection until it is told of its end.
  internalsOf(socket)._server = internals._server;
  internals._server = null;
  internals._handle = null;
  return socket;
}

/** From now on `sink` gets what `socket` receives, in place of any listener to 'data'; under TLS it is such a listener. */
export function pourInto(socket: Duplex, sink: ByteSink): void {
  if (socket instanceof WireSocket) socket.sink = sink;
  else socket.on('data', sink);
}

export function stopPouring(socket: Duplex, sink: ByteSink): void {
  if (!(socket instanceof WireSocket)) socket.off('data', sink);
  else if (socket.sink === sink) socket.sink = null;
}

/** Writes bytes that may be lent. False: wait for 'drain'. */
export function sendBytes(socket: Duplex, bytes: Buffer): boolean {
  return socket instanceof WireSocket ? socket.send(bytes) : socket.write(owned(bytes));
}

/** The same bytes, to be kept. */
export function owned(bytes: Buffer): Buffer {
  return bytes.buffer === SHARED.buffer ? Buffer.from(bytes) : bytes;
}

function internalsOf(socket: Socket): Internals {
  return socket as unknown as Internals;
}
