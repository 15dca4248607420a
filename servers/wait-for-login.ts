import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';

/**
 * Resolves true once a server takes the login of `dsn`, the only sign of readiness that all versions and images share;
 * false when it refuses the login, when `isAlive` says that it has ended, or after `deadlineMs`.
 */
export async function waitForLogin(
  dsn: string,
  { isAlive = () => true, deadlineMs = 60_000 }: { isAlive?: () => boolean; deadlineMs?: number } = {},
): Promise<boolean> {
  const deadline = performance.now() + deadlineMs;
  while (isAlive() && performance.now() < deadline) {
    try {
      const connection = await mysql.createConnection({ uri: dsn, connectTimeout: 2000 });
      await connection.end();
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ER_ACCESS_DENIED_ERROR') return false;
      await delay(30);
    }
  }
  return false;
}
