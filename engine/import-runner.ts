import { childController, isAbort } from '../core/abort.ts';
import { AppError, serializeError } from '../core/errors.ts';
import { otherSide, type Phase, type Side } from '../core/phase.ts';
import type { LogLevel, PublishedEvent } from '../core/control/protocol.ts';
import type {
  ImportView,
  ReplicaHost,
  ServerDefinition,
  StrayApplyReport,
  StrayApplyRequest,
  StrayListRequest,
  StrayWriteView,
  SwitchReport,
  SwitchRequest,
  TableView,
  VerifyView,
} from './api.ts';
import type { TableWindow } from './apply/window.ts';
import type { ProxyFleet } from './control.ts';
import { runCopyPhase } from './copy-phase.ts';
import { ddlHandler, type DdlDecision } from './ddl-policy.ts';
import type { ImportDocument, ImportSecrets } from './import-document.ts';
import type { ImportRecord, ImportStore } from './import-store.ts';
import { importView } from './import-view.ts';
import { isFinal, nextPhase, TRANSITIONS } from './phase.ts';
import { removeTarget, removeSidecar } from './remove.ts';
import { Replication } from './replication.ts';
import { endpointsOf, type Route } from './route.ts';
import { inspectTables } from './schema/inspect.ts';
import { ServerConnection } from './server/connection.ts';
import { checkSwitch } from './switch/switch-preflight.ts';
import { fenceContext, recoverSwitch, TrafficSwitch, type SwitchWorld } from './switch/traffic-switch.ts';
import { persistFence } from './switch/fence.ts';
import { FenceWatch } from './switch/fence-watch.ts';
import { runVerify } from './verify/run-verify.ts';
import type { Follower, TouchListener } from './verify/follower.ts';
import { rowKey } from './apply/window.ts';
import type { StreamPosition } from '../core/gtid.ts';
import { applyStrayWrites } from './stray-apply.ts';
import { StrayWatch } from './stray-watch.ts';
import { listStrayWrites } from './stray-writes.ts';

export interface RunnerOptions {
  record: ImportRecord;
  secrets: ImportSecrets | undefined;
  imports: ImportStore;
  route: Route;
  fleet: ProxyFleet;
  publish: (event: PublishedEvent) => void;
  signal: AbortSignal;
}

const PUBLISH_INTERVAL_MS = 250;

/**
 * One import: brings it to where its phase says it is after a start, runs what the phase needs, and carries out
 * requests, one at a time. Phases change only through `nextPhase`, and are stored before their effect begins.
 */
export class ImportRunner implements SwitchWorld {
  readonly record: ImportRecord;
  readonly route: Route;
  readonly fleet: ProxyFleet;
  readonly #imports: ImportStore;
  readonly #publish: (event: PublishedEvent) => void;
  readonly #signal: AbortSignal;
  readonly #streams = new Map<Side, Replication>();
  readonly #touchListeners = new Set<TouchListener>();
  #secrets: ImportSecrets | undefined;
  #tables: TableView[] = [];
  #verify: VerifyView | null;
  #background: { controller: AbortController; done: Promise<void> } | undefined;
  #exclusive: string | undefined;
  #strayWatch: StrayWatch | undefined;
  #fenceWatch: FenceWatch | undefined;
  #publishDue = false;
  #heldBackFailure: unknown;
  #ddlDecision: DdlDecision | undefined;

  constructor({ record, secrets, imports, route, fleet, publish, signal }: RunnerOptions) {
    this.record = record;
    this.route = route;
    this.fleet = fleet;
    this.#secrets = secrets;
    this.#imports = imports;
    this.#publish = publish;
    this.#signal = signal;
    this.#verify = record.document.verify as VerifyView | null;
  }

  /** Goes on where the stored phase says. Called after each start of the engine, and by `resume`. */
  async start(): Promise<void> {
    const { document } = this.record;
    if (isFinal(document.phase)) {
      await this.#imports.eraseSecrets(document.id);
      return;
    }
    const route = await this.route.read();
    if (route?.importId !== document.id) await this.route.begin(document);
    const { intent } = document;
    await recoverSwitch(this);
    if (intent?.kind === 'primaries') await this.#forgetPersistedFence();
    this.#goOn();
    this.#watchFence();
    this.changed();
  }

