/*
 * The world in bytes. Every write is a bit: one by each of the two proxies, one past them. A mask says where each is.
 */
export const SOURCE = 0;
export const TARGET = 1;
export type SideBit = typeof SOURCE | typeof TARGET;
export const DIRECT = 4;

/*
 * Epochs are kept as how far they are behind the route's: only equality counts, and the world stays finite.
 */
export const ROUTE = 0; // PRIMARY, HELD, FENCED
export const INTENT = 1; // 0 none, 1 to the source, 2 to the target
export const DOC = 2; // primary, fence << 1 (0 none, 1 source, 2 target), a fence that could not be lowered << 3
export const SRC = 3;
export const TGT = 4;
export const ACKED = 5;
export const FORWARD = 6; // progress of the stream to the target, or of the stray watch
export const REVERSE = 7;
export const STRAY = 8;
export const FENCES = 9; // by side
export const ENGINE = 10; // 0 down, 1 idle, else step + 2
export const SWITCH = 11; // attempt, closed << 3, to << 4, UNSURE
export const HELD_LAG = 12; // of the epoch that the engine acts upon
export const POSITION = 13; // F
export const STREAMS = 14; // TO_TARGET, TO_SOURCE, WATCH
export const LATE = 15; // a request that is still on its way; one with an older epoch can only fail, and is gone
export const PROXY = 16; // of each: KNOWN, TX, the epoch at which it said that it is drained (0 never, else lag + 1)
export const PROXY_BYTES = 3;
export const BUDGET = PROXY + 2 * PROXY_BYTES; // faults, switches << 4
// Of worlds in which an old state is put back.
export const TRUTH = BUDGET + 1; // the last decision ever made: its side, its number << 1
export const TOLD = TRUTH + 1; // by side: DOC as it was told there, the number of the decision << TOLD_SHIFT
export const DECISIONS = TOLD + 2; // the number of the last decision that the state knows, NOTED, CLOSED
export const BACKUP = DECISIONS + 1; // TAKEN, PUT_BACK; then ROUTE, DOC, INTENT and DECISIONS as they were
export const LENGTH = BACKUP + 5;
export const LAG_MAX = 3;

export const UNSURE = 32; // whether a fence that is to go is gone

export const PRIMARY = 1;
export const HELD = 2;
export const FENCED = 4;
export const RELEASED = 8;
export const LINKED = 16;
export const STALE = 32; // there is a newer route

export const TOLD_SHIFT = 5;
export const NOTED = 16; // that the state is outdated
export const CLOSED = 32; // the engine has not compared the route yet: new proxies are given none
export const TAKEN = 1;
export const PUT_BACK = 2;

// The engine with an outdated state; beyond the steps of a switch.
export const OUTDATED = 100;
export const HOLDING = 101;
export const ROUTE_TAKEN_OVER = 102;
export const TAKEN_OVER = 103;

export const TO_TARGET = 1;
export const TO_SOURCE = 2;
export const WATCH = 4;

export function faultsOf(s: Uint8Array): number {
  return at(s, BUDGET) & 15;
}

export function spend(s: Uint8Array): Uint8Array {
  return withByte(s, BUDGET, at(s, BUDGET) - 1);
}

export function at(s: Uint8Array, index: number): number {
  return s[index] ?? 0;
}

export function copy(s: Uint8Array): Uint8Array {
  return s.slice();
}

export function withByte(s: Uint8Array, index: number, value: number): Uint8Array {
  const next = s.slice();
  next[index] = value;
  return next;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index]);
}

export function name(side: SideBit): string {
  return side === SOURCE ? 'source' : 'target';
}
