import { AppError } from '../../core/errors.ts';
import type { Phase } from '../../core/phase.ts';
import type {
  EngineApi,
  ImportView,
  StrayWriteView,
  SwitchRefusal,
  SwitchReport,
  UsersView,
  VerifyView,
} from '../../engine/api.ts';
import type { DoctorReport } from '../../engine/doctor/doctor-report.ts';
import { moveTo, standInImport, STAND_IN_TABLES } from './stand-in-import.ts';

/** Answers like the engine, from memory. `changed` is told of every view that changed. */
export class StandInEngine implements EngineApi {
  readonly imports = new Map<string, ImportView>();
  /** Every request with its arguments, so that tests see what arrived. */
  readonly calls: { method: string; args: unknown }[] = [];
  /** Set to make every request fail. */
  failure: unknown;
  /** Set to have switches refused. */
  refusals: SwitchRefusal[] = [];
  /** Set to have some. */
  strayWrites: StrayWriteView[] = [];
  users = standInUsers();
  readonly #changed: (view: ImportView) => void;

  constructor(changed: (view: ImportView) => void) {
    this.#changed = changed;
  }

  validate: EngineApi['validate'] = async (request) => {
    this.#record('validate', request);
    const { source, target, findings } = standInImport(request);
    const ok = request.source.user !== 'nobody';
    return {
      ok,
      source: source.facts,
      target: target.facts,
      findings: ok
        ? findings
        : [
            {
              code: 'GRANT_MISSING',
              severity: 'error',
              skippable: false,
              side: 'source',
              subject: 'nobody@%',
              message: 'The user may not read the binary log.',
              fix: "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'nobody'@'%';",
            },
          ],
      tables: STAND_IN_TABLES.map(([name, rowsEstimate]) => ({ name, rowsEstimate, bytes: rowsEstimate * 180 })),
    };
  };

  createImport: EngineApi['createImport'] = async (request) => {
    this.#record('createImport', request);
    if (this.imports.has(request.id)) throw new AppError('IMPORT_EXISTS', `there is an import ${request.id}`);
    const view = standInImport(request);
    this.imports.set(request.id, view);
    return this.move(view, 'copying');
  };

  listImports: EngineApi['listImports'] = async () => {
    this.#record('listImports', {});
    return structuredClone([...this.imports.values()]);
  };

  getImport: EngineApi['getImport'] = async (params) => {
    this.#record('getImport', params);
    return structuredClone(this.find(params.id));
  };

  cancelImport: EngineApi['cancelImport'] = async (params) => {
    this.#record('cancelImport', params);
    return this.#from(params.id, ['pending', 'copying', 'running', 'verified_data', 'error'], 'cancelled');
  };

  pauseVerification: EngineApi['pauseVerification'] = async (params) => {
    this.#record('pauseVerification', params);
    const { verify } = this.find(params.id);
    if (verify !== null) verify.state = 'paused';
    return this.#verifying(params.id, ['verifying_data'], 'running');
  };

  repairDifferences: EngineApi['repairDifferences'] = async (params) => {
    this.#record('repairDifferences', params);
    const view = this.find(params.id);
    return { repaired: 1, already: 0, left: [], view };
  };

  resumeVerification: EngineApi['resumeVerification'] = async (params) => {
    this.#record('resumeVerification', params);
    const { verify } = this.find(params.id);
    if (verify !== null) verify.state = 'running';
    return this.#verifying(params.id, ['running', 'verified_data'], 'verifying_data');
  };

  verify: EngineApi['verify'] = async (params) => {
    this.#record('verify', params);
    const view = this.find(params.id);
    view.verify = standInVerify(view);
    return this.#verifying(params.id, ['running', 'verified_data'], 'verifying_data');
  };

