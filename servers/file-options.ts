import path from 'node:path';
import { existsSync } from 'node:fs';
import type { Installation } from './installation.ts';

/** Tells a server that runs from an unpacked root where its own files are; an installed one knows. */
export function fileOptions({ root, family }: Installation): string[] {
  if (root === null) return [];
  const usr = path.join(root, 'usr');
  const share = path.join(usr, 'share', existsSync(path.join(usr, 'share', family)) ? family : 'mysql');
  return [
    `--basedir=${usr}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${path.join(share, 'charsets')}`,
    ...(family === 'mysql' ? [] : [`--plugin-dir=${path.join(usr, 'lib', 'mysql', 'plugin')}`]),
  ];
}

/**
 * Servers refuse to run as root unless told to. Running as root is right here: a `mysql` user may not exist and may not
 * reach a cache below somebody's home directory, and the server listens on loopback only.
 */
export function runAsOptions(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}
