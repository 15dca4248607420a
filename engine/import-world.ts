import { AppError } from '../core/errors.ts';
import type { LogLevel, PublishedEvent } from '../core/control/protocol.ts';
import type { Side } from '../core/phase.ts';
import type { ImportView, ServerDefinition } from './api.ts';
import type { ProxyFleet } from './control.ts';
import type { ImportSecrets } from './import-document.ts';
import type { ImportRecord, ImportStore } from './import-store.ts';
import type { Route } from './route.ts';
import { ServerConnection, type OpenOptions } from './server/connection.ts';

export interface ImportWorldOptions {
  record: ImportRecord;
  secrets: ImportSecrets | undefined;
  imports: ImportStore;
  route: Route;
  fleet: ProxyFleet;
  publish: (event: PublishedEvent) => void;
  signal: AbortSignal;
}

const PUBLISH_INTERVAL_MS = 250;

/** What every part of one import shares: its document, both servers, the route, the proxies, and how things are told. */
export class ImportWorld {
  readonly record: ImportRecord;
  readonly route: Route;
  readonly fleet: ProxyFleet;
  readonly signal: AbortSignal;
  readonly #imports: ImportStore;
  readonly #publish: (event: PublishedEvent) => void;
  readonly #view: () => Promise<ImportView>;
  #secrets: ImportSecrets | undefined;
  #publishDue = false;

  /** `view` makes what is published after a change. */
  constructor(
    { record, secrets, imports, route, fleet, publish, signal }: ImportWorldOptions,
    view: () => Promise<ImportView>,
  ) {
    this.record = record;
    this.route = route;
    this.fleet = fleet;
    this.signal = signal;
    this.#secrets = secrets;
    this.#imports = imports;
    this.#publish = publish;
    this.#view = view;
  }

  get credentials(): ImportSecrets {
    if (this.#secrets === undefined) throw new AppError('NOT_FOUND', 'the credentials of this import are erased');
    return this.#secrets;
  }

  get hasCredentials(): boolean {
    return this.#secrets !== undefined;
  }

  credentialsOf(side: Side): ServerDefinition {
    return this.credentials[side];
  }

  async connect(side: Side, options: OpenOptions = {}): Promise<ServerConnection> {
    return await ServerConnection.open(this.credentials[side], options);
  }

  /** I10: after it no side can be reached any more. */
  async eraseSecrets(): Promise<void> {
    await this.#imports.eraseSecrets(this.record.document.id);
    this.#secrets = undefined;
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
      void this.#view().then(
        (view) => this.#publish({ kind: 'import', importId: view.id, view }),
        () => {},
      );
    }, PUBLISH_INTERVAL_MS).unref();
  }

  /** A failure of `work` is logged with its consequence, and is nothing more. */
  async tolerating(consequence: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log('warn', `${consequence}: ${(error as Error).message}`);
    }
  }
}
