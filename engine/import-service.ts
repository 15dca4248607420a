import { AppError, serializeError } from '../core/errors.ts';
import type { PublishedEvent } from '../core/control/protocol.ts';
import {
  importRequestSchema,
  type Actor,
  type ConflictListRequest,
  type ConflictView,
  type EngineApi,
  type ImportRequest,
  type ImportView,
  type ReplicaHost,
  type ServerDefinition,
  type StrayApplyReport,
  type StrayApplyRequest,
  type StrayListRequest,
  type StrayWriteView,
  type SwitchReport,
  type SwitchRequest,
  type UsersApplyReport,
  type UsersScript,
  type UsersScriptRequest,
  type UsersView,
  type ValidationReport,
  type VerifyRepairReport,
  type VerifyRequest,
} from './api.ts';
import type { ProxyFleet } from './control.ts';
import { Doctor } from './doctor/doctor.ts';
import type { DoctorReport } from './doctor/doctor-report.ts';
import type { ImportDocument } from './import-document.ts';
import { NO_ACTIVE_OBJECTS } from './objects/stored-object.ts';
import type { ImportRequests } from './import-requests.ts';
import { ImportRunner } from './import-runner.ts';
import { noSuchImport, type ImportRecord, type ImportStore } from './import-store.ts';
import { readMarkers } from './marker/route-marker.ts';
import { isFinal } from './phase.ts';
import { validateImport } from './preflight/validate-import.ts';
import type { Route } from './route.ts';
import { ServerConnection } from './server/connection.ts';

export interface ServiceOptions {
  imports: ImportStore;
  route: Route;
  fleet: ProxyFleet;
  /** Where imports go that name no target. */
  defaultTarget: ServerDefinition | undefined;
  publish: (event: PublishedEvent) => void;
  /** See `Welcome`. */
  isServed: boolean;
  /** The route has been compared with what the servers tell of it, as far as they answer. */
  onRouteChecked: () => void;
  signal: AbortSignal;
}

/** A request whose target is settled. */
export type TargetedRequest = ImportRequest & { target: ServerDefinition };

/** The engine's side of every request: finds the import and hands the request to its runner. */
export class ImportService implements EngineApi {
  readonly #options: ServiceOptions;
  readonly #runners = new Map<string, ImportRunner>();
  #creating = false;

