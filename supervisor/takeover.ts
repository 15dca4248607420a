import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { Logger } from 'pino';
import { abortable } from '../core/abort.ts';
import { Peer, type Handlers } from '../core/control/peer.ts';
import type { SupervisorMethods } from '../core/control/protocol.ts';
import { AppError } from '../core/errors.ts';
import type { Fleet } from './fleet.ts';

/** The proxies of a former supervisor come back within the back-off of their control client (core/control/client.ts). */
export const RETURN_MS = 5000;

/**
 * Makes the supervisor that listens on `socketPath`, if one does, leave everything but its proxies. Returns their ids once
 * its socket is closed: data directory and admin address are free then. Rejects with what it says against it.
 */
export async function takeOver(socketPath: string): Promise<string[]> {
  if (!existsSync(socketPath)) return [];
  const socket = connect({ path: socketPath });
  const reachable = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  // Left behind by one that died.
  if (!reachable) return [];
  const gone = () =>
    new AppError('STORE_UNAVAILABLE', 'the running supervisor ended before it handed over: start again');
  const supervisor = new Peer<SupervisorMethods, never>(socket, {} as Handlers<never>, gone);
  try {
    const { proxies } = await supervisor.call('handOver', undefined);
    await supervisor.closed;
    return proxies;
  } finally {
    supervisor.close();
  }
}

/** Waits until the proxies of the former supervisor joined; one that does not in time is retired when it does. */
export async function untilReturned(fleet: Fleet, proxies: readonly string[]): Promise<void> {
  const limit = AbortSignal.timeout(RETURN_MS);
  const isThere = () => fleet.retired().length >= proxies.length;
  await fleet.until(isThere, limit).catch(() => {});
}

/** Once `count` proxies listen in their place, lets the retired ones end one after the other, until there are none. */
export async function retireInTurn(
  fleet: Fleet,
  { count, drainTimeoutMs, signal, log }: { count: number; drainTimeoutMs: number; signal: AbortSignal; log: Logger },
): Promise<void> {
  await fleet.until(() => fleet.listening >= count, signal);
  for (;;) {
    const [retired] = fleet.retired();
    if (retired === undefined) {
      log.info('the former proxies have ended');
      // One that was not back yet ends as soon as it is.
      await fleet.until(() => fleet.retired().length > 0, signal);
      continue;
    }
    await retired.call('drain', { timeoutMs: drainTimeoutMs }).catch(() => {});
    await abortable(retired.closed, signal);
  }
}
