import { childController, isAbort } from '../core/abort.ts';
import { serializeError } from '../core/errors.ts';
import type { TableView, VerifyView } from './api.ts';
import { runCopyPhase } from './copy-phase.ts';
import type { ImportDocument } from './import-document.ts';
import type { ImportStreams } from './import-streams.ts';
import type { ImportWorld } from './import-world.ts';
import { nextPhase, type PhaseEvent } from './phase.ts';
import { inspectTables } from './schema/inspect.ts';
import { runVerify } from './verify/run-verify.ts';

export interface PhaseParts {
  world: ImportWorld;
  streams: ImportStreams;
  onFailed: (error: unknown) => void;
}

/** Runs what the phase of an import needs by itself: the copy, a verification, the streams. */
export class ImportPhases {
  readonly #world: ImportWorld;
  readonly #streams: ImportStreams;
  readonly #onFailed: (error: unknown) => void;
  #tables: () => TableView[] = () => [];
  #verify: VerifyView | null;
  #background: { controller: AbortController; done: Promise<void> } | undefined;

  constructor({ world, streams, onFailed }: PhaseParts) {
    this.#world = world;
    this.#streams = streams;
    this.#onFailed = onFailed;
    this.#verify = world.record.document.verify as VerifyView | null;
  }

  get tables(): TableView[] {
    const tables = this.#tables();
    return tables.length > 0 ? tables : storedTables(this.#world.record.document);
  }

  get verify(): VerifyView | null {
    return this.#verify;
  }

  /** After a start of the engine, and by `resume`. */
  goOn(): void {
    const { phase, error } = this.#world.record.document;
    switch (phase) {
      case 'pending':
      case 'copying':
        this.#inBackground((signal) => this.#copyPhase(signal));
        return;
      case 'verifying_data':
        // A verification is not resumed: what it had proven is stale.
        this.#inBackground((signal) => this.#verifyPhase(signal));
        this.#streams.startReplicationTo('target');
        return;
      case 'running':
      case 'verified_data':
      case 'switched_replicas':
        this.#streams.startReplicationTo('target');
        return;
      case 'switched_primaries':
        this.#streams.startReplicationTo('source');
        return;
      case 'error':
        if (error?.fromPhase === 'switched_primaries') this.#streams.watchStrays();
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

  async startVerification(): Promise<void> {
    await this.#enter('start_verify');
    this.#inBackground((signal) => this.#verifyPhase(signal));
  }

  async stop(): Promise<void> {
    this.#background?.controller.abort();
    await this.#background?.done;
    this.#background = undefined;
  }

  async #copyPhase(signal: AbortSignal): Promise<void> {
    const world = this.#world;
    if (world.record.document.phase === 'pending') await this.#enter('start_copy');
    await runCopyPhase({
      world,
      streams: this.#streams,
      credentials: world.credentials,
      signal,
      onTables: (tables) => {
        this.#tables = tables;
        world.changed();
      },
    });
    await this.#enter('copied');
    world.log('info', 'the copy is complete and the target follows the source');
  }

  async #verifyPhase(signal: AbortSignal): Promise<void> {
    const { record } = this.#world;
    this.#streams.startReplicationTo('target');
    const result = await this.#verifyTables(record.document, signal).catch((error: unknown) => {
      if (isAbort(error) || signal.aborted) throw error;
      const { code, message } = serializeError(error);
      this.#world.log('error', `the verification did not finish: ${code}: ${message}`);
      return null;
    });
    const verify =
      result ??
      (this.#verify === null ? null : { ...this.#verify, state: 'failed' as const, finishedAtMs: Date.now() });
    this.#verify = verify;
    await record.update(({ phase }) => ({
      verify,
      phase: nextPhase(phase, verify?.state === 'equal' ? 'verified' : 'verify_ended'),
    }));
    this.#world.log(verify?.state === 'equal' ? 'info' : 'warn', `verification: ${verify?.state ?? 'failed'}`, {
      rows: verify?.rows,
    });
  }

  async #verifyTables(document: ImportDocument, signal: AbortSignal): Promise<VerifyView> {
    const world = this.#world;
    const { source, target } = world.credentials;
    await using sourceConnection = await world.connect('source');
    await using targetConnection = await world.connect('target');
    return await runVerify({
      flavors: { source: document.sourceFacts.flavor, target: document.targetFacts.flavor },
      source,
      target,
      sourceTables: await inspectTables(sourceConnection, document.database, document.tables),
      targetTables: await inspectTables(targetConnection, document.database, document.tables),
      follower: this.#streams.follower(),
      connections: Math.min(2, document.options.connections),
      signal,
      onProgress: (view) => {
        this.#verify = view;
        world.changed();
      },
    });
  }

  #inBackground(work: (signal: AbortSignal) => Promise<void>): void {
    const controller = childController(this.#world.signal);
    const done = work(controller.signal).catch((error: unknown) => {
      if (!controller.signal.aborted) this.#onFailed(error);
    });
    this.#background = { controller, done };
  }

  async #enter(event: PhaseEvent): Promise<void> {
    await this.#world.record.update(({ phase }) => ({ phase: nextPhase(phase, event) }));
    this.#world.changed();
  }
}

function storedTables({ tables, copy }: ImportDocument): TableView[] {
  const state = copy.finishedAtMs === null ? 'waiting' : 'copied';
  return tables.map((name) => {
    const rows = copy.tableRows[name] ?? 0;
    return { name, rowsTotal: rows, rowsCopied: rows, state, etaMs: null };
  });
}
