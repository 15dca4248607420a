import type { Socket } from 'node:net';
import { abortable } from '../abort.ts';
import { AppError, deserializeError, serializeError } from '../errors.ts';
import type { Frame } from './protocol.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- the constraint of a method map: parameters are checked at each call
type MethodMap<T> = { [K in keyof T]: (params: any) => unknown };
type ParamsOf<T, K extends keyof T> = T[K] extends (...args: infer A) => unknown
  ? A extends [infer P]
    ? P
    : undefined
  : never;
type ResultOf<T, K extends keyof T> = T[K] extends (...args: never[]) => infer R ? Awaited<R> : never;

/** The methods that one side offers; each may answer at once or later. */
export type Handlers<T> = {
  [K in keyof T]: (params: ParamsOf<T, K>) => ResultOf<T, K> | Promise<ResultOf<T, K>>;
};

/**
 * Typed calls in both directions over one socket: lines of JSON, answers matched by number. Calls that wait when the
 * socket closes are rejected with `closedError`.
 */
export class Peer<Remote extends MethodMap<Remote>, Local extends MethodMap<Local>> {
  readonly #socket: Socket;
  readonly #handlers: Handlers<Local>;
  readonly #closedError: () => AppError;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;
  #partial = '';
  readonly closed: Promise<void>;

  constructor(socket: Socket, handlers: Handlers<Local>, closedError: () => AppError) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#closedError = closedError;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onText(text));
    socket.on('error', () => socket.destroy());
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(this.#closedError());
      this.#waiting.clear();
      resolve();
    });
  }

  async call<K extends keyof Remote & string>(
    method: K,
    params: ParamsOf<Remote, K>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<ResultOf<Remote, K>> {
    if (this.#socket.destroyed) throw this.#closedError();
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#send({ id, method, params });
    try {
      const answered = signal === undefined ? promise : abortable(promise, signal);
      return (await answered) as ResultOf<Remote, K>;
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Sends without waiting for an answer; lost when the socket is closed. */
  notify<K extends keyof Remote & string>(method: K, params: ParamsOf<Remote, K>): void {
    if (!this.#socket.destroyed) this.#send({ id: null, method, params });
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(frame: Frame): void {
    this.#socket.write(`${JSON.stringify(frame)}\n`);
  }

  #onText(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) this.#onFrame(JSON.parse(line) as Frame);
  }

  #onFrame(frame: Frame): void {
    if ('method' in frame) {
      void this.#serve(frame);
      return;
    }
    const waiting = this.#waiting.get(frame.reply);
    if (waiting === undefined) return;
    if ('error' in frame) waiting.reject(deserializeError(frame.error));
    else waiting.resolve(frame.result);
  }

  async #serve({ id, method, params }: Extract<Frame, { method: string }>): Promise<void> {
    const handler = (this.#handlers as Record<string, ((params: unknown) => unknown) | undefined>)[method];
    try {
      if (handler === undefined) throw new AppError('INTERNAL', `no such control method: ${method}`);
      const result = await handler(params);
      if (id !== null && !this.#socket.destroyed) this.#send({ reply: id, result: result ?? null });
    } catch (error) {
      if (id !== null && !this.#socket.destroyed) this.#send({ reply: id, error: serializeError(error) });
    }
  }
}
