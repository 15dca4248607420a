import { dockerAnswers, startDockerServer } from './docker-server.ts';
import { freePort } from './free-port.ts';
import { givenServer } from './given-server.ts';
import { findInstallation } from './installation.ts';
import type { RunningServer, StartOptions } from './running-server.ts';
import { ServerProcess } from './server-process.ts';
import { startTogether } from './start-together.ts';

let withoutDocker = process.env['SWITCHYARD_SERVERS'] === 'process';
let nextServerId = 1 + Math.floor(Math.random() * 1_000_000) * 100;

/**
 * Starts a database server, from the first of these that there is: the user's DSN (SWITCHYARD_TEST_SOURCE or _TARGET,
 * by `role`), a Docker engine that answers, the daemon on the PATH, Debian's packages. SWITCHYARD_SERVERS=process
 * leaves Docker out.
 */
export async function startServer({
  flavor,
  role = 'source',
  options = [],
  serverId,
  port,
}: StartOptions): Promise<RunningServer> {
  const given = process.env[role === 'source' ? 'SWITCHYARD_TEST_SOURCE' : 'SWITCHYARD_TEST_TARGET'];
  if (given !== undefined && given !== '') return givenServer(given, flavor);
  const id = serverId ?? nextServerId++;
  if (!withoutDocker && (await dockerAnswers())) {
    try {
      return await startDockerServer({ flavor, options, serverId: id, port });
    } catch (error) {
      // An engine that cannot pull the image is common behind a firewall; the other origins may well do.
      withoutDocker = true;
      console.error(`${error instanceof Error ? error.message : String(error)}; going on without Docker`);
    }
  }
  const installation = await findInstallation(flavor);
  const start = async () =>
    ServerProcess.start({ flavor, installation, options, serverId: id, port: port ?? (await freePort()) });
  if (port !== undefined) return start();
  // A free port may be taken by somebody else before the server listens on it.
  return start().catch(start);
}

/** A source and a target, started side by side. */
export async function startServerPair(
  source: StartOptions['flavor'] = 'mysql-9.7',
  target: StartOptions['flavor'] = 'mysql-9.7',
): Promise<{ source: RunningServer; target: RunningServer } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const [first, second] = await startTogether(
    stack,
    startServer({ flavor: source, role: 'source' }),
    startServer({ flavor: target, role: 'target' }),
  );
  const kept = stack.move();
  return { source: first, target: second, [Symbol.asyncDispose]: async () => kept.disposeAsync() };
}
