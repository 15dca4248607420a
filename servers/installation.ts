import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../core/errors.ts';
import { debianRoot, debianWrapper } from './debian-root.ts';
import { FLAVOR_SPECS, type Flavor, type FlavorSpec } from './flavor.ts';

/** A server program that can be run here. */
export interface Installation {
  /** Names its template of an initialised data directory. */
  name: string;
  family: FlavorSpec['family'];
  daemon: string;
  /** Where the daemon's own files are; null: it knows by itself, being installed. */
  root: string | null;
  /** The path of a program that came with the daemon: `mysql`, `mysqldump`. */
  program(name: string): Promise<string>;
}

/** The daemon on the PATH when its version is the one asked for, else Debian's packages in the cache folder. */
export async function findInstallation(flavor: Flavor): Promise<Installation> {
  const spec = FLAVOR_SPECS[flavor];
  const onPath = await installationOnPath(flavor, spec);
  if (onPath !== undefined) return onPath;
  if (spec.debian === null) {
    throw new AppError('SERVER_NOT_STARTED', `${flavor} needs Docker or a mysqld ${spec.version} on the PATH`);
  }
  const root = await debianRoot(flavor, spec.debian);
  const daemon = await debianWrapper(root, `usr/sbin/${daemonName(spec)}`);
  return { name: flavor, family: spec.family, daemon, root, program: (name) => debianWrapper(root, `usr/bin/${name}`) };
}

/** The path of a client program of MySQL or MariaDB: `mysql`, `mysqldump`, `mysqlbinlog`, `mariadb-dump`. */
export async function serverBinary(name: string, flavor: Flavor = 'mysql-9.7'): Promise<string> {
  return (await findInstallation(flavor)).program(name);
}

async function installationOnPath(flavor: Flavor, spec: FlavorSpec): Promise<Installation | undefined> {
  const daemon = await onPath(daemonName(spec));
  if (daemon === undefined) return undefined;
  const { stdout } = await promisify(execFile)(daemon, ['--no-defaults', '--version']).catch(() => ({ stdout: '' }));
  const isMariadb = stdout.includes('MariaDB');
  if (isMariadb !== (spec.family === 'mariadb') || !stdout.includes(`Ver ${spec.version}.`)) return undefined;
  const program = async (name: string) => {
    const found = await onPath(name);
    if (found === undefined) throw new AppError('SERVER_NOT_STARTED', `there is no ${name} on the PATH`);
    return found;
  };
  return { name: `path-${flavor}`, family: spec.family, daemon, root: null, program };
}

function daemonName(spec: FlavorSpec): string {
  return spec.family === 'mysql' ? 'mysqld' : 'mariadbd';
}

async function onPath(name: string): Promise<string | undefined> {
  // Servers are often installed in sbin, which the PATH of a plain user lacks.
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  for (const folder of folders) {
    const file = path.join(folder, name);
    const executable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== '' && executable) return file;
  }
  return undefined;
}
