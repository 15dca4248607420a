import type { AdminBackend, LogEntry } from '../admin/backend.ts';
import type { LogStore } from '../admin/log-store.ts';
import { mergeMetrics, type MetricsPart } from '../admin/metrics.ts';
import type { PublishedEvent } from '../core/control/protocol.ts';
import { AppError } from '../core/errors.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import type { StateStore } from '../core/store/state-store.ts';
import type { EngineApi } from '../engine/api.ts';
import type { ControlServer, EnginePeer } from './control-server.ts';
import type { Fleet } from './fleet.ts';

export interface AdminBackendOptions {
  control: () => ControlServer;
  fleet: Fleet;
  store: StateStore;
  logs: LogStore;
  workers: number;
}

const ENGINE_ANSWER_MS = 5000;

type Listener = (event: PublishedEvent) => void;

/** Events of the engine, told to whoever watches, the log lines kept. */
export class EventHub {
  readonly #listeners = new Set<{ importId: string | null; listener: Listener }>();
  readonly #logs: LogStore;

  constructor(logs: LogStore) {
    this.#logs = logs;
  }

  publish(event: PublishedEvent): void {
    if (event.kind === 'log') {
      const { kind: _kind, ...entry } = event;
      try {
        this.#logs.append(entry);
      } catch {
        // Whoever watches is told all the same; the line is on stderr, too.
      }
    }
    for (const { importId, listener } of this.#listeners) {
      if (importId === null || importId === event.importId) listener(event);
    }
  }

  subscribe(importId: string | null, listener: Listener): () => void {
    const entry = { importId, listener };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }
}

export function adminBackend(
  { control, fleet, store, logs, workers }: AdminBackendOptions,
  hub: EventHub,
): AdminBackend {
  return {
    engine: engineApi(control),
    sessions: () => fleet.sessions(),
    fleet: async () => fleet.report(),
    route: async () => ((await store.get('route'))?.value ?? null) as RoutingRecord | null,
    metrics: async () => mergeMetrics(await collectMetrics(control(), fleet)),
    ready: async () => {
      const reasons = [
        ...(control().hasEngine ? [] : ['the engine is not running']),
        ...(fleet.listening >= workers ? [] : [`${fleet.listening} of ${workers} proxy workers listen`]),
      ];
      return { ready: reasons.length === 0, reasons };
    },
    logs: (importId, { limit }): LogEntry[] => logs.read(importId, { limit }),
    subscribe: (importId, listener) => hub.subscribe(importId, listener),
  };
}

/** Every method of EngineApi as one call over the control socket. */
function engineApi(control: () => ControlServer): EngineApi {
  const call =
    (method: keyof EngineApi) =>
    async (args?: unknown): Promise<never> => {
      const { engine } = control();
      await assertAnswers(engine);
      return (await engine.call('request', { method, args: args ?? {} })) as never;
    };
  return {
    validate: call('validate'),
    createImport: call('createImport'),
    listImports: call('listImports'),
    getImport: call('getImport'),
    cancelImport: call('cancelImport'),
    verify: call('verify'),
    switchTraffic: call('switchTraffic'),
    pauseVerification: call('pauseVerification'),
    resumeVerification: call('resumeVerification'),
    repairDifferences: call('repairDifferences'),
    setReplicaHost: call('setReplicaHost'),
    complete: call('complete'),
    resume: call('resume'),
    listStrayWrites: call('listStrayWrites'),
    applyStrayWrites: call('applyStrayWrites'),
    listConflicts: call('listConflicts'),
    listUsers: call('listUsers'),
    createUsers: call('createUsers'),
    usersScript: call('usersScript'),
    doctor: call('doctor'),
    repair: call('repair'),
  };
}

/** A request to an engine that hangs would hang, and be carried out when nobody waits for it any more. */
async function assertAnswers(engine: EnginePeer): Promise<void> {
  const limit = AbortSignal.timeout(ENGINE_ANSWER_MS);
  try {
    await engine.call('ping', undefined, { signal: limit });
  } catch (cause) {
    if (!limit.aborted) throw cause;
    const message = `the engine has not answered for ${ENGINE_ANSWER_MS} ms: the request was not handed to it`;
    throw new AppError('ENGINE_UNAVAILABLE', message, { cause });
  }
}

async function collectMetrics(control: ControlServer, fleet: Fleet): Promise<MetricsPart[]> {
  const proxies = fleet.members().map(async ({ instanceId, peer }): Promise<MetricsPart> => {
    const { text } = await peer.call('collectMetrics', undefined);
    return { labels: { process: 'proxy', instance: instanceId }, text };
  });
  const engine = (async (): Promise<MetricsPart> => {
    const { text } = await control.engine.call('collectMetrics', undefined);
    return { labels: { process: 'engine', instance: 'engine' }, text };
  })();
  const parts = await Promise.allSettled([...proxies, engine]);
  return parts.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []));
}
