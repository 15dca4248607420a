import type { FleetReport, PublishedEvent, SessionView } from '../../core/control/protocol.ts';
import type { RoutingRecord } from '../../core/routing-record.ts';
import type { ImportView } from '../../engine/api.ts';
import type { AdminBackend, LogEntry, Readiness } from '../backend.ts';
import { LogStore } from '../log-store.ts';
import { StandInEngine } from './stand-in-engine.ts';

/** An AdminBackend without databases and processes. */
export class StandInBackend implements AdminBackend, Disposable {
  readonly engine = new StandInEngine((view) =>
    this.publish({ kind: 'import', importId: view.id, view: structuredClone(view) }),
  );
  readiness: Readiness = { ready: true, reasons: [] };
  sessionViews: SessionView[] = [];
  readonly #listeners = new Set<{ importId: string | null; listener: (event: PublishedEvent) => void }>();
  readonly #logs = new LogStore(':memory:');

  get subscribers(): number {
    return this.#listeners.size;
  }

  async sessions(): Promise<SessionView[]> {
    return this.sessionViews;
  }

  async fleet(): Promise<FleetReport> {
    const [view] = this.engine.imports.values();
    const instances = Map.groupBy(this.sessionViews, ({ instanceId }) => instanceId);
    const proxies = [...instances].map(([instanceId, sessions]) => ({
      instanceId,
      epoch: view?.traffic.epoch ?? 0,
      state: 'applied' as const,
      sessions: sessions.length,
      undrained: [],
    }));
    return { reached: true, proxies };
  }

  async route(): Promise<RoutingRecord | null> {
    const [view] = this.engine.imports.values();
    if (view === undefined) return null;
    const tls = { mode: 'preferred', minVersion: 'TLSv1.2' } as const;
    const endpoints = ({ host, port }: ImportView['source']) => ({ primary: { host, port, tls }, replica: null });
    return {
      epoch: view.traffic.epoch,
      importId: view.id,
      database: view.database,
      primary: view.traffic.primary,
      replica: view.traffic.replica,
      hold: 'none',
      deadlineMs: null,
      fenced: false,
      endpoints: { source: endpoints(view.source), target: endpoints(view.target) },
    };
  }

  async metrics(): Promise<string> {
    return '# TYPE switchyard_up gauge\nswitchyard_up 1\n';
  }

  async ready(): Promise<Readiness> {
    return this.readiness;
  }

  logs(importId: string | null, options: { limit: number }): LogEntry[] {
    return this.#logs.read(importId, options);
  }

  subscribe(importId: string | null, listener: (event: PublishedEvent) => void): () => void {
    const subscription = { importId, listener };
    this.#listeners.add(subscription);
    return () => this.#listeners.delete(subscription);
  }

  publish(event: PublishedEvent): void {
    if (event.kind === 'log') {
      const { kind: _, ...entry } = event;
      this.#logs.append(entry);
    }
    for (const { importId, listener } of this.#listeners) {
      if (importId === null || importId === event.importId) listener(event);
    }
  }

  log(importId: string | null, message: string, level: LogEntry['level'] = 'info'): void {
    this.publish({ kind: 'log', importId, atMs: Date.now(), level, message });
  }

  [Symbol.dispose](): void {
    this.#logs[Symbol.dispose]();
  }
}
