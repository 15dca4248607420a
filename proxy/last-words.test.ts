import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createPlainServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { expect, test } from 'vitest';
import { readLastWords } from './last-words.ts';
import { selfSignedCertificate } from './self-signed-certificate.ts';
import { connectWire, pourInto, sendBytes } from './wire-socket.ts';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const cert = selfSignedCertificate(privateKey, { commonName: 'test', days: 2, now: new Date() });

test.each(['plain', 'TLS'])(
  '%s: what the other side said before it closed is read when a write fails',
  async (kind) => {
    const accepted = Promise.withResolvers<Socket>();
    const server = kind === 'TLS' ? createTlsServer({ key, cert }) : createPlainServer();
    server.once(kind === 'TLS' ? 'secureConnection' : 'connection', accepted.resolve);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const plain = connectWire({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
    readLastWords(plain);
    await once(plain, 'connect');
    let socket: Socket = plain;
    if (kind === 'TLS') {
      socket = connectTls({ socket: plain, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
      readLastWords(socket);
      await once(socket, 'secureConnect');
    }
    const heard: string[] = [];
    pourInto(socket, (bytes) => heard.push(bytes.toString()));
    socket.pause();
    const errors: Error[] = [];
    socket.on('error', (error) => errors.push(error));
    const closed = once(socket, 'close').catch(() => {});

    const other = await accepted.promise;
    other.pause();
    // Never read: the close is a reset.
    sendBytes(socket, Buffer.alloc(1 << 16));
    other.write('too large', () => other.destroy());
    await once(other, 'close');
    // The writer notices it before the reader does, as where it has much to write.
    while (socket.writableLength === 0 && !socket.destroyed) {
      sendBytes(socket, Buffer.alloc(1 << 16));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    expect(heard).toEqual(['too large']);
    expect(errors).toMatchObject([{ syscall: 'write' }]);
    server.close();
  },
);