  switchTraffic: EngineApi['switchTraffic'] = async (params): Promise<SwitchReport> => {
    this.#record('switchTraffic', params);
    const view = this.find(params.id);
    const refusals = params.force ? this.refusals.filter(({ forceable }) => !forceable) : this.refusals;
    const warnings = view.verify === null ? ['The data was not verified.'] : [];
    const fence = 'triggers';
    if (params.dryRun)
      return { switched: false, refusals, warnings, pauseMs: null, hold: null, fence, view: structuredClone(view) };
    if (refusals.length > 0) {
      throw new AppError('SWITCH_REFUSED', `the switch of ${params.kind} is refused for ${refusals.length} reasons`, {
        details: { refusals },
      });
    }
    const to = params.back ? 'source' : 'target';
    const pauseMs = 84;
    const toMs = Date.now();
    const hold = { fromMs: toMs - pauseMs, toMs, steps: { drain: 12, decide: 70 } };
    const forced = params.force ? this.refusals.map(({ code }) => code) : [];
    view.switches.push({ kind: params.kind, to, atMs: Date.now(), pauseMs, fence, forced });
    view.traffic = {
      ...view.traffic,
      [params.kind === 'primaries' ? 'primary' : 'replica']: to,
      epoch: view.traffic.epoch + 2,
    };
    const phase: Phase = params.back
      ? 'running'
      : params.kind === 'primaries'
        ? 'switched_primaries'
        : 'switched_replicas';
    return { switched: true, refusals: this.refusals, warnings, pauseMs, hold, fence, view: this.move(view, phase) };
  };

  setReplicaHost: EngineApi['setReplicaHost'] = async (params) => {
    this.#record('setReplicaHost', params);
    const view = this.find(params.id);
    view.replicaHost = params.replicaHost;
    return this.changed(view);
  };

  complete: EngineApi['complete'] = async (params) => {
    this.#record('complete', params);
    if (params.confirm !== params.id) throw new AppError('CONFIRMATION_REQUIRED', `confirm with the name ${params.id}`);
    return this.#from(params.id, ['switched_primaries'], 'completed');
  };

  listStrayWrites: EngineApi['listStrayWrites'] = async (params) => {
    this.#record('listStrayWrites', params);
    this.find(params.id);
    return structuredClone(this.strayWrites);
  };

  listConflicts: EngineApi['listConflicts'] = async (params) => {
    this.#record('listConflicts', params);
    return [];
  };

  listUsers: EngineApi['listUsers'] = async (params) => {
    this.#record('listUsers', params);
    this.find(params.id);
    return structuredClone(this.users);
  };

  createUsers: EngineApi['createUsers'] = async (params) => {
    this.#record('createUsers', params);
    this.find(params.id);
    for (const user of this.users.users) if (user.account === "'app'@'%'") Object.assign(user, { state: 'same' });
    return { created: ["'app'@'%'"], refused: [], view: structuredClone(this.users) };
  };

  usersScript: EngineApi['usersScript'] = async (params) => {
    this.#record('usersScript', params);
    this.find(params.id);
    return { script: 'CREATE USER `app`@`%`;', hasSecrets: params.hashes };
  };

  applyStrayWrites: EngineApi['applyStrayWrites'] = async (params) => {
    this.#record('applyStrayWrites', params);
    const view = this.find(params.id);
    const chosen = this.strayWrites.filter(
      ({ id, applied }) => !applied && (params.ids === 'all' || params.ids.includes(id)),
    );
    for (const write of chosen) write.applied = true;
    if (view.strayWrites !== null) view.strayWrites.unapplied -= chosen.length;
    this.changed(view);
    return { applied: chosen.length, already: 0, conflicts: [], strayWrites: structuredClone(view.strayWrites) };
  };

  doctor: EngineApi['doctor'] = async (params) => {
    this.#record('doctor', params);
    return standInReport(this.find(params.id), 'found');
  };

  repair: EngineApi['repair'] = async (params) => {
    this.#record('repair', params);
    return standInReport(this.find(params.id), 'repaired');
  };

