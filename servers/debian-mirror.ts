import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../core/errors.ts';

const APT_FOLDER = '/etc/apt';

/**
 * The Debian mirror that this machine itself uses, from its apt sources: whatever reaches packages here also reaches
 * ours, and no host is written down in the project. SWITCHYARD_DEBIAN_MIRROR overrides it.
 */
export async function debianMirror(): Promise<string> {
  const given = process.env['SWITCHYARD_DEBIAN_MIRROR'];
  if (given !== undefined && given !== '') return given;
  for (const file of await sourceFiles()) {
    const uri = mirrorIn(await readFile(file, 'utf8'));
    if (uri !== undefined) return uri;
  }
  throw new AppError(
    'SERVER_NOT_STARTED',
    `no Debian mirror in ${APT_FOLDER}: install mysqld or Docker, or set SWITCHYARD_DEBIAN_MIRROR`,
  );
}

/** The first mirror of Debian's main archive named in one apt source file, of either format. */
export function mirrorIn(text: string): string | undefined {
  const uris = [...text.matchAll(/^URIs:\s*(\S+)/gm), ...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/gm)].map(
    (match) => match[1] ?? '',
  );
  // The archive itself ends in /debian; security updates and other people's repositories do not.
  return uris.find((uri) => /\/debian\/?$/.test(uri));
}

async function sourceFiles(): Promise<string[]> {
  const parts = path.join(APT_FOLDER, 'sources.list.d');
  const names = await readdir(parts).catch(() => []);
  const lists = names.filter((name) => /\.(sources|list)$/.test(name)).map((name) => path.join(parts, name));
  const main = path.join(APT_FOLDER, 'sources.list');
  const hasMain = await readFile(main).then(
    () => true,
    () => false,
  );
  return hasMain ? [main, ...lists] : lists;
}
