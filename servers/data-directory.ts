import { access, cp, mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, withCacheLock } from './cache-folder.ts';
import type { Installation } from './installation.ts';
import { runCommand } from './run-command.ts';
import { fileOptions, runAsOptions } from './file-options.ts';

export const ADMIN_USER = 'root';
export const ADMIN_PASSWORD = 'root';

/** Initialising takes seconds, copying what was initialised a moment: so it is done once per installation. */
export async function copyDataDirectory(installation: Installation, datadir: string): Promise<void> {
  const template = path.join(cacheFolder(), `data-${installation.name}`);
  if (!(await exists(template))) {
    await withCacheLock(`data-${installation.name}`, async () => {
      if (await exists(template)) return;
      const fresh = `${template}.fresh`;
      await rm(fresh, { recursive: true, force: true });
      await (installation.family === 'mysql' ? initialiseMysql : initialiseMariadb)(installation, fresh);
      await rename(fresh, template);
    });
  }
  await cp(template, datadir, { recursive: true });
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

/** What mariadb-install-db does, without its search for files: the scripts fed to a server in bootstrap mode. */
async function initialiseMariadb(installation: Installation, datadir: string): Promise<void> {
  const scripts = path.join(installation.root ?? '/', 'usr', 'share', await mariadbFolder(installation));
  const names = [
    'mariadb_system_tables.sql',
    'mariadb_performance_tables.sql',
    'mariadb_system_tables_data.sql',
    'fill_help_tables.sql',
    'maria_add_gis_sp_bootstrap.sql',
    'mariadb_sys_schema.sql',
  ];
  const parts = await Promise.all(names.map((name) => readFile(path.join(scripts, name), 'utf8').catch(() => '')));
  await mkdir(path.join(datadir, 'mysql'), { recursive: true });
  const sql = ['CREATE DATABASE IF NOT EXISTS mysql;', 'USE mysql;', "SET @auth_root_socket=NULL, @skip_auth_anonymous='#';"];
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
    [...sql, ...parts, 'FLUSH PRIVILEGES;', ADMIN_ACCOUNT].join('\n'),
  );
}

async function mariadbFolder(installation: Installation): Promise<string> {
  const share = path.join(installation.root ?? '/', 'usr', 'share');
  return (await exists(path.join(share, 'mariadb', 'mariadb_system_tables.sql'))) ? 'mariadb' : 'mysql';
}

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
