import type { SerializedError } from '../errors.ts';
import type { Role, RoutingRecord } from '../routing-record.ts';
import type { Side } from '../phase.ts';
import type { Versioned } from '../store/state-store.ts';

/**
 * What the processes of `switchyard serve` say to each other, over a unix socket in the data directory: the
 * supervisor listens; proxies and the engine connect, and connect again when the supervisor was restarted.
 */
export type Hello = {
  role: 'proxy' | 'engine';
  instanceId: string;
  pid: number;
  /** Of a proxy that outlived its supervisor: what that one assigned, and whether it accepts clients. */
  former?: { slot: number; ownsSocket: boolean; listens: boolean };
};

export interface Welcome {
  route: RoutingRecord | null;
  /** For the engine: proxies follow that route already, so nobody waits until it has been compared (`routeChecked`). */
  isServed: boolean;
  /**
   * Whether this supervisor started the process. An engine of a former one, which was still starting when that one died, connects to the
   * next one as if it were its own: there would be two engines, and what the one stores the other one does not know of.
   */
  isOwn: boolean;
  /** A number that no other proxy of this supervisor has; its connection ids are made from it. */
  slot: number;
  /** A unix socket cannot be shared: this proxy listens there. */
  ownsSocket: boolean;
}

/** Offered by the supervisor to proxies and to the engine. */
export interface SupervisorMethods {
  hello(hello: Hello): Welcome;
  storeGet(params: { key: string }): Versioned | null;
  storeList(params: { prefix: string }): Versioned[];
  storeCompareAndSet(params: { key: string; expected: number | null; value: unknown }): number;
  storeDelete(params: { key: string }): void;
  /** Resolves when every connected proxy acknowledged `epoch` with `state`, or after `timeoutMs`. */
  fleetWait(params: { epoch: number; state: ProxyState; timeoutMs: number }): FleetReport;
  /** What the switch can do ahead on every proxy: see `ProxyMethods.prepare`. */
  fleetPrepare(params: PrepareRequest): FleetPrepareReport;
  /** Rejects when a proxy does not answer: what it has open is then unknown. */
  fleetBackends(params: undefined): FleetBackends;
  fleetReport(params: undefined): FleetReport;
  /** On every proxy: see `ProxyMethods.closeSessions`. */
  fleetCloseSessions(params: { sessionIds: string[] }): void;
  /** See `ProxyMethods.locateSession`, over all proxies. */
  locateSession(params: LocateRequest): SessionLocation | null;
  /**
   * The engine has compared the route with what the servers tell of it, and holds traffic where they know more (ADR 27). Until
   * then a supervisor that has just been started gives it to no proxy.
   */
  routeChecked(params: undefined): void;
  /** A proxy accepts clients now. */
  proxyListens(params: { instanceId: string }): void;
  /**
   * Another supervisor on the same data directory takes over: this one ends its engine and its admin server, answers, closes
   * the control socket and exits, and leaves its proxies as they are. Rejects with OPERATION_IN_PROGRESS within a hold.
   */
  handOver(params: undefined): { proxies: string[] };
  /** A proxy tells its state for an epoch. */
  proxyAck(ack: ProxyAck): void;
  /** Something that people watch: progress, a log line. */
  publish(event: PublishedEvent): void;
}

/** `applied`: the epoch rules all new commands. `drained`: besides, no command or transaction is under way on what is held. */
export type ProxyState = 'applied' | 'drained';

export interface PinnedSession {
  sessionId: string;
  user: string;
  address: string;
  /** What keeps the session on its server: an open transaction, a temporary table, a lock … */
  reasons: string[];
}

export interface ProxyAck {
  instanceId: string;
  epoch: number;
  state: ProxyState;
  sessions: number;
  /** Sessions that still keep the held role from being drained. */
  undrained: PinnedSession[];
}

export interface FleetReport {
  /** True when every connected proxy reached the state asked for. */
  reached: boolean;
  proxies: ProxyAck[];
}

