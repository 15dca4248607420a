import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What a program says of itself; null where it is not there. `pattern` has the version as its first group. */
export async function programVersion(
  program: string,
  args: readonly string[],
  pattern: RegExp,
): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(program, args);
    return pattern.exec(stdout)?.[1] ?? null;
  } catch {
    return null;
  }
}
