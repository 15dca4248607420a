import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { AppError } from './errors.ts';

/** Credentials at rest: AES-256-GCM, `v1.<iv>.<tag>.<ciphertext>` in base64url. */
export class SecretBox {
  readonly #key: Buffer;

  constructor(key: Buffer, name = 'the secret key') {
    if (key.length !== 32) throw new AppError('CONFIG_INVALID', `${name} must have 64 hexadecimal digits (32 bytes)`);
    this.#key = key;
  }

  /** The key from SWITCHYARD_KEY (hexadecimal), else from `keyFile`, made with mode 0600 where there is none. */
  static load(keyFile: string, environment: NodeJS.ProcessEnv = process.env): SecretBox {
    const fromEnvironment = environment['SWITCHYARD_KEY'];
    if (fromEnvironment !== undefined && fromEnvironment !== '')
      return new SecretBox(Buffer.from(fromEnvironment, 'hex'), 'SWITCHYARD_KEY');
    return new SecretBox(Buffer.from(keyText(keyFile).trim(), 'hex'), keyFile);
  }

  seal(plain: unknown): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv);
    const body = Buffer.concat([cipher.update(JSON.stringify(plain), 'utf8'), cipher.final()]);
    return ['v1', iv, cipher.getAuthTag(), body]
      .map((part) => (typeof part === 'string' ? part : part.toString('base64url')))
      .join('.');
  }

  /** The sealed value. Throws CONFIG_INVALID when the key is another than the one it was sealed with. */
  open(sealed: string): unknown {
    const [version, iv = '', tag = '', body = ''] = sealed.split('.');
    try {
      if (version !== 'v1') throw new Error(`unknown version ${version}`);
      const decipher = createDecipheriv('aes-256-gcm', this.#key, Buffer.from(iv, 'base64url'));
      decipher.setAuthTag(Buffer.from(tag, 'base64url'));
      return JSON.parse(
        Buffer.concat([decipher.update(Buffer.from(body, 'base64url')), decipher.final()]).toString('utf8'),
      );
    } catch (cause) {
      throw new AppError(
        'CONFIG_INVALID',
        'stored credentials cannot be decrypted: SWITCHYARD_KEY or the key file is not the one they were stored with',
        { cause },
      );
    }
  }
}

/**
 * Made where there is none: on the disk before it has its name, since what is sealed with it is, too. Half of it, after a crash or
 * on a full disk, would be taken for a wrong one from then on.
 */
function keyText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const draft = `${file}.${process.pid}`;
  try {
    writeFileSync(draft, randomBytes(32).toString('hex'), { mode: 0o600, flush: true });
    linkSync(draft, file);
  } catch (error) {
    // Somebody else was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  const folder = openSync(dirname(file), 'r');
  fsyncSync(folder);
  closeSync(folder);
  return readFileSync(file, 'utf8');
}
