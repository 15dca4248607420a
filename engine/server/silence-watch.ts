import type { Socket } from 'node:net';

/** A connection that may be waiting for an answer. */
export interface Watched {
  readonly socket: Socket;
  /** A number per command; undefined while none is under way. */
  commandNumber(): number | undefined;
  /** Silent periods in a row after which the command is lost even if the server works on it; undefined: never. */
  silentMax(): number | undefined;
  /** Asks the server, over another connection, what this one is doing there. Rejects when it cannot be asked. */
  probe(): Promise<'working' | 'lost'>;
  lose(reason: Error): void;
}

/** Silent probes in a row that end a connection whose server cannot be asked. */
const UNANSWERED_MAX = 2;
/** The same for bytes of ours that lie unsent. */
const UNSENT_MAX = 8;

/**
 * Ends a connection that waits for an answer which cannot come: one that a firewall forgot, or whose machine is gone,
 * says nothing for ever, without an end. Statements may rightly be silent for hours (an ALTER TABLE), so no deadline
 * decides, but the server: after each silent period it is asked, over another connection, whether it still works on the
 * command. Keep-alive of TCP does not tell: something on the way may answer it.
 */
export class SilenceWatch {
  readonly #watched: Watched;
  readonly #timer: NodeJS.Timeout;
  #seen = '';
  #unanswered = 0;
  #unsent = 0;
  #silent = 0;
  #probing = false;

  constructor(watched: Watched, periodMs: number) {
    this.#watched = watched;
    this.#timer = setInterval(() => void this.#tick(), periodMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #tick(): Promise<void> {
    if (this.#probing || !this.#isSilent()) return;
    this.#probing = true;
    const seen = this.#seen;
    try {
      const verdict = await this.#watched.probe();
      this.#unanswered = 0;
      if (verdict === 'lost' && this.#mark() === seen) this.#lose('the server no longer works on the command');
    } catch {
      this.#unanswered += 1;
      if (this.#unanswered >= UNANSWERED_MAX && this.#mark() === seen)
        this.#lose('the server says nothing and cannot be asked');
    } finally {
      this.#probing = false;
    }
  }

  /** A command is under way, no byte has come or gone since the last look, and it is not we who keep them waiting. */
  #isSilent(): boolean {
    const { socket } = this.#watched;
    const mark = this.#mark();
    const isSame = mark === this.#seen;
    this.#seen = mark;
    if (!isSame || this.#watched.commandNumber() === undefined || socket.isPaused()) {
      this.#unanswered = 0;
      this.#unsent = 0;
      this.#silent = 0;
      return false;
    }
    this.#silent += 1;
    this.#unsent = socket.writableLength > 0 ? this.#unsent + 1 : 0;
    if (this.#unsent < UNSENT_MAX && this.#silent < (this.#watched.silentMax() ?? Infinity)) return true;
    this.#lose('the server has been silent for too long');
    return false;
  }

  #mark(): string {
    const { socket } = this.#watched;
    return `${this.#watched.commandNumber()} ${socket.bytesRead} ${socket.bytesWritten - socket.writableLength}`;
  }

  #lose(reason: string): void {
    this.stop();
    this.#watched.lose(new Error(reason));
  }
}
