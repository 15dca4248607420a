import type { FleetReport, LogLevel, PublishedEvent, SessionView } from '../core/control/protocol.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import type { EngineApi } from '../engine/api.ts';

/**
 * What the admin server needs from whoever starts it. The supervisor implements it over its control sockets, so that
 * the server itself knows nothing of processes.
 */
export interface AdminBackend {
  /** Calls reject with an AppError; ENGINE_UNAVAILABLE while the engine process is away. */
  engine: EngineApi;
  sessions(): Promise<SessionView[]>;
  fleet(): Promise<FleetReport>;
  /** The committed route; null before the first import. */
  route(): Promise<RoutingRecord | null>;
  /** Prometheus text of all processes: see merge-metrics.ts. */
  metrics(): Promise<string>;
  ready(): Promise<Readiness>;
  /**
   * The newest `limit` entries, oldest first; null: those that belong to no import. Synchronous, because an event
   * stream takes the history and subscribes in one tick: no entry is missed or sent twice in between.
   */
  logs(importId: string | null, options: { limit: number }): LogEntry[];
  /** Events of one import, or with null all events. The listener is called in order and must not be awaited. */
  subscribe(importId: string | null, listener: (event: PublishedEvent) => void): () => void;
}

export interface Readiness {
  ready: boolean;
  /** Why not; empty when ready. */
  reasons: string[];
}

export interface LogEntry {
  importId: string | null;
  atMs: number;
  level: LogLevel;
  message: string;
  details?: Record<string, unknown>;
}
