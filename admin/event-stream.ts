import type { ServerResponse } from 'node:http';
import type { PublishedEvent } from '../core/control/protocol.ts';
import { AppError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';

const CLIENTS_MAX = 100;
const HEARTBEAT_MS = 15_000;
/** What one client may leave unread before it is cut off (I8). */
const BUFFER_BYTES_MAX = 1024 * 1024;

/** All open event streams of a server: counts them, and ends them when it closes. */
export class EventStreams {
  readonly #open = new Set<EventStream>();
  readonly #bufferBytesMax: number;

  constructor({ bufferBytesMax = BUFFER_BYTES_MAX }: { bufferBytesMax?: number } = {}) {
    this.#bufferBytesMax = bufferBytesMax;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Throws TOO_MANY_STREAMS. `start` subscribes and returns the end of the subscription. */
  open(response: ServerResponse, start: (stream: EventStream) => () => void): void {
    this.assertRoom();
    const stream = new EventStream(response, this.#bufferBytesMax);
    this.#open.add(stream);
    const stop = start(stream);
    stream.onClose(() => {
      this.#open.delete(stream);
      stop();
    });
  }

  assertRoom(): void {
    if (this.#open.size >= CLIENTS_MAX) throw new AppError('TOO_MANY_STREAMS', `${CLIENTS_MAX} event streams are open`);
  }

  close(): void {
    for (const stream of this.#open) stream.end();
  }
}

/**
 * One client of server-sent events (HTML standard, section 9.2). While the client does not read, only the newest view
 * of each import is kept, since an older one is worth nothing; log lines are all kept, and a client that lets more
 * than the bound pile up is cut off: it connects again and takes the history.
 */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #bufferBytesMax: number;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #pendingViews = new Map<string, unknown>();
  #blocked = false;
  /** The view written last may still be on its way; with thousands of tables it alone exceeds the bound. */
  #viewBytes = 0;

  constructor(response: ServerResponse, bufferBytesMax: number) {
    this.#response = response;
    this.#bufferBytesMax = bufferBytesMax;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would otherwise collect events until its buffer is full.
      'x-accel-buffering': 'no',
    });
    response.on('drain', () => this.#drained());
    this.#write('retry: 2000\n\n');
    this.#heartbeat = setInterval(() => this.#write(': heartbeat\n\n'), HEARTBEAT_MS).unref();
    response.once('close', () => clearInterval(this.#heartbeat));
  }

  onClose(listener: () => void): void {
    if (this.#response.destroyed) listener();
    else this.#response.once('close', listener);
  }

  send(event: PublishedEvent): void {
    if (event.kind === 'import' && this.#blocked) {
      this.#pendingViews.set(event.importId, event.view);
      return;
    }
    if (event.kind === 'import') {
      this.#writeView(event.view);
    } else {
      const { kind: _, ...entry } = event;
      this.#write(frame('log', redact(entry)));
    }
  }

  end(): void {
    this.#response.end();
  }

  #writeView(view: unknown): void {
    const text = frame('import', view);
    this.#viewBytes = Buffer.byteLength(text);
    this.#write(text);
  }

  #write(text: string): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    this.#blocked = !this.#response.write(text);
    const backlogBytes = this.#response.writableLength - Buffer.byteLength(text);
    if (backlogBytes > this.#bufferBytesMax + this.#viewBytes) this.#response.destroy();
  }

  #drained(): void {
    this.#blocked = false;
    for (const [importId, view] of this.#pendingViews) {
      if (this.#blocked) return;
      this.#pendingViews.delete(importId);
      this.#writeView(view);
    }
  }
}

function frame(name: 'import' | 'log', data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
