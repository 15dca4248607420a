import { copyFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, withCacheLock } from './cache-folder.ts';
import type { Installation } from './installation.ts';
import { runCommand } from './run-command.ts';

/**
 * TLS for MariaDB, which before 11.4 makes no certificate of its own; MySQL makes its own when the data directory is
 * initialised. Without an openssl program the server is left as it is.
 */
export async function tlsOptions({ family }: Installation, folder: string): Promise<string[]> {
  if (family === 'mysql') return [];
  const made = await certificate().catch(() => undefined);
  if (made === undefined) return [];
  const cert = path.join(folder, 'server-cert.pem');
  const key = path.join(folder, 'server-key.pem');
  await Promise.all([copyFile(made.cert, cert), copyFile(made.key, key)]);
  return [`--ssl-cert=${cert}`, `--ssl-key=${key}`, `--ssl-ca=${cert}`];
}

async function certificate(): Promise<{ cert: string; key: string }> {
  const cert = path.join(cacheFolder(), 'server-cert.pem');
  const key = path.join(cacheFolder(), 'server-key.pem');
  return withCacheLock('certificate', async () => {
    const valid = await runCommand('openssl', ['x509', '-in', cert, '-checkend', '86400', '-noout']).then(
      () => true,
      () => false,
    );
    if (!valid) {
      const request = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', '/CN=127.0.0.1'];
      const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
      await runCommand('openssl', ['req', ...request, ...names, '-keyout', `${key}.new`, '-out', `${cert}.new`]);
      await rename(`${key}.new`, key);
      await rename(`${cert}.new`, cert);
    }
    return { cert, key };
  });
}
