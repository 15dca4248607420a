import { Agent, request } from 'undici';
import type { DoctorReport } from '../engine/doctor/doctor-report.ts';
import { ERROR_TABLE, type ErrorCode } from '../core/error-table.ts';
import { AppError } from '../core/errors.ts';
import { isAbort } from '../core/abort.ts';
import type { FleetReport, SessionView } from '../core/control/protocol.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import type {
  importRequestSchema,
  ImportView,
  ReplicaHost,
  ConflictView,
  StrayApplyReport,
  StrayApplyRequest,
  StrayWriteView,
  SwitchReport,
  SwitchRequest,
  UsersApplyReport,
  UsersScript,
  UsersScriptRequest,
  UsersView,
  ValidationReport,
  VerifyRepairReport,
  VerifyRequest,
} from '../engine/api.ts';
import type { z } from 'zod';
import type { LogEntry, Readiness } from './backend.ts';
import { EventParser } from './event-parser.ts';

/** As sent: what has a default may be left out. */
export type ImportRequestInput = z.input<typeof importRequestSchema>;
export type WatchEvent = { kind: 'import'; view: ImportView } | { kind: 'log'; entry: LogEntry };

export interface AdminClientOptions {
  /** For example http://127.0.0.1:6080. */
  url: string;
  token?: string | undefined;
  /** Named in the import's history: `cli:user@host`. */
  actor?: string;
}

/** Three heartbeats of an event stream: a server whose machine is gone sends no end either. */
const SILENCE_MS_MAX = 45_000;

interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  body?: unknown;
}

/**
 * The admin API as typed calls. Each rejects with the AppError that the server's problem document describes, or with
 * ADMIN_UNREACHABLE. Answers are taken as they are: the server is ours and documents them in /openapi.json.
 */
export class AdminClient implements AsyncDisposable {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  // A switch or a validation takes as long as it takes; the connection itself must come quickly.
  readonly #agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5000 } });

