import { AppError } from '../core/errors.ts';
import type { Flavor } from './flavor.ts';
import type { RunningServer } from './running-server.ts';

/** A server that the user named by DSN. It is not ours: stopping or killing it is refused, disposing leaves it. */
export function givenServer(dsn: string, flavor: Flavor): RunningServer {
  const url = new URL(dsn);
  const refuse = async (): Promise<void> => {
    throw new AppError('SERVER_NOT_STARTED', 'a server that was given by DSN is not ours to stop or start');
  };
  return {
    flavor,
    origin: 'dsn',
    host: url.hostname,
    port: url.port === '' ? 3306 : Number(url.port),
    socket: null,
    datadir: null,
    errorLog: null,
    pid: null,
    adminUser: decodeURIComponent(url.username),
    adminPassword: decodeURIComponent(url.password),
    dsn,
    stop: refuse,
    kill: refuse,
    start: refuse,
    restart: refuse,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
