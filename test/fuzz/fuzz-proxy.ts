import { ProxyHarness } from '../support/proxy-harness.ts';
import { SeededRandom } from '../property/seeded-random.ts';
import { FakeServer } from './fake-server.ts';
import { runHonestSession } from './honest-session.ts';
import { runHostileSession } from './hostile-session.ts';

export interface FuzzOptions {
  seed: number;
  /** Commands of all sessions together. */
  cases: number;
  sessionsAtOnce?: number;
  onProgress?: (cases: number) => void;
}

export interface FuzzReport {
  cases: number;
  honestSessions: number;
  hostileSessions: number;
  /** Sessions and connections that are left when every client has gone. */
  sessionsLeft: number;
  connectionsLeft: number;
}

const COMMANDS_A_SESSION = 60;
const HOSTILE_SHARE = 0.4;

/**
 * Honest and hostile sessions at once over one proxy worker, until `cases` commands were sent. Throws at the first wrong
 * answer or hanging session, with the seed. A seed decides what is sent; how packets fall together in time it does not.
 */
export async function fuzzProxy({ seed, cases, sessionsAtOnce = 8, onProgress }: FuzzOptions): Promise<FuzzReport> {
  await using server = await FakeServer.start();
  const address = { host: '127.0.0.1', port: server.port };
  await using proxy = await ProxyHarness.start({ source: address, target: address, tlsMode: 'disabled' });
  const report = { cases: 0, honestSessions: 0, hostileSessions: 0, sessionsLeft: 0, connectionsLeft: 0 };
  const source = new SeededRandom(seed);
  let number = 0;
  const worker = async () => {
    while (report.cases < cases) {
      const random = source.fork();
      const isHostile = random.chance(HOSTILE_SHARE);
      number += 1;
      const session = { server, port: proxy.port, random, user: `${isHostile ? 'x' : 'h'}${number}` };
      const commands = isHostile
        ? await runHostileSession(session)
        : await runHonestSession(session, COMMANDS_A_SESSION);
      report.cases += commands;
      report[isHostile ? 'hostileSessions' : 'honestSessions'] += 1;
      onProgress?.(report.cases);
    }
  };
  try {
    await Promise.all(Array.from({ length: sessionsAtOnce }, worker));
  } catch (error) {
    throw new Error(`seed ${seed}, after ${report.cases} cases: ${String(error)}`, { cause: error });
  }
  report.sessionsLeft = (await sessionsLeft(proxy)).length;
  report.connectionsLeft = server.connections;
  return report;
}

/** Goodbyes may be on their way: asked until there is none, or for a while. */
async function sessionsLeft(proxy: ProxyHarness) {
  const deadlineMs = performance.now() + 5000;
  for (;;) {
    const sessions = await proxy.sessions();
    if (sessions.length === 0 || performance.now() > deadlineMs) return sessions;
    await new Promise(setImmediate);
  }
}
