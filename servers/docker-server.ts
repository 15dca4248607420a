import { request } from 'node:http';
import type { StartedTestContainer } from 'testcontainers';
import { AppError } from '../core/errors.ts';
import { ADMIN_PASSWORD, ADMIN_USER } from './data-directory.ts';
import { FLAVOR_SPECS } from './flavor.ts';
import { freePort } from './free-port.ts';
import type { RunningServer, StartOptions } from './running-server.ts';
import { serverOptions } from './server-options.ts';
import { waitForLogin } from './wait-for-login.ts';

const DOCKER_SOCKET = '/var/run/docker.sock';
const CONTAINER_PORT = 3306;

let answer: Promise<boolean> | undefined;

/** Whether a Docker engine answers; asked once per process. DOCKER_HOST is taken at its word. */
export async function dockerAnswers(): Promise<boolean> {
  answer ??= process.env['DOCKER_HOST'] === undefined ? ping() : Promise.resolve(true);
  return answer;
}

/** An official image of the server, started through testcontainers, which also removes it when this process dies. */
export async function startDockerServer({
  flavor,
  options = [],
  serverId = 1,
  port,
}: Omit<StartOptions, 'port'> & { port: number | undefined }): Promise<RunningServer> {
  // Imported late: it is large, and most machines of developers and CI come without Docker.
  const { GenericContainer, Wait } = await import('testcontainers');
  const { family, dockerImage } = FLAVOR_SPECS[flavor];
  // Fixed, so that the address stays the same over a restart.
  const hostPort = port ?? (await freePort());
  const variable = family === 'mysql' ? 'MYSQL' : 'MARIADB';
  let container: StartedTestContainer;
  try {
    container = await new GenericContainer(dockerImage)
      .withEnvironment({ [`${variable}_ROOT_PASSWORD`]: ADMIN_PASSWORD, [`${variable}_ROOT_HOST`]: '%' })
      .withExposedPorts({ container: CONTAINER_PORT, host: hostPort })
      .withCommand([...serverOptions(family, { serverId, port: CONTAINER_PORT }), ...options])
      // Any sign of life: what is waited for is a login, below. The default would look for a shell in the image.
      .withWaitStrategy(Wait.forLogMessage(/./))
      .withStartupTimeout(120_000)
      .start();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('SERVER_NOT_STARTED', `${dockerImage} could not be started: ${reason}`, { cause });
  }
  const server = await dockerServer(container, { flavor, host: hostOf(container), port: hostPort });
  try {
    await assertLogin(server);
    return server;
  } catch (error) {
    await container.stop();
    throw error;
  }
}

async function dockerServer(
  container: StartedTestContainer,
  { flavor, host, port }: Pick<RunningServer, 'flavor' | 'host' | 'port'>,
): Promise<RunningServer> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  // The engine itself, as testcontainers' own `stop` is meant for the end: it does nothing the second time.
  const engine = (await getContainerRuntimeClient()).container.getById(container.getId());
  const start = async () => {
    await engine.start();
    await assertLogin(server);
  };
  const stop = async () => void (await engine.stop());
  const server: RunningServer = {
    flavor,
    origin: 'docker',
    host,
    port,
    socket: null,
    datadir: null,
    errorLog: null,
    pid: null,
    adminUser: ADMIN_USER,
    adminPassword: ADMIN_PASSWORD,
    dsn: `mysql://${ADMIN_USER}:${ADMIN_PASSWORD}@${host}:${port}`,
    stop,
    kill: async () => void (await engine.kill()),
    start,
    restart: async () => {
      await stop();
      await start();
    },
    [Symbol.asyncDispose]: async () => void (await container.stop()),
  };
  return server;
}

/** While an image initialises its data, its server does not listen on TCP: a login means that it is done with that. */
async function assertLogin({ dsn, flavor }: RunningServer): Promise<void> {
  if (await waitForLogin(dsn, { deadlineMs: 120_000 })) return;
  throw new AppError('SERVER_NOT_STARTED', `the container of ${flavor} takes no login`);
}

/** By number: `localhost` may mean ::1 first, where a container's port is not always published. */
function hostOf(container: StartedTestContainer): string {
  const host = container.getHost();
  return host === 'localhost' ? '127.0.0.1' : host;
}

async function ping(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const call = request({ socketPath: DOCKER_SOCKET, path: '/_ping', timeout: 1000 }, (response) => {
    response.resume();
    resolve(response.statusCode === 200);
  });
  call.on('error', () => resolve(false));
  call.on('timeout', () => call.destroy());
  call.end();
  return promise;
}
