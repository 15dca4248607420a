import { createHash } from 'node:crypto';

/** What stands in every answer to a session. A changed byte makes no token of another session of it. */
export function tokenOf(user: string): string {
  return `<${user}:${createHash('sha256').update(user).digest('hex').slice(0, 8)}>`;
}

/** The whole tokens in what a client received. */
export function tokensIn(bytes: Buffer): string[] {
  const found = bytes.toString('latin1').matchAll(/<(\w+):\w{8}>/g);
  return [...found].filter(([token, user = '']) => token === tokenOf(user)).map(([token]) => token);
}
