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
  const { GenericContainer } = await import('testcontainers');
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
      .withStartupTimeout(120_000)
      .start();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hint = 'SWITCHYARD_SERVERS=process leaves Docker out';
    throw new AppError('SERVER_NOT_STARTED', `${dockerImage} could not be started: ${reason} (${hint})`, { cause });
  }
  const server = dockerServer(container, { flavor, host: container.getHost(), port: hostPort });
  await assertLogin(server, container);
  return server;
}

function dockerServer(
  container: StartedTestContainer,
  { flavor, host, port }: Pick<RunningServer, 'flavor' | 'host' | 'port'>,
): RunningServer {
  const restart = async () => {
    await container.restart();
    await assertLogin(server, container);
  };
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
    stop: async () => void (await container.stop({ remove: false, removeVolumes: false })),
    kill: async () => void (await container.stop({ remove: false, removeVolumes: false, timeout: 0 })),
    start: restart,
    restart,
    [Symbol.asyncDispose]: async () => void (await container.stop()),
  };
  return server;
}

/** While an image initialises its data, its server does not listen on TCP: a login means that it is done with that. */
async function assertLogin({ dsn, flavor }: RunningServer, container: StartedTestContainer): Promise<void> {
  if (await waitForLogin(dsn, { deadlineMs: 120_000 })) return;
  await container.stop();
  throw new AppError('SERVER_NOT_STARTED', `the container of ${flavor} takes no login`);
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
