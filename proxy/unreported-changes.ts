import type { StatementEffect } from './statement-effects.ts';

/** Statements that change the state in ways that are tracked by name: their report of a change needs no other reason. */
const EXPLAINS_STATE_CHANGE: ReadonlySet<StatementEffect['kind']> = new Set([
  'sets-state',
  'use',
  'user-variable',
  'text-prepare',
  'text-prepare-from',
  'text-deallocate',
  'temporary-table',
  'drop-table',
  'rename-table',
  'pin',
  'unpin',
  'role',
]);

export function explainsStateChange(effects: readonly StatementEffect[]): boolean {
  return effects.some(({ kind }) => EXPLAINS_STATE_CHANGE.has(kind));
}

function mayCall({ kind }: StatementEffect): boolean {
  return kind === 'calls-routine' || kind === 'calls-functions';
}

/** A client may never send anything that is answered with an OK packet: after so many the server is asked. */
const UNTOLD_MAX = 64;

/**
 * ERR and EOF packets have no room for what the trackers tell: MySQL tells it with the next OK packet, whatever that answers.
 * Where that would have a reason of its own, the server has to be asked first, or what a routine did in the statement before
 * would be taken for it.
 */
export class UnreportedChanges {
  #untold: readonly StatementEffect[] | null = null;

  /** Something may have happened that the server has not told. */
  get isDue(): boolean {
    return this.#untold !== null;
  }

  /** What a session does that nobody asks has to be known as well: before a switch it is told why the session stays. */
  get isToBeAsked(): boolean {
    if (this.#untold === null) return false;
    return this.#untold.length >= UNTOLD_MAX || explainsStateChange(this.#untold) || this.#untold.some(mayCall);
  }

  onUntold(effects: readonly StatementEffect[]): void {
    this.#untold = [...(this.#untold ?? []), ...effects];
  }

  /** The server had nothing to tell. */
  clear(): void {
    this.#untold = null;
  }

  /** The server has told, with an OK packet; returns what it was about. */
  take(): readonly StatementEffect[] {
    const untold = this.#untold ?? [];
    this.#untold = null;
    return untold;
  }
}
