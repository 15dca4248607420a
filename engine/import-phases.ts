import { childController } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import type { TableView, VerifyRequest } from './api.ts';
import { runCopyPhase } from './copy-phase.ts';
import type { ImportDocument } from './import-document.ts';
import type { ImportStreams } from './import-streams.ts';
import type { ImportVerification } from './verification/import-verification.ts';
import type { ImportWorld } from './import-world.ts';
import { nextPhase, type PhaseEvent } from './phase.ts';

export interface PhaseParts {
  world: ImportWorld;
  streams: ImportStreams;
  verification: ImportVerification;
  onFailed: (error: unknown) => void;
  /** See `StreamEvents`. */
  mayBegin: () => Promise<void>;
  /** The target follows the source now. */
  onCopied: () => void;
}

/** Runs what the phase of an import needs by itself: the copy, a verification, the streams. */
export class ImportPhases {
  readonly #world: ImportWorld;
  readonly #streams: ImportStreams;
  readonly #onFailed: (error: unknown) => void;
  readonly #mayBegin: () => Promise<void>;
  readonly #onCopied: () => void;
  readonly #verification: ImportVerification;
  #tables: () => TableView[] = () => [];
  #background: { controller: AbortController; done: Promise<void> } | undefined;

  constructor({ world, streams, verification, onFailed, mayBegin, onCopied }: PhaseParts) {
    this.#world = world;
    this.#streams = streams;
    this.#onFailed = onFailed;
    this.#mayBegin = mayBegin;
    this.#onCopied = onCopied;
    this.#verification = verification;
  }

  get tables(): TableView[] {
    const tables = this.#tables();
    return tables.length > 0 ? tables : storedTables(this.#world.record.document);
  }

  /** After a start of the engine, and by `resume`. */
  goOn(): void {
    const { phase, error, verify } = this.#world.record.document;
    switch (phase) {
      case 'pending':
      case 'copying':
        this.#inBackground((signal) => this.#copyPhase(signal));
        return;
      case 'verifying_data':
        this.#inBackground((signal) => this.#verifyPhase('resumed', signal));
        this.#streams.followSource();
        return;
      case 'running':
      case 'verified_data':
        this.#streams.followSource();
        this.#verification.keep();
        return;
      case 'switched_replicas':
      case 'switched_primaries':
        if (phase === 'switched_replicas') this.#streams.followSource();
        else this.#streams.startReplicationTo('source');
        if (verify?.state === 'running') this.#inBackground((signal) => this.#verifyPhase('resumed', signal));
        else this.#verification.keep();
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

  /** A new one, or one that has stopped on its way. */
  async startVerification(request: VerifyRequest | 'resumed'): Promise<void> {
    const { phase, options } = this.#world.record.document;
    if (phase === 'switched_primaries' && options.reverse === 'off')
      throw new AppError(
        'VERIFY_REVERSE_OFF',
        'the import has reverse: off, so the source does not follow the target, which is primary',
      );
    if (this.#verification.isRunning) throw new AppError('PHASE_REFUSED', 'a verification runs already');
    await this.#enter('start_verify');
    this.#inBackground((signal) => this.#verifyPhase(request, signal));
    // Whoever asked is told of this one, not of the one before.
    await this.#verification.begun();
  }

  async stop(): Promise<void> {
    this.#background?.controller.abort();
    await this.#background?.done;
    this.#background = undefined;
    await this.#verification.stop();
  }

  async #copyPhase(signal: AbortSignal): Promise<void> {
    const world = this.#world;
    if (world.record.document.phase === 'pending') await this.#enter('start_copy');
    await runCopyPhase({
      world,
      streams: this.#streams,
      credentials: world.credentials,
      signal,
      mayBegin: this.#mayBegin,
      onTables: (tables) => {
        this.#tables = tables;
        world.changed();
      },
    });
    await this.#enter('copied');
    this.#streams.followSource();
    this.#onCopied();
    world.log('info', 'the copy is complete and the target follows the source');
  }

  async #verifyPhase(request: VerifyRequest | 'resumed', signal: AbortSignal): Promise<void> {
    const primary = this.#world.record.document.phase === 'switched_primaries' ? 'target' : 'source';
    if (primary === 'source') this.#streams.followSource();
    else this.#streams.startReplicationTo('source');
    await this.#verification.run(request, primary, signal);
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
