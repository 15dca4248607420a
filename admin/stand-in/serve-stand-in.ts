import { startAdminServer } from '../server.ts';
import { StandInBackend } from './stand-in-backend.ts';
import { play } from './stand-in-play.ts';

/** For working on dashboard and CLI by hand: `node admin/stand-in/serve-stand-in.ts PORT [TOKEN]`. */
const STEP_MS = 400;

const [port = '6080', token] = process.argv.slice(2);
const backend = new StandInBackend();
const stop = new AbortController();
const { address } = await startAdminServer({
  listen: { host: '127.0.0.1', port: Number(port) },
  token,
  backend,
  signal: stop.signal,
  onError: console.error,
});
console.log(`http://${address.host}:${address.port}`);

backend.sessionViews = Array.from({ length: 14 }, (_, at) => ({
  sessionId: `p${(at % 2) + 1}-${1000 + at}`,
  instanceId: `proxy-${(at % 2) + 1}`,
  user: at % 5 === 0 ? 'reports' : 'shop_app',
  address: `10.0.3.${20 + at}:${40_000 + at * 7}`,
  database: 'shop',
  role: at % 5 === 0 ? 'replica' : 'primary',
  side: 'source',
  state: at % 3 === 0 ? 'busy' : 'idle',
  inTransaction: at % 6 === 0,
  transactionAgeMs: at % 6 === 0 ? 40_000 * (at + 1) : null,
  pins: at === 6 ? ['temporary table'] : [],
  bytesIn: 120_000 * at,
  bytesOut: 2_400_000 * at,
  ageMs: 3_600_000 - at * 100_000,
}));

const timer = setInterval(() => play(backend, STEP_MS), STEP_MS);
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());
stop.signal.addEventListener('abort', () => clearInterval(timer));
