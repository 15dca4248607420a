import type { Pins } from './pins.ts';
import type { StatementEffect } from './statement-effects.ts';
import { userLockPin } from './user-locks.ts';

/**
 * Keeps the pins in step with what statements do: taken before one runs, given back when it has succeeded as a whole. Of
 * several statements in one text the order counts: what a later one takes an earlier one does not give back.
 */
export class EffectPins {
  readonly #pins: Pins;
  /** What the running statement took. */
  #fresh: string[] = [];
  #schema: string | null = null;

  constructor(pins: Pins) {
    this.#pins = pins;
  }

  /** `schema`: names without one are of it. */
  onStart(effects: readonly StatementEffect[], schema: string | null): void {
    this.#fresh = [];
    this.#schema = schema;
    for (const effect of effects) {
      const key = this.#taken(effect, schema);
      if (key === null || this.#pins.has(key)) continue;
      this.#pins.add(key);
      this.#fresh.push(key);
    }
  }

  onFailure(effects: readonly StatementEffect[]): void {
    // One of several may have got that far; whether a lock is held the server will tell.
    const [only, ...others] = effects;
    if (only === undefined || others.length > 0 || !isUndoneByFailure(only)) return;
    for (const key of this.#fresh) this.#pins.remove(key);
  }

  onSuccess(effects: readonly StatementEffect[], schema: string | null): void {
    const hasMoved = schema !== this.#schema;
    for (const [index, effect] of effects.entries()) {
      // Before USE or behind it, in the same text.
      if (hasMoved && isUnqualified(effect)) {
        const key = this.#taken(effect, schema);
        if (key !== null) this.#pins.add(key);
        continue;
      }
      for (const key of this.#pins.reasons()) {
        const isTakenAgain = effects.slice(index + 1).some((later) => this.#taken(later, schema) === key);
        if (isReleased(effect, key, schema) && !isTakenAgain) this.#pins.remove(key);
      }
    }
  }

  #taken(effect: StatementEffect, schema: string | null): string | null {
    switch (effect.kind) {
      case 'pin':
        return effect.key;
      case 'user-lock':
        return userLockPin(effect.name);
      case 'temporary-table':
        return temporaryTable(effect, schema);
      case 'rename-table':
        return this.#pins.has(temporaryTable(effect, schema)) ? temporaryTable(effect.to, schema) : null;
      default:
        return null;
    }
  }
}

function isReleased(effect: StatementEffect, key: string, schema: string | null): boolean {
  switch (effect.kind) {
    case 'unpin':
      return effect.key === key;
    case 'unpin-prefix':
      return key.startsWith(effect.prefix);
    case 'drop-table':
      return temporaryTable(effect, schema) === key;
    case 'rename-table':
      return effect.isOfTemporary && temporaryTable(effect, schema) === key;
    default:
      return false;
  }
}

function isUndoneByFailure(effect: StatementEffect): boolean {
  return effect.kind === 'pin' || (effect.kind === 'temporary-table' && !effect.mayExist);
}

function isUnqualified(effect: StatementEffect): boolean {
  return 'schema' in effect && effect.schema === null;
}

function temporaryTable({ schema, name }: { schema: string | null; name: string }, current: string | null): string {
  return `temporary table ${schema ?? current ?? ''}.${name}`;
}
