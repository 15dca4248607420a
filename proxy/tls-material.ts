import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { promisify } from 'node:util';
import { AppError } from '../core/errors.ts';
import type { Side } from '../core/phase.ts';
import { selfSignedCertificate } from './self-signed-certificate.ts';

/** What the proxy proves itself with to clients, and takes passwords with. */
export interface TlsMaterial {
  secureContext: SecureContext;
  rsa: { privateKey: KeyObject; publicKeyPem: Buffer };
}

/** A certificate of ours for servers that ask for one. */
export interface ClientCertificate {
  cert: string;
  key: string;
}

export interface TlsMaterialOptions {
  dataDir: string;
  certFile?: string | undefined;
  keyFile?: string | undefined;
  minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** The key for passwords is always ours; the certificate is the operator's where one is configured. */
export async function loadTlsMaterial({
  dataDir,
  certFile,
  keyFile,
  minVersion,
}: TlsMaterialOptions): Promise<TlsMaterial> {
  const keyPem = await ownFile(dataDir, 'proxy-key.pem', newKey);
  const privateKey = createPrivateKey(keyPem);
  const publicKeyPem = Buffer.from(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }));
  return await configured('proxy.tls', async () => {
    const cert =
      certFile === undefined
        ? await ownFile(dataDir, 'proxy-cert.pem', async () =>
            selfSignedCertificate(privateKey, { commonName: 'switchyard-proxy', days: 3650, now: new Date() }),
          )
        : await readFile(certFile, 'utf8');
    const key = keyFile === undefined ? keyPem : await readFile(keyFile, 'utf8');
    return { secureContext: createSecureContext({ cert, key, minVersion }), rsa: { privateKey, publicKeyPem } };
  });
}

export async function loadClientCertificate(
  side: Side,
  files: { certFile: string; keyFile: string },
): Promise<ClientCertificate> {
  return await configured(`proxy.serverCertificates.${side}`, async () => {
    const [cert, key] = await Promise.all([readFile(files.certFile, 'utf8'), readFile(files.keyFile, 'utf8')]);
    // Throws here what else every connection would.
    createSecureContext({ cert, key });
    return { cert, key };
  });
}

/** Files of the operator's: what is wrong with them is no defect of ours, and is told by their key of the configuration. */
async function configured<T>(key: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `${key}: the certificate cannot be used: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function newKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/**
 * Made once by whichever worker comes first: written beside and linked into place, so that nobody reads half a file
 * and all workers end up with the same one.
 */
async function ownFile(dataDir: string, name: string, make: () => Promise<string>): Promise<string> {
  const path = join(dataDir, name);
  const existing = await readFile(path, 'utf8').catch(() => undefined);
  if (existing !== undefined) return existing;
  await mkdir(dataDir, { recursive: true });
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  // On the disk before it has its name: an empty one, after a power cut, would keep proxies from starting.
  await writeFile(draft, await make(), { mode: 0o600, flush: true });
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft, { force: true });
  return readFile(path, 'utf8');
}
