import type { Socket } from 'node:net';

/** What has come already comes at once; a connection that is reset or ended says so itself. */
const WAIT_MS = 1000;

type Done = (error?: Error | null) => void;

/**
 * A server may say why it takes no more (1153: the packet is too large) and close at once. A write fails then, upon which Node drops
 * what has come and was not read yet, with TLS and without: such a failure is told when the connection has been read to its end.
 */
export function readLastWords(socket: Socket): void {
  const afterLastWords =
    (done: Done): Done =>
    (error) => {
      if (error === undefined || error === null || socket.readableEnded || socket.destroyed) return done(error);
      let isTold = false;
      const tell = () => {
        if (!isTold) done(error);
        isTold = true;
        clearTimeout(timer);
      };
      const timer = setTimeout(tell, WAIT_MS);
      socket.once('end', tell).once('close', tell).resume();
    };
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  socket._write = (chunk, encoding, done) => write(chunk, encoding, afterLastWords(done));
  if (writev !== undefined) socket._writev = (chunks, done) => writev(chunks, afterLastWords(done));
}