  async view(): Promise<ImportView> {
    return importView(this.record.document, {
      tables: this.#tables.length > 0 ? this.#tables : storedTables(this.record.document),
      streams: [...this.#streams.values()].map((stream) => stream.view()),
      verify: this.#verify,
      strayWrites: this.#strayWatch?.view() ?? null,
      route: await this.route.read(),
    });
  }

  // Requests: each refuses while another one runs.

  async verify(): Promise<ImportView> {
    return await this.#exclusively('verification', async () => {
      await this.#enter('start_verify');
      this.#runInBackground((signal) => this.#verifyPhase(signal));
      return await this.view();
    });
  }

  async switchTraffic(request: SwitchRequest): Promise<SwitchReport> {
    return await this.#exclusively('switch', async () => {
      const { plan, refusals, warnings } = await checkSwitch(this, request);
      const barred = refusals.filter(({ forceable }) => !(request.force && forceable));
      if (request.dryRun)
        return { switched: false, refusals, warnings, pauseMs: null, fence: plan.fence, view: await this.view() };
      if (barred.length > 0) {
        throw new AppError('SWITCH_REFUSED', barred.map(({ message }) => message).join('; '), {
          details: { refusals },
        });
      }
      this.log('info', `switching ${request.kind} to the ${plan.to}`, { fence: plan.fence });
      const trafficSwitch = new TrafficSwitch(this, plan);
      await this.#stopFenceWatch();
      const pauseMs = await trafficSwitch.run().finally(() => this.#watchFence());
      this.log('info', `${request.kind} are served by the ${plan.to}`, {
        pauseMs: Math.round(pauseMs),
        steps: trafficSwitch.steps,
      });
      if (plan.kind === 'primaries') await this.#forgetPersistedFence();
      return { switched: true, refusals, warnings, pauseMs, fence: plan.fence, view: await this.view() };
    });
  }

  async setReplicaHost(replicaHost: ReplicaHost | null): Promise<ImportView> {
    return await this.#exclusively('change of the replica host', async () => {
      const { document } = this.record;
      if (isFinal(document.phase)) nextPhase(document.phase, 'cancel');
      if (replicaHost !== null) {
        const probe = await ServerConnection.open({ ...this.#credentials().source, ...replicaHost });
        await probe.close();
      }
      const changed = await this.record.update(() => ({ replicaHost }));
      const { epoch } = await this.route.of(document.id);
      await this.route.change(epoch, { endpoints: endpointsOf(changed) });
      return await this.view();
    });
  }

  async complete(confirm: string): Promise<ImportView> {
    return await this.#exclusively('completion', async () => {
      const { document } = this.record;
      const phase = nextPhase(document.phase, 'complete');
      if (confirm !== document.id) {
        throw new AppError(
          'CONFIRMATION_REQUIRED',
          `completing cannot be undone: confirm it with the name of the import, ${document.id}`,
        );
      }
      await this.stop();
      const left = this.#strayWatch?.view()?.unapplied ?? 0;
      if (left > 0)
        this.log(
          'warn',
          `${left} stray writes were never applied: they stay in _switchyard.stray_writes on the target`,
        );
      await this.#tolerating('the sidecar schema on the source stays', () => removeSidecar(this, 'source'));
      await this.record.update(() => ({
        phase,
        source: { ...document.source, user: null },
        target: { ...document.target, user: null },
      }));
      await this.#imports.eraseSecrets(document.id);
      this.#secrets = undefined;
      this.log('info', 'completed: replication has ended and the stored credentials are erased', {
        fence: document.fence,
      });
      return await this.view();
    });
  }

  async cancel(): Promise<ImportView> {
    const { document } = this.record;
    const origin = document.error?.fromPhase ?? document.phase;
    if (!('cancel' in TRANSITIONS[origin])) nextPhase(origin, 'cancel');
    await this.#stopBackground();
    return await this.#exclusively('cancelling', async () => {
      const phase = nextPhase(this.record.document.phase, 'cancel');
      await this.stop();
      await removeTarget(this);
      await this.record.update(() => ({ phase, error: null }));
      await this.#imports.eraseSecrets(document.id);
      this.#secrets = undefined;
      this.log('info', 'cancelled: the tables that Switchyard made on the target are dropped');
      return await this.view();
    });
  }

  async listStrayWrites({ after, limit, unapplied }: StrayListRequest): Promise<StrayWriteView[]> {
    await using connection = await this.connect('target');
    return await listStrayWrites(connection, {
      importId: this.record.document.id,
      after,
      limit,
      unappliedOnly: unapplied,
    });
  }

  async applyStrayWrites(ids: StrayApplyRequest['ids'], actor: string): Promise<StrayApplyReport> {
    return await this.#exclusively('application of stray writes', async () => {
      const { id, database, phase, error } = this.record.document;
      if ((error?.fromPhase ?? phase) !== 'switched_primaries') {
        throw new AppError(
          'PHASE_REFUSED',
          `stray writes cannot be applied in phase ${phase}; possible in switched_primaries`,
        );
      }
      await using connection = await this.connect('target');
      const report = await applyStrayWrites({ connection, importId: id, database, ids, actor });
      await this.#strayWatch?.recount(connection);
      const level = report.conflicts.length > 0 ? 'warn' : 'info';
      this.log(level, `stray writes: ${report.applied} applied, ${report.conflicts.length} in conflict`, {
        conflicts: report.conflicts.slice(0, 20),
      });
      return { ...report, strayWrites: this.#strayWatch?.view() ?? null };
    });
  }

  async resume(ddl: DdlDecision | undefined): Promise<ImportView> {
    return await this.#exclusively('resuming', async () => {
      const { error } = this.record.document;
      if (error === null) {
        throw new AppError(
          'PHASE_REFUSED',
          `there is nothing to resume in phase ${this.record.document.phase}; possible in error`,
        );
      }
      this.#ddlDecision = ddl;
      await this.record.update(() => ({ phase: error.fromPhase, error: null }));
      await this.start();
      return await this.view();
    });
  }

  /** Ends everything that runs; the phase stays. */
  async stop(): Promise<void> {
    await this.#stopBackground();
    await this.#stopFenceWatch();
    await this.#stopStreams();
    await this.#strayWatch?.stop();
  }

  // SwitchWorld

  async connect(side: Side): Promise<ServerConnection> {
    return await ServerConnection.open(this.#credentials()[side]);
  }

  credentialsOf(side: Side): ServerDefinition {
    return this.#credentials()[side];
  }

  replicationTo(side: Side): Replication | undefined {
    return this.#streams.get(side);
  }

  startReplicationTo(side: Side): void {
    if (side === 'source') this.#watchStrays();
    if (this.#streams.has(side)) return;
    const { document } = this.record;
    const origin = otherSide(side);
    const stream = new Replication(
      {
        importId: document.id,
        direction: side === 'target' ? 'forward' : 'reverse',
        origin: this.#credentials()[origin],
        destination: this.#credentials()[side],
        flavor: origin === 'source' ? document.sourceFacts.flavor : document.targetFacts.flavor,
        database: document.database,
        loadTables: async () => {
          await using connection = await this.connect(origin);
          return await inspectTables(connection, document.database, document.tables);
        },
        onDdl: ddlHandler({
          world: this,
          destination: side,
          policy: document.options.ddl,
          takeDecision: () => this.#takeDdlDecision(),
        }),
        onApplied: (tables) => this.#onApplied(tables),
        onRetry: (error) => {
          this.log('warn', `replication to the ${side} reconnects: ${error.message}`);
          this.#fenceWatch?.poke();
        },
      },
      this.#signal,
    );
    this.#streams.set(side, stream);
    stream.done.catch((error: unknown) => this.#fail(error));
    this.log('info', `replication to the ${side} started`);
  }

  async stopReplicationTo(side: Side): Promise<void> {
    const stream = this.#streams.get(side);
    this.#streams.delete(side);
    await Promise.all([stream?.stop(), side === 'source' ? this.#strayWatch?.stop() : undefined]);
  }

  async strayWatchReached(position: StreamPosition, timeoutMs: number): Promise<boolean> {
    const reached =
      this.#strayWatch?.waitFor(position, AbortSignal.timeout(timeoutMs)) ?? Promise.reject(new Error('no watch'));
    return await reached.then(
      () => true,
      () => false,
    );
  }

  strayWatchKeeps(side: Side): boolean {
    if (side !== 'target' || this.#strayWatch === undefined) return false;
    if (this.#strayWatch.readable) return true;
    this.log(
      'error',
      'the old log of the source cannot be read: replication to the target begins at its end, stray writes before it stay on the source alone',
    );
    return false;
  }

  log(level: LogLevel, message: string, details?: Record<string, unknown>): void {
    const importId = this.record.document.id;
    this.#publish({
      kind: 'log',
      importId,
      atMs: Date.now(),
      level,
      message,
      ...(details === undefined ? {} : { details }),
    });
    this.changed();
  }

  /** Publishes the view, at most a few times a second. */
  changed(): void {
    if (this.#publishDue) return;
    this.#publishDue = true;
    setTimeout(() => {
      this.#publishDue = false;
      void this.view().then(
        (view) => this.#publish({ kind: 'import', importId: view.id, view }),
        () => {},
      );
    }, PUBLISH_INTERVAL_MS).unref();
  }

  // Phases

  #goOn(): void {
    const { phase } = this.record.document;
    switch (phase) {
      case 'pending':
      case 'copying':
        this.#runInBackground((signal) => this.#copyPhase(signal));
        return;
      case 'verifying_data':
        // A verification is not resumed: what it had proven is stale.
        this.#runInBackground((signal) => this.#verifyPhase(signal));
        this.startReplicationTo('target');
        return;
      case 'running':
      case 'verified_data':
      case 'switched_replicas':
        this.startReplicationTo('target');
        return;
      case 'switched_primaries':
        this.startReplicationTo('source');
        return;
      case 'error':
        if (this.record.document.error?.fromPhase === 'switched_primaries') this.#watchStrays();
        return;
      case 'switching_replicas':
      case 'switching_primaries':
      case 'completed':
      case 'cancelled':
        return;
      default:
        phase satisfies never;
    }
  }

  async #copyPhase(signal: AbortSignal): Promise<void> {
    if (this.record.document.phase === 'pending') await this.#enter('start_copy');
    await runCopyPhase({
      world: this,
      credentials: this.#credentials(),
      signal,
      onTables: (tables) => {
        this.#tables = tables;
        this.changed();
      },
    });
    await this.#enter('copied');
    this.log('info', 'the copy is complete and the target follows the source');
  }

  async #verifyPhase(signal: AbortSignal): Promise<void> {
    const { document } = this.record;
    this.startReplicationTo('target');
    const result = await this.#verifyTables(document, signal).catch((error: unknown) => {
      if (isAbort(error) || signal.aborted) throw error;
      const { code, message } = serializeError(error);
      this.log('error', `the verification did not finish: ${code}: ${message}`);
      return null;
    });
    const verify =
      result ??
      (this.#verify === null ? null : { ...this.#verify, state: 'failed' as const, finishedAtMs: Date.now() });
    this.#verify = verify;
    await this.record.update(({ phase }) => ({
      verify,
      phase: nextPhase(phase, verify?.state === 'equal' ? 'verified' : 'verify_ended'),
    }));
    this.log(verify?.state === 'equal' ? 'info' : 'warn', `verification: ${verify?.state ?? 'failed'}`, {
      rows: verify?.rows,
    });
  }

  async #verifyTables(document: ImportDocument, signal: AbortSignal): Promise<VerifyView> {
    const { source, target } = this.#credentials();
    await using sourceConnection = await this.connect('source');
    await using targetConnection = await this.connect('target');
    return await runVerify({
      flavors: { source: document.sourceFacts.flavor, target: document.targetFacts.flavor },
      source,
      target,
      sourceTables: await inspectTables(sourceConnection, document.database, document.tables),
      targetTables: await inspectTables(targetConnection, document.database, document.tables),
      follower: this.#follower(),
      connections: Math.min(2, document.options.connections),
      signal,
      onProgress: (view) => {
        this.#verify = view;
        this.changed();
      },
    });
  }

  #follower(): Follower {
    const stream = () => {
      const running = this.#streams.get('target');
      if (running === undefined) throw new AppError('SERVER_GONE', 'replication to the target is not running');
      return running;
    };
    return {
      get applied() {
        return stream().applied;
      },
      waitFor: (position, signal) => stream().waitFor(position, signal),
      reported: () => stream().reported(),
      onTouched: (listener) => {
        this.#touchListeners.add(listener);
        return { [Symbol.dispose]: () => void this.#touchListeners.delete(listener) };
      },
    };
  }

  #onApplied(tables: Iterable<TableWindow>): void {
    for (const { table, rows } of tables) {
      for (const listener of this.#touchListeners) {
        listener(
          table.name,
          [...rows.values()].map(({ key }) => ({ key: rowKey(key), values: key })),
        );
      }
    }
    this.changed();
  }

  // One thing at a time

  async #exclusively<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#exclusive !== undefined) {
      throw new AppError(
        'OPERATION_IN_PROGRESS',
        `the ${this.#exclusive} of ${this.record.document.id} has not ended yet`,
      );
    }
    this.#exclusive = what;
    try {
      return await work();
    } finally {
      this.#exclusive = undefined;
      const failure = this.#heldBackFailure;
      this.#heldBackFailure = undefined;
      if (failure !== undefined) this.#fail(failure);
      this.changed();
    }
  }

  #runInBackground(work: (signal: AbortSignal) => Promise<void>): void {
    const controller = childController(this.#signal);
    const done = work(controller.signal).catch((error: unknown) => {
      if (!controller.signal.aborted) this.#fail(error);
    });
    this.#background = { controller, done };
  }

  async #stopStreams(): Promise<void> {
    await Promise.all([...this.#streams.values()].map((stream) => stream.stop()));
    this.#streams.clear();
  }

  /** Only while the target is primary: begins where the stream to the target ended, which must have been stopped. */
  #watchStrays(): void {
    if (this.#strayWatch !== undefined && !this.#strayWatch.ended) return;
    const { id, database, tables, sourceFacts } = this.record.document;
    this.#strayWatch = new StrayWatch(
      {
        importId: id,
        direction: 'forward',
        oldPrimary: this.#credentials().source,
        newPrimary: this.#credentials().target,
        flavor: sourceFacts.flavor,
        database,
        loadTables: async () => {
          await using connection = await this.connect('source');
          // Not by name: a stray DDL may have dropped one.
          return (await inspectTables(connection, database, 'all')).filter(({ name }) => tables.includes(name));
        },
        log: (level, message, details) => this.log(level, message, details),
        onChanged: () => this.changed(),
      },
      this.#signal,
    );
  }

  async #stopBackground(): Promise<void> {
    this.#background?.controller.abort();
    await this.#background?.done;
    this.#background = undefined;
  }

  async #enter(event: Parameters<typeof nextPhase>[1]): Promise<Phase> {
    const { phase } = await this.record.update((document) => ({ phase: nextPhase(document.phase, event) }));
    this.changed();
    return phase;
  }

  /** Stops with a reason; traffic stays on the last committed route. During a request it waits for the request's end. */
  #fail(error: unknown): void {
    if (this.#signal.aborted || isAbort(error)) return;
    if (this.#exclusive !== undefined) {
      this.#heldBackFailure ??= error;
      return;
    }
    const { code, message, details } = serializeError(error);
    void (async () => {
      // Stray writes are watched for on: what reaches the old primary does not wait for the remedy.
      await this.#stopBackground();
      await this.#stopFenceWatch();
      await this.#stopStreams();
      const { phase } = this.record.document;
      if (phase === 'error' || isFinal(phase)) return;
      const fromPhase = phase === 'verifying_data' ? 'running' : phase;
      await this.record.update(() => ({
        phase: 'error',
        error: { code, message, details, fromPhase, atMs: Date.now() },
      }));
      this.#watchFence();
      this.log(
        'error',
        `${code}: ${message}`,
        code === 'INTERNAL' && error instanceof Error ? { stack: error.stack } : undefined,
      );
    })();
  }

  /** What stands on the old primary is guarded, whatever else has stopped. */
  #watchFence(): void {
    if (this.record.document.fence === null || isFinal(this.record.document.phase)) return;
    this.#fenceWatch ??= new FenceWatch(this, this.#signal);
  }

  async #stopFenceWatch(): Promise<void> {
    const watch = this.#fenceWatch;
    this.#fenceWatch = undefined;
    await watch?.stop();
  }

  /** The server that is primary must not come back read-only from a restart. */
  async #forgetPersistedFence(): Promise<void> {
    const { id } = this.record.document;
    const { primary } = await this.route.of(id);
    await this.#tolerating(`the ${primary} may be read_only after a restart`, async () => {
      await using connection = await this.connect(primary);
      await persistFence('read_only', fenceContext(this.record.document, primary, connection), false);
    });
  }

  async #tolerating(consequence: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log('warn', `${consequence}: ${(error as Error).message}`);
    }
  }

  #takeDdlDecision(): DdlDecision | undefined {
    const decision = this.#ddlDecision;
    this.#ddlDecision = undefined;
    return decision;
  }

  #credentials(): ImportSecrets {
    if (this.#secrets === undefined) throw new AppError('NOT_FOUND', 'the credentials of this import are erased');
    return this.#secrets;
  }
}

function storedTables({ tables, copy }: ImportDocument): TableView[] {
  const state = copy.finishedAtMs === null ? 'waiting' : 'copied';
  return tables.map((name) => {
    const rows = copy.tableRows[name] ?? 0;
    return { name, rowsTotal: rows, rowsCopied: rows, state, etaMs: null };
  });
}