  private constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /** Goes on with every import that has not ended. */
  static async start(options: ServiceOptions): Promise<ImportService> {
    const service = new ImportService(options);
    for (const record of await options.imports.list()) await service.#run(record);
    // Proxies wait for it, so it is not to wait for anything that a phase does.
    await Promise.all(Array.from(service.#runners.values(), (runner) => runner.check(options)));
    options.onRouteChecked();
    for (const runner of service.#runners.values()) {
      try {
        await runner.start();
      } catch (error) {
        // The engine ends and the supervisor starts it again, with back-off: a server that is away comes back.
        const { code, message } = serializeError(error);
        runner.world.log('error', `could not go on: ${code}: ${message}`);
        throw error;
      }
    }
    return service;
  }

  async validate(request: ImportRequest): Promise<ValidationReport> {
    return await validateImport(this.#targeted(importRequestSchema.parse(request)));
  }

  async createImport({ actor, ...rest }: ImportRequest & Actor): Promise<ImportView> {
    const request = this.#targeted(importRequestSchema.parse(rest));
    if (this.#creating) throw new AppError('OPERATION_IN_PROGRESS', 'another import is being created');
    this.#creating = true;
    try {
      this.#refuseSecond(request.id);
      const report = await validateImport(request);
      if (!report.ok || report.source === null || report.target === null) {
        const errors = report.findings.filter(({ severity }) => severity === 'error');
        throw new AppError('VALIDATION_FAILED', errors.map(({ code, message }) => `${code}: ${message}`).join('; '), {
          details: { findings: report.findings },
        });
      }
      const document = {
        ...newDocument(request, actor, { ...report, source: report.source, target: report.target }),
        decisions: await formerDecisions(request),
      };
      await this.#options.imports.eraseSecrets(request.id);
      const record = await this.#options.imports.create(document, { source: request.source, target: request.target });
      const runner = await this.#run(record);
      runner.world.log('info', `import created by ${actor}`);
      await runner.check({ isServed: true });
      await runner.start();
      return await runner.view();
    } finally {
      this.#creating = false;
    }
  }

  async listImports(): Promise<ImportView[]> {
    return await Promise.all([...this.#runners.values()].map((runner) => runner.view()));
  }

  async getImport({ id }: { id: string }): Promise<ImportView> {
    return await this.#runner(id).view();
  }

  async cancelImport({ id, actor }: { id: string } & Actor): Promise<ImportView> {
    return await this.#asked(id, actor, 'cancel').cancel();
  }

  async verify({ id, actor, ...request }: { id: string } & VerifyRequest & Actor): Promise<ImportView> {
    return await this.#asked(id, actor, 'verify').verify(request);
  }

  async pauseVerification({ id, actor }: { id: string } & Actor): Promise<ImportView> {
    return await this.#asked(id, actor, 'pause the verification').pauseVerification();
  }

  async resumeVerification({ id, actor }: { id: string } & Actor): Promise<ImportView> {
    return await this.#asked(id, actor, 'go on with the verification').resumeVerification();
  }

  async repairDifferences({ id, actor }: { id: string } & Actor): Promise<VerifyRepairReport> {
    return await this.#asked(id, actor, 'repair differing rows').repairDifferences(actor);
  }

  async switchTraffic({ id, actor, ...request }: { id: string } & SwitchRequest & Actor): Promise<SwitchReport> {
    const how = [request.dryRun ? 'dry run' : [], request.force ? 'forced' : [], request.policy ?? []].flat();
    const what = `switch ${request.kind}${request.back ? ' back' : ''}${how.length === 0 ? '' : ` (${how.join(', ')})`}`;
    return await this.#asked(id, actor, what).switchTraffic(request);
  }

  async setReplicaHost({
    id,
    replicaHost,
    actor,
  }: { id: string; replicaHost: ReplicaHost | null } & Actor): Promise<ImportView> {
    return await this.#asked(id, actor, 'set the replica host').setReplicaHost(replicaHost);
  }

  async complete({ id, confirm, actor }: { id: string; confirm: string } & Actor): Promise<ImportView> {
    return await this.#asked(id, actor, 'complete').complete(confirm);
  }

  async resume({ id, ddl, actor }: { id: string; ddl?: 'skip' | 'apply' } & Actor): Promise<ImportView> {
    return await this.#asked(id, actor, 'resume').resume(ddl);
  }

  async listStrayWrites({ id, ...request }: { id: string } & StrayListRequest): Promise<StrayWriteView[]> {
    return await this.#runner(id).requests.listStrayWrites(request);
  }

  async applyStrayWrites({ id, actor, ids }: { id: string } & StrayApplyRequest & Actor): Promise<StrayApplyReport> {
    return await this.#asked(id, actor, 'apply stray writes').applyStrayWrites(ids, actor);
  }

  async listConflicts({ id, ...request }: { id: string } & ConflictListRequest): Promise<ConflictView[]> {
    return await this.#runner(id).requests.listConflicts(request);
  }

  async listUsers({ id }: { id: string }): Promise<UsersView> {
    return await this.#runner(id).requests.listUsers();
  }

  async createUsers({ id, actor }: { id: string } & Actor): Promise<UsersApplyReport> {
    return await this.#asked(id, actor, 'create absent accounts').createUsers();
  }

  async usersScript({ id, actor, hashes }: { id: string } & UsersScriptRequest & Actor): Promise<UsersScript> {
    const what = hashes
      ? 'show the script of the accounts with their password hashes'
      : 'show the script of the accounts';
    return await this.#asked(id, actor, what).usersScript({ hashes });
  }

  async doctor({ id }: { id: string }): Promise<DoctorReport> {
    return await new Doctor(this.#runner(id)).examine();
  }

  async repair({ id, actor }: { id: string } & Actor): Promise<DoctorReport> {
    const runner = this.#runner(id);
    runner.world.log('info', `${actor} asked to repair`);
    return await new Doctor(runner).repair();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop()));
  }

  #runner(id: string): ImportRunner {
    const runner = this.#runners.get(id);
    if (runner === undefined) throw noSuchImport(id);
    return runner;
  }

  #asked(id: string, actor: string, what: string): ImportRequests {
    const { world, requests } = this.#runner(id);
    world.log('info', `${actor} asked to ${what.trim()}`);
    return requests;
  }

  async #run(record: ImportRecord): Promise<ImportRunner> {
    const { imports, route, fleet, publish, signal } = this.#options;
    const { id } = record.document;
    const runner = new ImportRunner({
      record,
      secrets: await imports.secrets(id),
      imports,
      route,
      fleet,
      publish,
      signal,
    });
    this.#runners.set(id, runner);
    return runner;
  }

  #targeted(request: ImportRequest): TargetedRequest {
    const target = request.target ?? this.#options.defaultTarget;
    if (target === undefined) {
      throw new AppError(
        'REQUEST_INVALID',
        'target: the request names no target, and the configuration has none either',
      );
    }
    return { ...request, target };
  }

  #refuseSecond(id: string): void {
    if (this.#runners.has(id)) throw new AppError('IMPORT_EXISTS', `there is already an import named ${id}`);
    for (const { world } of this.#runners.values()) {
      const { document } = world.record;
      if (!isFinal(document.phase))
        throw new AppError('IMPORT_EXISTS', `the import ${document.id} is in phase ${document.phase}`);
    }
  }
}

function newDocument(
  { id, source, target, database, tables, replicaHost, options }: TargetedRequest,
  actor: string,
  report: ValidationReport & { source: ImportDocument['sourceFacts']; target: ImportDocument['targetFacts'] },
): ImportDocument {
  const now = Date.now();
  return {
    id,
    phase: 'pending',
    database,
    source: addressOf(source),
    target: addressOf(target),
    sourceFacts: report.source,
    targetFacts: report.target,
    replicaHost,
    options,
    tables: report.tables.map(({ name }) => name),
    allTables: tables === 'all',
    findings: report.findings,
    created: { schema: false, tables: [], objects: [], users: [] },
    activeObjects: NO_ACTIVE_OBJECTS,
    startPosition: null,
    copiedPosition: null,
    cascadesSettled: false,
    copy: { rows: 0, bytes: 0, tableRows: {}, startedAtMs: null, finishedAtMs: null },
    replicasOnTarget: false,
    fence: null,
    leftFence: null,
    eventsLeft: [],
    intent: null,
    decisions: [],
    verify: null,
    switches: [],
    error: null,
    createdAtMs: now,
    createdBy: actor,
    updatedAtMs: now,
  };
}

/** Of imports that have ended, or that the operator puts this one in the place of. */
async function formerDecisions({ source, target }: TargetedRequest): Promise<ImportDocument['decisions']> {
  const told = await Promise.all(
    [source, target].map(async (server) => {
      await using connection = await ServerConnection.open(server);
      return await readMarkers(connection);
    }),
  );
  const ids = new Map(told.flat().map(({ decision, epoch }) => [decision, epoch]));
  return Array.from(ids, ([id, epoch]) => ({ id, epoch, isFormer: true }));
}

/** Without anything secret: the client key stays with the credentials. */
function addressOf({
  host,
  port,
  user,
  tls: { mode, ca, serverName, minVersion },
}: ServerDefinition): ImportDocument['source'] {
  return {
    host,
    port,
    user,
    tls: { mode, minVersion, ...(ca === undefined ? {} : { ca }), ...(serverName === undefined ? {} : { serverName }) },
  };
}
