import { Option, type Command } from 'commander';
import { TLS_MODES, TLS_VERSIONS } from '../../core/routing-record.ts';
import type { Side } from '../../core/phase.ts';
import { AppError } from '../../core/errors.ts';
import { integerOption } from './integer-option.ts';
import { readPassword, readTextFile } from './password.ts';

type PartialServer = Record<string, unknown>;

/** `--source-host` and so on, or the same with `target`. */
export function addServerOptions(command: Command, side: Side): Command {
  const flag = (name: string, description: string) => new Option(`--${side}-${name}`, description);
  return command
    .addOption(flag('host <host>', `host of the ${side}`))
    .addOption(flag('port <port>', `port of the ${side} (3306)`).argParser(integerOption))
    .addOption(flag('user <user>', 'our user there'))
    .addOption(flag('password-file <file>', 'file with its password'))
    .addOption(flag('password-env <name>', 'variable of the environment with its password'))
    .addOption(flag('tls-mode <mode>', 'TLS mode (preferred)').choices(TLS_MODES))
    .addOption(flag('tls-ca <file>', 'certificates of the authority, PEM'))
    .addOption(flag('tls-cert <file>', 'client certificate, PEM'))
    .addOption(flag('tls-key <file>', 'key of the client certificate, PEM'))
    .addOption(flag('tls-server-name <name>', 'name expected in the certificate, where it is not the host'))
    .addOption(flag('tls-min-version <version>', 'lowest TLS version (TLSv1.2)').choices(TLS_VERSIONS));
}

/** The server of `--file` with the options over it; undefined where neither names one. Asks for a missing password. */
export async function serverOf(command: Command, side: Side, fromFile: unknown): Promise<PartialServer | undefined> {
  const options = command.opts<Record<string, unknown>>();
  const option = (name: string) => options[`${side}${name}`];
  const text = (name: string) => option(name) as string | undefined;
  const pem = (name: string, what: string) => {
    const file = text(name);
    return file === undefined ? undefined : readTextFile(file, what);
  };
  const base = objectOf(fromFile);
  const tls = defined(
    {
      ...objectOf(base['tls']),
      mode: text('TlsMode'),
      ca: pem('TlsCa', 'CA file'),
      cert: pem('TlsCert', 'certificate'),
      key: pem('TlsKey', 'key'),
      serverName: text('TlsServerName'),
      minVersion: text('TlsMinVersion'),
    },
    objectOf(base['tls']),
  );
  const server = defined({ ...base, host: text('Host'), port: option('Port'), user: text('User'), tls }, base);
  if (server['host'] === undefined) return undefined;
  const given = { file: text('PasswordFile'), environmentName: text('PasswordEnv') };
  // With a client certificate or a password of the file there is nothing to ask for.
  const asked = given.file !== undefined || given.environmentName !== undefined;
  if (!asked && (base['password'] !== undefined || tls['cert'] !== undefined)) return server;
  const password = await readPassword(given, `Password of our user on the ${side}: `);
  if (password === undefined) {
    throw new AppError(
      'REQUEST_INVALID',
      `no password for the ${side}: give --${side}-password-file or --${side}-password-env`,
    );
  }
  return { ...server, password };
}

/** `values` without those that are undefined, for which `base` counts. */
function defined(values: PartialServer, base: PartialServer): PartialServer {
  const set = Object.entries(values).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(set) };
}

export function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
