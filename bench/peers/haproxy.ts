import { programVersion } from './program-version.ts';
import { startPeer, type ProxyPeer } from './peer-process.ts';
import { freePort } from '../../servers/free-port.ts';

/**
 * HAProxy as a TCP proxy, from the PATH; null where there is none. Threads are left at its default (one a core). The
 * timeouts are the ones a database needs; nothing else is set.
 */
export async function startHaproxy(server: { host: string; port: number }): Promise<ProxyPeer | null> {
  const program = 'haproxy';
  const version = await programVersion(program, ['-v'], /version (\S+)/);
  if (version === null) return null;
  const port = await freePort();
  const configuration = `global
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend clients
  bind 127.0.0.1:${port}
  default_backend server
backend server
  server one ${server.host}:${server.port}
`;
  return startPeer({ program, version, port, configuration: () => configuration, args: (file) => ['-db', '-f', file] });
}
