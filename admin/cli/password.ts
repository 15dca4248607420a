import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { AppError } from '../../core/errors.ts';

export interface PasswordOptions {
  file: string | undefined;
  environmentName: string | undefined;
}

/**
 * A password from where it cannot be seen: a file, a variable of the environment, a prompt. Never from an argument,
 * which `ps` and the shell's history show. Undefined where none was given and nobody can be asked.
 */
export async function readPassword(
  { file, environmentName }: PasswordOptions,
  question: string,
): Promise<string | undefined> {
  if (file !== undefined) return readTextFile(file, 'password file').replace(/\r?\n$/, '');
  if (environmentName !== undefined) {
    const value = process.env[environmentName];
    if (value === undefined)
      throw new AppError('REQUEST_INVALID', `the environment has no variable ${environmentName}`);
    return value;
  }
  return process.stdin.isTTY && process.stderr.isTTY ? await prompt(question) : undefined;
}

export function readTextFile(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new AppError('REQUEST_INVALID', `cannot read the ${what} ${file} (${code})`, { cause });
  }
}

async function prompt(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  // Only now: the terminal echoes what is typed until the interface has taken it over.
  process.stderr.write(question);
  const interrupted = new AbortController();
  terminal.once('SIGINT', () => interrupted.abort());
  try {
    return await terminal.question('', { signal: interrupted.signal });
  } catch (cause) {
    throw new AppError('REQUEST_INVALID', 'no password was given', { cause });
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