  resume: EngineApi['resume'] = async (params) => {
    this.#record('resume', params);
    const view = this.find(params.id);
    const phase = view.error?.fromPhase ?? 'running';
    view.error = null;
    return this.#from(params.id, ['error'], phase);
  };

  find(id: string): ImportView {
    const view = this.imports.get(id);
    if (view === undefined) throw new AppError('NOT_FOUND', `there is no import ${id}`);
    return view;
  }

  move(view: ImportView, phase: Phase): ImportView {
    moveTo(view, phase);
    return this.changed(view);
  }

  changed(view: ImportView): ImportView {
    view.updatedAtMs = Date.now();
    this.#changed(view);
    return structuredClone(view);
  }

  #from(id: string, phases: Phase[], to: Phase): ImportView {
    const view = this.find(id);
    if (!phases.includes(view.phase)) {
      throw new AppError('PHASE_REFUSED', `not possible in ${view.phase}, only in ${phases.join(', ')}`);
    }
    return this.move(view, to);
  }

  /** Behind the first switch a verification has no phase of its own. */
  #verifying(id: string, phases: Phase[], to: Phase): ImportView {
    const view = this.find(id);
    const hasNone = view.phase === 'switched_replicas' || view.phase === 'switched_primaries';
    return hasNone ? this.changed(view) : this.#from(id, phases, to);
  }

  #record(method: string, args: unknown): void {
    this.calls.push({ method, args: structuredClone(args) });
    if (this.failure !== undefined) throw this.failure;
  }
}

function standInVerify(view: ImportView): VerifyView {
  return {
    state: 'running',
    reason: null,
    etaMs: null,
    throttled: null,
    rowsPerSecond: null,
    primary: 'source',
    position: null,
    recheck: null,
    startedAtMs: Date.now(),
    finishedAtMs: null,
    rows: 0,
    tables: view.tables.map(({ name, rowsTotal }) => ({
      name,
      state: 'waiting',
      rows: 0,
      chunksDone: 0,
      chunksTotal: Math.max(1, Math.ceil(rowsTotal / 10_000)),
      differences: [],
      differencesTotal: 0,
      anew: false,
    })),
  };
}

/** One symptom that can be repaired. */
function standInReport({ id, phase, traffic }: ImportView, outcome: 'found' | 'repaired'): DoctorReport {
  return {
    importId: id,
    healthy: outcome === 'repaired',
    busyWith: null,
    phase,
    route: { ...traffic, hold: outcome === 'found' ? 'all' : 'none', fenced: false },
    intent: null,
    fence: null,
    leftFence: null,
    servers: null,
    streams: [],
    strayWrites: null,
    proxies: [{ instanceId: 'proxy-1', epoch: traffic.epoch, sessions: 3 }],
    findings: [
      {
        code: 'TRAFFIC_HELD',
        severity: 'error',
        side: null,
        message: 'all is held',
        meaning: 'The route holds traffic although no switch is under way.',
        remedy: 'Repair.',
        repair: 'end the hold',
        outcome,
      },
    ],
  };
}

function standInUsers(): UsersView {
  const user: UsersView['users'][number] = {
    account: "'app'@'%'",
    isRole: false,
    state: 'absent',
    obstacle: null,
    differences: [],
    left: [],
    otherHosts: [],
  };
  const others = [
    { account: "'shop'@'%'", state: 'same' },
    {
      account: "'report'@'10.0.0.%'",
      state: 'different',
      differences: ['lacks SELECT ON `shop`.*', 'has another password'],
      left: ['PROCESS ON *.*'],
      otherHosts: ["'report'@'localhost'"],
    },
    { account: "'old'@'%'", state: 'absent', obstacle: 'mysql_old_password does not exist there' },
    { account: "'readers'@'%'", isRole: true, state: 'same' },
  ] as const;
  return {
    from: 'source',
    to: 'target',
    users: [user, ...others.map((other) => structuredClone({ ...user, ...other }) as typeof user)],
    serverWide: ["'root'@'localhost'"],
  };
}