export interface PrepareRequest {
  role: Role;
  /** The side that sessions will move to. */
  to: Side;
  /** What is not prepared by then is left. */
  budgetMs: number;
}

export interface PrepareReport {
  /** Sessions whose connection to the other side is open, logged in and restored. */
  prepared: number;
  /** Users that cannot log in there, or whose state cannot be restored, with the server's own words. */
  failures: { user: string; address: string; reason: string }[];
  /** Sessions that could not move now, and why. */
  pinned: PinnedSession[];
  /** Sessions that the time did not do for. */
  left: number;
}

export interface FleetPrepareReport extends PrepareReport {
  /** Proxies that did not answer in time, or ended meanwhile: what they have is not known. */
  unanswered: number;
}

/** One connection of a proxy to a database server, by the id that the server gave it. */
export interface BackendView {
  side: Side;
  host: string;
  port: number;
  connectionId: number;
}

/** All that proxies have to do with the servers at one moment. */
export interface FleetBackends {
  backends: BackendView[];
  sessions: SessionView[];
}

/** `killed`: the server where the session was has taken a KILL of this of it. */
export interface LocateRequest {
  id: number;
  killed?: 'query' | 'connection';
}

/** Offered by a proxy to the supervisor. */
export interface ProxyMethods {
  /** The route changed. The proxy acknowledges with `proxyAck`, once for each state it reaches. */
  route(params: { record: RoutingRecord }): void;
  /** Opens, logs in and restores connections to `to` ahead of a switch, so that the pause need not. */
  prepare(params: PrepareRequest): PrepareReport;
  sessions(params: undefined): SessionView[];
  /** The operator's policy for a switch: ends those of these sessions that are its own, whatever they do. */
  closeSessions(params: { sessionIds: string[] }): void;
  /**
   * By the connection id that our greeting told, or by one that a server gave before the session moved. What was killed and is kept
   * here (a command in a hold, a session without one) ends here, since nothing of it is on the server.
   */
  locateSession(params: LocateRequest): SessionLocation | null;
  /** Every connection to a database server, also those without a session: what tells ours from others' there. */
  backendConnections(params: undefined): BackendView[];
  collectMetrics(params: undefined): { text: string };
  /** Reads its certificates again; rejects when they cannot be used, and goes on with the former ones. */
  reload(params: undefined): void;
  /** Stops accepting, lets sessions reach a boundary, ends them with ERR 1053, then the process exits. */
  drain(params: { timeoutMs: number }): void;
}

/** Where a session is now, for KILL. */
export interface SessionLocation {
  side: Side;
  role: Role;
  backendId: number;
}

export interface SessionView {
  sessionId: string;
  instanceId: string;
  user: string;
  address: string;
  database: string | null;
  role: Role;
  side: Side | null;
  state: 'idle' | 'busy' | 'held' | 'moving' | 'closing';
  inTransaction: boolean;
  /** Since the server said so for the first time; null without a transaction. */
  transactionAgeMs: number | null;
  pins: string[];
  bytesIn: number;
  bytesOut: number;
  ageMs: number;
}

/** Offered by the engine to the supervisor: one door for every request of `engine/api.ts`. */
export interface EngineMethods {
  /** Answers at once; one that does not is asked for nothing else. */
  ping(params: undefined): void;
  request(params: { method: string; args: unknown }): unknown;
  collectMetrics(params: undefined): { text: string };
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What the dashboard and `import logs` show, as it happens. */
export type PublishedEvent =
  | {
      kind: 'log';
      importId: string | null;
      atMs: number;
      level: LogLevel;
      message: string;
      details?: Record<string, unknown>;
    }
  /** The whole public view of an import (`ImportView` of engine/api.ts) after something in it changed; at most a few a second. */
  | { kind: 'import'; importId: string; view: unknown };

/** One line of JSON each. */
export type Frame =
  | { id: number; method: string; params: unknown }
  | { id: null; method: string; params: unknown }
  | { reply: number; result: unknown }
  | { reply: number; error: SerializedError };
