import { access, mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../core/errors.ts';
import { cacheFolder, withCacheLock } from './cache-folder.ts';
import type { Installation } from './installation.ts';
import { runCommand } from './run-command.ts';
import { fileOptions, runAsOptions } from './file-options.ts';

export const ADMIN_USER = 'root';
export const ADMIN_PASSWORD = 'root';

/** Initialising takes seconds, copying what was initialised a moment: so it is done once per installation. */
export async function copyDataDirectory(installation: Installation, datadir: string): Promise<void> {
  const template = path.join(cacheFolder(), `sparse-data-${installation.name}`);
  if (!(await exists(template))) {
    await withCacheLock(`data-${installation.name}`, async () => {
      if (await exists(template)) return;
      const fresh = `${template}.fresh`;
      await rm(fresh, { recursive: true, force: true });
      await (installation.family === 'mysql' ? initialiseMysql : initialiseMariadb)(installation, fresh);
      const sparse = `${template}.sparse`;
      await rm(sparse, { recursive: true, force: true });
      await copySparsely(fresh, sparse);
      await rename(sparse, template);
      await rm(fresh, { recursive: true });
    });
  }
  await copySparsely(template, datadir);
}

/**
 * Most of a fresh directory is zeros, undo and redo logs above all: as holes they are neither read nor written nor in the way of
 * anything else.
 */
async function copySparsely(from: string, to: string): Promise<void> {
  await runCommand('cp', ['--recursive', '--sparse=always', from, to]);
}

async function initialiseMysql(installation: Installation, datadir: string): Promise<void> {
  await withSqlFile(ADMIN_ACCOUNT, (file) =>
    runCommand(installation.daemon, [
      '--no-defaults',
      '--initialize-insecure',
      `--init-file=${file}`,
      `--datadir=${datadir}`,
      ...fileOptions(installation),
      ...runAsOptions(),
    ]),
  );
  // The server's UUID: every copy must make one of its own.
  await unlink(path.join(datadir, 'auto.cnf'));
}

/**
 * What mariadb-install-db does, without its search for files: the scripts fed to a server in bootstrap mode. Help texts
 * and the `sys` schema are left out, since nothing here reads them.
 */
async function initialiseMariadb(installation: Installation, datadir: string): Promise<void> {
  const scripts = await Promise.all(BOOTSTRAP_SCRIPTS.map((names) => readScript(installation, names)));
  await mkdir(path.join(datadir, 'mysql'), { recursive: true });
  const sql = [
    'CREATE DATABASE IF NOT EXISTS mysql;',
    'USE mysql;',
    "SET @auth_root_socket=NULL, @skip_auth_anonymous='#';",
  ];
  await runCommand(
    installation.daemon,
    [
      '--no-defaults',
      '--bootstrap',
      `--datadir=${datadir}`,
      '--default-storage-engine=InnoDB',
      ...fileOptions(installation),
      ...runAsOptions(),
    ],
    [...sql, ...scripts, 'FLUSH PRIVILEGES;', CLOSER_ACCOUNTS, ADMIN_ACCOUNT].join('\n'),
  );
}

/** Each by its names: MariaDB 11 renamed them. */
const BOOTSTRAP_SCRIPTS = [
  ['mariadb_system_tables.sql', 'mysql_system_tables.sql'],
  ['mariadb_performance_tables.sql', 'mysql_performance_tables.sql'],
  ['mariadb_system_tables_data.sql', 'mysql_system_tables_data.sql'],
  ['maria_add_gis_sp_bootstrap.sql'],
];

async function readScript({ root }: Installation, names: readonly string[]): Promise<string> {
  const folders = ['mariadb', 'mysql'].map((name) => path.join(root ?? '/', 'usr', 'share', name));
  const files = folders.flatMap((folder) => names.map((name) => path.join(folder, name)));
  for (const file of files) if (await exists(file)) return readFile(file, 'utf8');
  throw new AppError('SERVER_NOT_STARTED', `none of these is there: ${files.join(', ')}`);
}

/** MariaDB's first accounts name hosts, so that they would be chosen before ours, and have no password. */
const CLOSER_ACCOUNTS = "DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';";

/** One statement a line, as an init file wants it. */
const ADMIN_ACCOUNT = [
  `CREATE USER '${ADMIN_USER}'@'%' IDENTIFIED BY '${ADMIN_PASSWORD}';`,
  `GRANT ALL PRIVILEGES ON *.* TO '${ADMIN_USER}'@'%' WITH GRANT OPTION;`,
  '',
].join('\n');

async function withSqlFile<T>(sql: string, work: (file: string) => Promise<T>): Promise<T> {
  const file = path.join(cacheFolder(), `init-${process.pid}.sql`);
  await writeFile(file, sql);
  try {
    return await work(file);
  } finally {
    await unlink(file);
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
