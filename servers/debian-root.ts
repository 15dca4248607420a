import { access, chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../core/errors.ts';
import { cacheFolder, withCacheLock } from './cache-folder.ts';
import { debianMirror } from './debian-mirror.ts';
import { runCommand } from './run-command.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const LOADERS = [
  'usr/lib64/ld-linux-x86-64.so.2',
  'lib64/ld-linux-x86-64.so.2',
  'usr/lib/ld-linux-aarch64.so.1',
  'lib/ld-linux-aarch64.so.1',
];
const LIBRARY_FOLDERS = [
  'usr/lib/x86_64-linux-gnu',
  'lib/x86_64-linux-gnu',
  'usr/lib/aarch64-linux-gnu',
  'lib/aarch64-linux-gnu',
  'usr/lib',
  'lib',
];

export interface DebianPackages {
  suite: string;
  packages: readonly string[];
}

/**
 * A folder with Debian's packages and all that they depend on, downloaded and unpacked once per machine. Nothing is
 * installed: `wrapper` runs a program of it through its own loader and libraries.
 */
export async function debianRoot(name: string, { suite, packages }: DebianPackages): Promise<string> {
  const root = path.join(cacheFolder(), name);
  if (await exists(root)) return root;
  return withCacheLock(name, async () => {
    if (await exists(root)) return root;
    const unpacked = `${root}.unpacking`;
    await rm(unpacked, { recursive: true, force: true });
    const archives = await download(suite, packages);
    await mkdir(unpacked, { recursive: true });
    const files = (await readdir(archives)).filter((file) => file.endsWith('.deb'));
    for (const file of files) await runCommand('dpkg-deb', ['-x', path.join(archives, file), unpacked]);
    await rm(archives, { recursive: true, force: true });
    // The rename makes the root appear whole or not at all.
    await rename(unpacked, root);
    return root;
  });
}

/** An executable script that runs `program` (relative to the root) with the root's own libraries; `folders` holds more. */
export async function debianWrapper(root: string, program: string, folders: readonly string[] = []): Promise<string> {
  const wrapper = path.join(root, 'wrapper', path.basename(program));
  if (await exists(wrapper)) return wrapper;
  if (!(await exists(path.join(root, program))))
    throw new AppError('SERVER_NOT_STARTED', `there is no ${program} in ${root}`);
  const loaders = LOADERS.map((file) => path.join(root, file));
  const loader = await firstExisting(loaders);
  if (loader === undefined) throw new AppError('SERVER_NOT_STARTED', `none of these is there: ${loaders.join(', ')}`);
  const libraries = [...folders, ...LIBRARY_FOLDERS].map((folder) => path.join(root, folder)).join(':');
  // Else MariaDB's clients look for the ways of logging in, caching_sha2_password among them, where the machine has its own.
  const plugins = await firstExisting(LIBRARY_FOLDERS.map((folder) => path.join(root, folder, 'libmariadb3/plugin')));
  const environment = plugins === undefined ? '' : `export MARIADB_PLUGIN_DIR='${plugins}'\n`;
  const script = `#!/bin/sh\n${environment}exec '${loader}' --library-path '${libraries}' '${path.join(root, program)}' "$@"\n`;
  await mkdir(path.dirname(wrapper), { recursive: true });
  const temporary = `${wrapper}.${process.pid}`;
  await writeFile(temporary, script);
  await chmod(temporary, 0o755);
  await rename(temporary, wrapper);
  return wrapper;
}

/** Fetches packages with apt, with lists, status and archives of its own, so that the machine's are left alone. */
async function download(suite: string, packages: readonly string[]): Promise<string> {
  const folder = path.join(cacheFolder(), `apt-${suite}`);
  const archives = path.join(folder, `archives-${packages[0] ?? 'none'}`);
  await mkdir(path.join(folder, 'lists', 'partial'), { recursive: true });
  await mkdir(path.join(archives, 'partial'), { recursive: true });
  await writeFile(path.join(folder, 'status'), '');
  await writeFile(
    path.join(folder, 'sources.list'),
    `deb [signed-by=${KEYRING}] ${await debianMirror()} ${suite} main\n`,
  );
  const settings = {
    'Dir::Etc::sourcelist': path.join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::Lists': path.join(folder, 'lists'),
    'Dir::State::status': path.join(folder, 'status'),
    'Dir::Cache': folder,
    'Dir::Cache::archives': archives,
    // apt's own user may not write below a home directory.
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
    'Acquire::Retries': '3',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await withCacheLock(`apt-${suite}`, async () => {
    await runCommand('apt-get', [...options, 'update']);
    await runCommand('apt-get', [...options, '-y', '--download-only', 'install', ...packages]);
  });
  return archives;
}

async function firstExisting(candidates: readonly string[]): Promise<string | undefined> {
  for (const candidate of candidates) if (await exists(candidate)) return candidate;
  return undefined;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