  constructor({ url, token, actor = 'api' }: AdminClientOptions) {
    const parsed = URL.parse(url);
    if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
      throw new AppError('CONFIG_INVALID', `${url} is not the URL of an admin API, for example http://127.0.0.1:6080`);
    }
    this.#url = parsed.href.replace(/\/+$/, '');
    this.#headers = { 'x-switchyard-actor': actor };
    if (token !== undefined && token !== '') this.#headers['authorization'] = `Bearer ${token}`;
  }

  validate = (body: ImportRequestInput) => this.#json<ValidationReport>({ method: 'POST', path: 'validate', body });
  createImport = (body: ImportRequestInput) => this.#json<ImportView>({ method: 'POST', path: 'imports', body });
  listImports = () => this.#json<ImportView[]>({ method: 'GET', path: 'imports' });
  getImport = (id: string) => this.#json<ImportView>({ method: 'GET', path: pathOf(id) });
  cancelImport = (id: string) => this.#json<ImportView>({ method: 'POST', path: pathOf(id, 'cancel'), body: {} });
  verify = (id: string, body: Partial<VerifyRequest> = {}) =>
    this.#json<ImportView>({ method: 'POST', path: pathOf(id, 'verify'), body });
  pauseVerification = (id: string) =>
    this.#json<ImportView>({ method: 'POST', path: pathOf(id, 'verify/pause'), body: {} });
  repairDifferences = (id: string) =>
    this.#json<VerifyRepairReport>({ method: 'POST', path: pathOf(id, 'verify/repair'), body: {} });
  resumeVerification = (id: string) =>
    this.#json<ImportView>({ method: 'POST', path: pathOf(id, 'verify/resume'), body: {} });
  switchTraffic = (id: string, body: Partial<SwitchRequest> & Pick<SwitchRequest, 'kind'>) =>
    this.#json<SwitchReport>({ method: 'POST', path: pathOf(id, 'switch'), body });
  setReplicaHost = (id: string, replicaHost: ReplicaHost | null) =>
    this.#json<ImportView>(
      replicaHost === null
        ? { method: 'DELETE', path: pathOf(id, 'replica-host') }
        : { method: 'PUT', path: pathOf(id, 'replica-host'), body: replicaHost },
    );
  complete = (id: string, confirm: string) =>
    this.#json<ImportView>({ method: 'POST', path: pathOf(id, 'complete'), body: { confirm } });
  resume = (id: string, ddl?: 'skip' | 'apply') =>
    this.#json<ImportView>({ method: 'POST', path: pathOf(id, 'resume'), body: ddl === undefined ? {} : { ddl } });
  logs = (id: string, limit = 200) =>
    this.#json<LogEntry[]>({ method: 'GET', path: `${pathOf(id, 'logs')}?limit=${limit}` });
  strayWrites = (id: string, { after = 0, limit = 200, unapplied = false } = {}) =>
    this.#json<StrayWriteView[]>({
      method: 'GET',
      path: `${pathOf(id, 'stray-writes')}?after=${after}&limit=${limit}&unapplied=${unapplied}`,
    });
  conflicts = (id: string, { after = 0, limit = 200 } = {}) =>
    this.#json<ConflictView[]>({ method: 'GET', path: `${pathOf(id, 'conflicts')}?after=${after}&limit=${limit}` });
  applyStrayWrites = (id: string, ids: StrayApplyRequest['ids']) =>
    this.#json<StrayApplyReport>({ method: 'POST', path: pathOf(id, 'stray-writes/apply'), body: { ids } });
  users = (id: string) => this.#json<UsersView>({ method: 'GET', path: pathOf(id, 'users') });
  createUsers = (id: string) =>
    this.#json<UsersApplyReport>({ method: 'POST', path: pathOf(id, 'users/apply'), body: {} });
  usersScript = (id: string, body: UsersScriptRequest) =>
    this.#json<UsersScript>({ method: 'POST', path: pathOf(id, 'users/script'), body });
  doctor = (id: string) => this.#json<DoctorReport>({ method: 'GET', path: pathOf(id, 'doctor') });
  repair = (id: string) => this.#json<DoctorReport>({ method: 'POST', path: pathOf(id, 'doctor/repair'), body: {} });
  sessions = () => this.#json<SessionView[]>({ method: 'GET', path: 'sessions' });
  fleet = () => this.#json<FleetReport>({ method: 'GET', path: 'fleet' });
  route = () => this.#json<RoutingRecord | null>({ method: 'GET', path: 'route' });

  /** Also answers when the server is not ready; rejects when there is none. */
  async ready(): Promise<Readiness> {
    const { body } = await this.#request({ method: 'GET', path: '/readyz' });
    return (await body.json()) as Readiness;
  }

  /**
   * The current view, the last `logs` lines, then what happens, until the server ends the stream or `signal` aborts
   * (both are a clean end). The caller connects again where it wants more.
   */
  async *watch(
    id: string,
    { logs = 0, signal }: { logs?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<WatchEvent, void> {
    const call: Call = { method: 'GET', path: `${pathOf(id, 'events')}?logs=${logs}` };
    try {
      const { body, statusCode } = await this.#request(call, signal);
      if (statusCode !== 200) throw await failureOf(statusCode, body);
      const parser = new EventParser();
      const decoder = new TextDecoder();
      for await (const chunk of body) {
        for (const { event, data } of parser.push(decoder.decode(chunk as Buffer, { stream: true }))) {
          if (event === 'import') yield { kind: 'import', view: JSON.parse(data) as ImportView };
          if (event === 'log') yield { kind: 'log', entry: JSON.parse(data) as LogEntry };
        }
      }
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (isAbort(error) || signal?.aborted === true) return;
      // The server went away in the middle; the next connection attempt says what is wrong.
      if (!isConnectionLoss(error)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #json<T>(call: Call): Promise<T> {
    const { body, statusCode } = await this.#request(call);
    try {
      if (statusCode < 200 || statusCode > 299) throw await failureOf(statusCode, body);
      return (await body.json()) as T;
    } catch (cause) {
      throw cause instanceof AppError ? cause : this.#unreachable(cause, call.method);
    }
  }

  async #request({ method, path, body }: Call, signal?: AbortSignal) {
    const url = `${this.#url}${path.startsWith('/') ? path : `/api/v1/${path}`}`;
    try {
      return await request(url, {
        method,
        dispatcher: this.#agent,
        headers: body === undefined ? this.#headers : { ...this.#headers, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
        ...(path.includes('/events') ? { bodyTimeout: SILENCE_MS_MAX } : {}),
      });
    } catch (cause) {
      throw isAbort(cause) ? cause : this.#unreachable(cause, method);
    }
  }

  #unreachable(cause: unknown, method: Call['method']): AppError {
    const why = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : String(cause);
    // Broken off after it was sent: the server may have carried it out. Never repeated by ourselves.
    const unknown = method !== 'GET' && /^(?:UND_ERR_SOCKET|ECONNRESET|EPIPE)$/.test(why);
    const advice = unknown ? '; the request may have been carried out: look at the import before repeating it' : '';
    return new AppError('ADMIN_UNREACHABLE', `no answer from ${this.#url} (${why})${advice}`, { cause });
  }
}

function pathOf(id: string, action?: string): string {
  const path = `imports/${encodeURIComponent(id)}`;
  return action === undefined ? path : `${path}/${action}`;
}

async function failureOf(status: number, body: { text(): Promise<string> }): Promise<AppError> {
  const text = await body.text();
  const problem = parseObject(text);
  const code = problem?.['code'];
  if (typeof code !== 'string' || !(code in ERROR_TABLE)) {
    return new AppError('ADMIN_UNREACHABLE', `HTTP status ${status} from something that is not the admin API`);
  }
  const { detail, details } = problem ?? {};
  return new AppError(code as ErrorCode, typeof detail === 'string' ? detail : '', {
    details: typeof details === 'object' && details !== null ? { ...details } : {},
  });
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function isConnectionLoss(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('UND_ERR_') || code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNREFUSED';
}
