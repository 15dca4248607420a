import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { systemClock } from '../core/clock.ts';
import { runControlClient, type SupervisorPeer } from '../core/control/client.ts';
import type { EngineMethods, PublishedEvent } from '../core/control/protocol.ts';
import { AppError, serializeError } from '../core/errors.ts';
import { SecretBox } from '../core/secrets.ts';
import type { Config } from '../config/schema.ts';
import type { EngineApi, ServerDefinition } from './api.ts';
import { RemoteFleet, RemoteStore } from './control.ts';
import { EngineMetrics } from './engine-metrics.ts';
import { ImportService } from './import-service.ts';
import { ImportStore } from './import-store.ts';
import { Route } from './route.ts';

export interface EngineProcessOptions {
  config: Config;
  controlSocketPath: string;
  signal: AbortSignal;
  log: Logger;
}

const METHODS = [
  'validate',
  'createImport',
  'listImports',
  'getImport',
  'cancelImport',
  'verify',
  'switchTraffic',
  'pauseVerification',
  'resumeVerification',
  'repairDifferences',
  'setReplicaHost',
  'complete',
  'resume',
  'listStrayWrites',
  'applyStrayWrites',
  'listConflicts',
  'listUsers',
  'createUsers',
  'usersScript',
  'doctor',
  'repair',
] as const satisfies (keyof EngineApi)[];

/**
 * What still waits then waits for a server that has stopped answering. The process ends without it, as it may at any step: a
 * supervisor that is to end, or to be replaced, waits for it, and the next one has an engine of its own.
 */
const STOP_MS_MAX = 10_000;

/**
 * The engine's process. It lives no longer than its connection to the supervisor: the next supervisor starts an engine
 * of its own, and two engines on one import are what the owner number in the progress row guards against.
 */
export async function runEngineProcess({
  config,
  controlSocketPath,
  signal,
  log,
}: EngineProcessOptions): Promise<void> {
  const controller = new AbortController();
  const ended = AbortSignal.any([signal, controller.signal]);
  const metrics = new EngineMetrics();
  const service = Promise.withResolvers<ImportService>();
  service.promise.catch(() => {});
  const handlers: { [K in keyof EngineMethods]: (params: Parameters<EngineMethods[K]>[0]) => unknown } = {
    ping: () => {},
    request: async ({ method, args }) => await dispatch(await service.promise, method, args),
    collectMetrics: async () => ({ text: await metrics.text(await (await service.promise).listImports()) }),
  };
  await runControlClient<EngineMethods>({
    socketPath: controlSocketPath,
    hello: () => ({ role: 'engine', instanceId: `engine-${randomUUID()}`, pid: process.pid }),
    handlers: handlers as never,
    signal: ended,
    onConnected: (peer, { isServed, isOwn }) => {
      if (!isOwn) {
        log.warn(
          'the supervisor that started this engine is gone, and another one has an engine of its own: this one ends',
        );
        service.reject(new AppError('ENGINE_UNAVAILABLE', 'the engine of a former supervisor'));
        controller.abort();
        return;
      }
      startService({ supervisor: peer, isServed, config, signal: ended, log }).then(
        service.resolve,
        (error: unknown) => {
          const { code, message } = serializeError(error);
          const remedy = error instanceof AppError ? ` ${error.entry.remedy}` : '';
          log.error({ err: error }, `the engine cannot start: ${code}: ${message}.${remedy}`);
          service.reject(error);
          controller.abort();
        },
      );
    },
    onDisconnected: () => controller.abort(),
  });
  const stopped = service.promise.then(
    async (started) => await started.stop(),
    () => {},
  );
  await Promise.race([stopped, systemClock.sleep(STOP_MS_MAX)]);
}

async function startService({
  supervisor,
  isServed,
  config,
  signal,
  log,
}: Omit<EngineProcessOptions, 'controlSocketPath'> & {
  supervisor: SupervisorPeer;
  isServed: boolean;
}): Promise<ImportService> {
  const store = new RemoteStore(supervisor);
  const publish = (event: PublishedEvent) => {
    supervisor.notify('publish', event);
    if (event.kind === 'log') log[event.level]({ import: event.importId, ...event.details }, event.message);
  };
  return await ImportService.start({
    imports: new ImportStore(store, SecretBox.load(join(config.dataDir, 'secret.key'))),
    route: new Route(store),
    fleet: new RemoteFleet(supervisor),
    defaultTarget: defaultTarget(config),
    publish,
    isServed,
    onRouteChecked: () => supervisor.notify('routeChecked', undefined),
    signal,
  });
}

async function dispatch(service: ImportService, method: string, args: unknown): Promise<unknown> {
  const known = METHODS.find((candidate) => candidate === method);
  if (known === undefined) throw new AppError('INTERNAL', `the engine has no method ${method}`);
  const call = (service[known] as (params: unknown) => Promise<unknown>).bind(service);
  try {
    return await call(args);
  } catch (error) {
    if (error instanceof z.ZodError) throw new AppError('REQUEST_INVALID', z.prettifyError(error), { cause: error });
    throw error;
  }
}

/** The target of the configuration, with its certificate files read. */
function defaultTarget({ target }: Config): ServerDefinition | undefined {
  if (target === undefined) return undefined;
  const { caFile, certFile, keyFile, mode, serverName, minVersion } = target.tls;
  const { host, port, user, password } = target;
  return {
    host,
    port,
    user,
    password,
    tls: {
      mode,
      minVersion,
      ...(serverName === undefined ? {} : { serverName }),
      ...(caFile === undefined ? {} : { ca: readPem(caFile) }),
      ...(certFile === undefined ? {} : { cert: readPem(certFile) }),
      ...(keyFile === undefined ? {} : { key: readPem(keyFile) }),
    },
  };
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `target.tls: ${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
