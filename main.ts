import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { loadConfig } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { AppError } from './core/errors.ts';
import { createLogger } from './core/log.ts';
import { redactText } from './core/redact.ts';

/**
 * The only place that wires everything: `serve` is the supervisor; `run-proxy` and `run-engine` are the processes that
 * it starts; all other commands are the CLI, a client of the admin API. Each loads its own modules only: a CLI command
 * should not wait for the engine's.
 */
const mainPath = fileURLToPath(import.meta.url);

const SERVE_USAGE = `Usage: switchyard serve [options]

Starts the proxy, the engine and the admin API.

  --config FILE      configuration (config/example.yaml shows every key)
  --set KEY=VALUE    one key of it, for example --set proxy.listen=0.0.0.0:3306; may be repeated
  --replace          take over from the one that runs on the same data directory: new proxies share its ports, then the
                     old ones let their sessions end their transactions; for a new version or a new configuration
  --help             this text`;

async function main(argv: string[]): Promise<void> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'serve':
      await serve(rest);
      return;
    case 'run-proxy':
      await runProxy(rest);
      return;
    case 'run-engine':
      await runEngine(rest);
      return;
    case 'demo':
      await demo();
      return;
    default: {
      const { runCli } = await import('./admin/cli/run-cli.ts');
      process.exitCode = await runCli(argv);
    }
  }
}

/** The demo brings servers of its own and is part of the checkout, not of the image. */
async function demo(): Promise<void> {
  const program = new URL('./demo/run.ts', import.meta.url);
  if (!existsSync(program)) throw new AppError('CONFIG_INVALID', 'the demo needs the source checkout: npm run demo');
  process.argv.splice(2, 1);
  await import(program.href);
}

interface ServeArguments {
  config: Config;
  /** What makes a child process read the same configuration. */
  configArguments: string[];
  instance: string;
  replace: boolean;
}

function readArguments(argv: string[]): ServeArguments | undefined {
  const { values } = parseArguments(argv);
  if (values.help === true) return undefined;
  const settings = values.set ?? [];
  return {
    config: loadConfig({ file: values.config, settings }),
    configArguments: [
      ...(values.config === undefined ? [] : ['--config', values.config]),
      ...settings.flatMap((setting) => ['--set', setting]),
    ],
    instance: values.instance ?? 'single',
    replace: values.replace ?? false,
  };
}

function parseArguments(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        config: { type: 'string' },
        set: { type: 'string', multiple: true },
        instance: { type: 'string' },
        replace: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `${(cause as Error).message}\n\n${SERVE_USAGE}`, { cause });
  }
}

async function serve(argv: string[]): Promise<void> {
  const args = readArguments(argv);
  if (args === undefined) {
    console.log(SERVE_USAGE);
    return;
  }
  const { config, configArguments, replace } = args;
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  const log = createLogger('supervisor', config.log.level);
  const { runSupervisor } = await import('./supervisor/run-supervisor.ts');
  await runSupervisor({
    config,
    configArguments,
    mainPath,
    replace,
    signal: stop.signal,
    log,
    onReloadRequested: (reload) => process.on('SIGHUP', reload),
    onReady: ({ admin }) =>
      log.info(
        {
          admin: `http://${admin.host}:${admin.port}`,
          proxy: config.proxy.listen,
          replica: config.proxy.replicaListen,
        },
        'ready',
      ),
  });
}

async function runProxy(argv: string[]): Promise<void> {
  const args = readArguments(argv);
  if (args === undefined) return;
  const { config, instance } = args;
  const { runProxyWorker } = await import('./proxy/worker.ts');
  const stop = new AbortController();
  const drain = new AbortController();
  ignoreTerminal();
  // Whoever ends all processes of a service at once (systemd) ends no transaction by that.
  process.on('SIGTERM', () => (drain.signal.aborted ? stop : drain).abort());
  await runProxyWorker({
    config,
    dataDir: config.dataDir,
    controlSocketPath: join(config.dataDir, 'control.sock'),
    instanceId: instance,
    signal: stop.signal,
    drainSignal: drain.signal,
  });
  process.exit(0);
}

async function runEngine(argv: string[]): Promise<void> {
  const args = readArguments(argv);
  if (args === undefined) return;
  const { config } = args;
  const { runEngineProcess } = await import('./engine/engine-process.ts');
  const stop = new AbortController();
  ignoreTerminal();
  process.on('SIGTERM', () => stop.abort());
  await runEngineProcess({
    config,
    controlSocketPath: join(config.dataDir, 'control.sock'),
    signal: stop.signal,
    log: createLogger('engine', config.log.level),
  });
  process.exit(0);
}

/** Ctrl-C reaches the whole process group; only the supervisor acts on it and ends its children in order. */
function ignoreTerminal(): void {
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  console.error(redactText(`${error.code}: ${error.message}\nWhat to do: ${error.entry.remedy}`));
  process.exitCode = error.entry.kind === 'usage' ? 2 : 1;
}
