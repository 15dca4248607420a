import mysql from 'mysql2/promise';
import type { SysbenchTarget } from './sysbench.ts';
import { residentBytes, settledResidentBytes } from './resident-memory.ts';

/** Logins that go on at a time: a fleet of applications that connects, not an attack. */
const CONCURRENT_LOGINS = 16;
const SETTLE_MS = 12_000;

export interface IdleFigures {
  sessions: number;
  bytesPerSession: number;
  beforeBytes: number;
  afterBytes: number;
  /** Logins a second, over all. */
  loginsPerSecond: number;
}

/**
 * What one logged-in session that does nothing costs the proxy: how much its resident memory grows, over their number.
 * The first tenth comes before the first look, since code and pools grow with the first sessions only.
 */
export async function measureIdleSessions(
  target: SysbenchTarget,
  { sessions, pids, useTls = false }: { sessions: number; pids: readonly number[]; useTls?: boolean },
): Promise<IdleFigures> {
  const open: mysql.Connection[] = [];
  try {
    const { port, account, database } = target;
    const ssl = useTls ? { ssl: { rejectUnauthorized: false } } : {};
    const options = { host: '127.0.0.1', port, ...account, database, ...ssl };
    await openSessions(options, open, Math.ceil(sessions / 10));
    const beforeBytes = await settledResidentBytes(pids, { withinMs: SETTLE_MS });
    const startedAt = performance.now();
    await openSessions(options, open, sessions);
    const seconds = (performance.now() - startedAt) / 1000;
    const afterBytes = await settledResidentBytes(pids, { withinMs: SETTLE_MS });
    return {
      sessions,
      bytesPerSession: Math.round((afterBytes - beforeBytes) / sessions),
      beforeBytes,
      afterBytes: await residentBytes(pids),
      loginsPerSecond: Math.round(sessions / seconds),
    };
  } finally {
    for (const connection of open) connection.destroy();
  }
}

async function openSessions(options: mysql.ConnectionOptions, open: mysql.Connection[], count: number): Promise<void> {
  let left = count;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      open.push(await mysql.createConnection(options));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_LOGINS }, one));
}
