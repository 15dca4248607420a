import { spawn } from 'node:child_process';

/**
 * A shell that outlives this process just long enough to kill its server and remove the server's folder: it notices the
 * end of its input, which the kernel sees to however this process ends. (`setpriv --pdeathsig` exists on Linux only,
 * follows threads rather than processes, and leaves the folder.)
 */
const SCRIPT = `
pid=
while read -r word value; do
  case $word in
    pid) pid=$value ;;
    done) exit 0 ;;
  esac
done
[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
tries=0
while [ -d "$1" ] && [ $tries -lt 20 ]; do
  rm -rf "$1" 2>/dev/null
  tries=$((tries + 1))
  [ -d "$1" ] && sleep 0.1
done
`;

export interface Watchdog {
  /** Names the process to kill at the end; null: none runs now. */
  watch(pid: number | null): void;
  /** Sends the watchdog home: there is nothing left to guard. */
  dismiss(): void;
}

export function startWatchdog(folder: string): Watchdog {
  // Detached: a Ctrl-C in the terminal must not end the watchdog before its master.
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'watchdog', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.stdin.on('error', () => undefined);
  shell.unref();
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref();
  return {
    watch: (pid) => void shell.stdin.write(`pid ${pid ?? ''}\n`),
    dismiss: () => void shell.stdin.end('done\n'),
  };
}
