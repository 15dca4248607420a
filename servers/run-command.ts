import { spawn } from 'node:child_process';
import { AppError } from '../core/errors.ts';

/** Runs a program to its end. Rejects with SERVER_NOT_STARTED and the end of its output when it fails. */
export async function runCommand(command: string, args: readonly string[], stdin = ''): Promise<string> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject);
  child.on('close', resolve);
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  // A program that does not read its input to the end closes the pipe; its exit code tells what matters.
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  let code: number | null;
  try {
    code = await promise;
  } catch (cause) {
    throw new AppError('SERVER_NOT_STARTED', `${command} cannot be run`, { cause });
  }
  if (code === 0) return output;
  throw new AppError('SERVER_NOT_STARTED', `${command} ended with ${code}: ${output.slice(-2000)}`);
}
