import path from 'node:path';
import { debianRoot, debianWrapper } from '../../servers/debian-root.ts';
import { freePort } from '../../servers/free-port.ts';
import { programVersion } from './program-version.ts';
import { startPeer, type ProxyPeer } from './peer-process.ts';

const LIBRARIES = ['usr/lib/mysql-router', 'usr/lib/mysqlrouter/plugin'];
const PACKAGES = { suite: 'sid', packages: ['mysql-router'] };

/**
 * MySQL Router from Debian's packages; null where they cannot be had. Its own defaults: as many I/O threads as cores,
 * the classic protocol, no TLS on either side where the client brings none (PASSTHROUGH).
 */
export async function startMysqlRouter(server: { host: string; port: number }): Promise<ProxyPeer | null> {
  const installed = await install();
  if (installed === null) return null;
  const { root, program } = installed;
  const version = await programVersion(program, ['--version'], /Ver (\S+)/);
  if (version === null) return null;
  const port = await freePort();
  const configuration = (folder: string) => `[DEFAULT]
logging_folder=${folder}
runtime_folder=${folder}
data_folder=${folder}
config_folder=${folder}
plugin_folder=${path.join(root, 'usr/lib/mysqlrouter/plugin')}
[logger]
level=WARNING
[routing:bench]
bind_address=127.0.0.1
bind_port=${port}
destinations=${server.host}:${server.port}
routing_strategy=first-available
protocol=classic
max_connections=8000
`;
  return startPeer({ program, version, port, configuration, args: (file) => ['-c', file] });
}

async function install(): Promise<{ root: string; program: string } | null> {
  try {
    const root = await debianRoot('mysql-router', PACKAGES);
    return { root, program: await debianWrapper(root, 'usr/bin/mysqlrouter', LIBRARIES) };
  } catch {
    return null;
  }
}
