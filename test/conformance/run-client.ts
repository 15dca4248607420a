import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { ClientOutput, ClientTarget, CommandLine } from './client.ts';

const TIMEOUT_MS = 120_000;

/** Runs a program to its end; standard output and error together, as its user would see them. */
export async function runClient(line: CommandLine, target: ClientTarget): Promise<ClientOutput> {
  const child = spawn(
    line.command,
    line.args.map((arg) => fill(arg, target)),
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      env: {
        ...process.env,
        DB_HOST: target.host,
        DB_PORT: String(target.port),
        DB_USER: target.user,
        DB_PASSWORD: target.password,
        DB_NAME: target.database,
        DB_TLS: target.tls ? '1' : '0',
        ...line.environment,
      },
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject);
  child.on('close', resolve);
  child.stdin.on('error', () => {});
  if (line.input === undefined) child.stdin.end();
  else createReadStream(line.input).pipe(child.stdin);
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), promise]);
  return { code, text: `${out}${error}` };
}

/** Arguments of programs that take no environment: `{host}`, `{port}`, `{user}`, `{password}`, `{database}`. */
function fill(argument: string, { host, port, user, password, database }: ClientTarget): string {
  const values: Record<string, string> = { host, port: String(port), user, password, database };
  return argument.replaceAll(/\{(\w+)\}/g, (whole, key: string) => values[key] ?? whole);
}
