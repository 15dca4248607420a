import { ApplyWindow, type WindowTransaction } from './window.ts';

/** However few rows they change: the position must get on. */
const TRANSACTIONS_MAX = 50_000;

/** What a `ChangeStream` is here. */
export interface TransactionSource {
  tryNext(): WindowTransaction | undefined;
  next(signal: AbortSignal): Promise<WindowTransaction>;
  nextWithin(waitMs: number | undefined, signal: AbortSignal): Promise<WindowTransaction | undefined>;
}

export interface CollectedWindow {
  window: ApplyWindow;
  /** What follows the window and cannot be in one with others: DDL, the first part of a large transaction, or what the caller says. */
  alone: WindowTransaction | undefined;
}

/** Collects the next window, also while the one before is being written. */
export class WindowCollector {
  readonly #source: TransactionSource;
  readonly #standsAlone: (transaction: WindowTransaction) => boolean;
  #window = new ApplyWindow();
  #alone: WindowTransaction | undefined;

  constructor(source: TransactionSource, standsAlone: (transaction: WindowTransaction) => boolean = () => false) {
    this.#source = source;
    this.#standsAlone = standsAlone;
  }

  get isEmpty(): boolean {
    return this.#window.transactions === 0 && this.#alone === undefined;
  }

  get bytes(): number {
    return this.#window.bytes;
  }

  get transactions(): number {
    return this.#window.transactions;
  }

  /** When the oldest transaction in it that has something to apply was committed. */
  get oldestCommittedAtMs(): number | undefined {
    return this.#window.oldestCommittedAtMs ?? this.#alone?.committedAtMs;
  }

  /** A transaction that was taken from the source elsewhere. */
  giveBack(transaction: WindowTransaction): void {
    this.#add(transaction);
  }

  /** Adds what is buffered, until the window is full, with `bytesMax`. Answers whether it may take more. */
  drain(bytesMax: number): boolean {
    const window = this.#window;
    while (this.#alone === undefined && window.bytes < bytesMax && window.transactions < TRANSACTIONS_MAX) {
      const transaction = this.#source.tryNext();
      if (transaction === undefined) return true;
      this.#add(transaction);
    }
    return false;
  }

  /** Waits for one transaction; false when `waitMs` passed first. */
  async wait(waitMs: number | undefined, signal: AbortSignal): Promise<boolean> {
    const transaction = await this.#source.nextWithin(waitMs, signal);
    if (transaction === undefined) return false;
    this.#add(transaction);
    return true;
  }

  /** Goes on adding what arrives until `busy` has settled. What ends the source is told to whoever asks it next. */
  async drainWhile(busy: Promise<unknown>, bytesMax: number): Promise<void> {
    const controller = new AbortController();
    const settled = busy.then(
      () => controller.abort(),
      () => controller.abort(),
    );
    while (!controller.signal.aborted && this.drain(bytesMax)) {
      const transaction = await this.#source.next(controller.signal).catch(() => undefined);
      if (transaction === undefined) break;
      this.#add(transaction);
    }
    await settled;
  }

  /** The window as it is; collecting begins anew. */
  take(): CollectedWindow {
    const taken = { window: this.#window, alone: this.#alone };
    this.#window = new ApplyWindow();
    this.#alone = undefined;
    return taken;
  }

  #add(transaction: WindowTransaction): void {
    const isDdl = transaction.ddl !== null && !transaction.ours;
    if (transaction.partial || isDdl || this.#standsAlone(transaction)) this.#alone = transaction;
    else this.#window.add(transaction);
  }
}
