import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { FLAVORS, parseFlavor } from './flavor.ts';
import { startServer } from './start-server.ts';

/** `node servers/run.ts mysql-9.7 [--port N] [--server-id N] [-- --option …]`: one server until Ctrl-C. */
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { port: { type: 'string' }, 'server-id': { type: 'string' }, role: { type: 'string' } },
});
const [name = 'mysql-9.7', ...options] = positionals;
const flavor = parseFlavor(name);
if (flavor === undefined) {
  console.error(`unknown server ${name}; there are ${FLAVORS.join(', ')}`);
  process.exit(2);
}

await using server = await startServer({
  flavor,
  role: values.role === 'target' ? 'target' : 'source',
  options,
  ...(values.port === undefined ? {} : { port: Number(values.port) }),
  ...(values['server-id'] === undefined ? {} : { serverId: Number(values['server-id']) }),
});
console.log(server.dsn);
if (server.datadir !== null) console.error(`pid ${server.pid}, data in ${server.datadir}, socket ${server.socket}`);

const awake = setInterval(() => undefined, 60_000);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
clearInterval(awake);
