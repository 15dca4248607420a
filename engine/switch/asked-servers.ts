import type { ErrorCode } from '../../core/error-table.ts';
import { AppError } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';
import type { SwitchRefusal } from '../api.ts';
import { refusal } from './refusal-table.ts';
import type { SwitchWorld } from './switch-world.ts';

/** Of a server; everything else is none of a switch's reasons. */
const OF_A_SERVER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SERVER_UNREACHABLE',
  'LOGIN_REFUSED',
  'SERVER_GONE',
  'SERVER_ERROR',
  'SERVER_FULL',
  'SERVER_READ_ONLY',
]);

/**
 * The servers as a preflight asks them. What one of them does not answer is one reason beside those that can be told without it; one
 * that cannot be reached is not waited for again by every question.
 */
export class AskedServers {
  readonly world: SwitchWorld;
  readonly #away = new Map<Side, unknown>();
  /** By what stood against it: what is not known. */
  readonly #unknown = new Map<string, string[]>();

  constructor(world: SwitchWorld) {
    this.world = {
      ...world,
      connect: async (side, options) => {
        if (this.#away.has(side)) throw this.#away.get(side);
        try {
          return await world.connect(side, options);
        } catch (error) {
          this.#away.set(side, error);
          throw error;
        }
      },
    };
  }

  /** Whether a connection to it has failed. */
  isAway(side: Side): boolean {
    return this.#away.has(side);
  }

  /** Resolves also where `question` rejects with what a server, or the way to it, says; undefined then. */
  async ask<T>(what: string, question: () => Promise<T>): Promise<T | undefined> {
    try {
      return await question();
    } catch (error) {
      if (this.world.signal.aborted || !(error instanceof AppError) || !OF_A_SERVER.has(error.code)) throw error;
      const reason = `${error.code}: ${error.message}`;
      this.#unknown.set(reason, [...(this.#unknown.get(reason) ?? []), what]);
      return undefined;
    }
  }

  get refusals(): SwitchRefusal[] {
    return [...this.#unknown].map(([reason, questions]) =>
      refusal('SERVER_NOT_ASKED', `${reason}; so it is not known: ${questions.join(', ')}`),
    );
  }
}
