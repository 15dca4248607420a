import { readFile } from 'node:fs/promises';

/** A client, its server, and the server that it is about to move to. */
const DESCRIPTORS_PER_SESSION = 3;
/** Listeners, the control socket, logins under way, Node's own. */
const DESCRIPTORS_RESERVED = 100;

/**
 * How many clients one process can serve with the file descriptors that the system allows it; null where that cannot be
 * told. Over it accept() fails silently, and the sessions of a move would be lost: better to refuse the client.
 */
export async function sessionsWithinDescriptorLimit(): Promise<number | null> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  return sessionsWithin(limits);
}

/** `limits` is the text of /proc/self/limits. */
export function sessionsWithin(limits: string): number | null {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (soft === undefined) return null;
  return Math.max(1, Math.floor((Number(soft) - DESCRIPTORS_RESERVED) / DESCRIPTORS_PER_SESSION));
}
