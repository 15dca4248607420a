/** What waits in the stream's buffer. */
export interface Waiting {
  transactions: number;
  bytes: number;
}

const BEHIND_TRANSACTIONS = 2000;
/** Few large transactions are much to do as well; one alone is not a reason to let readers see half of it. */
const BEHIND_LARGE_TRANSACTIONS = 50;
const BEHIND_BYTES = 8 * 1024 * 1024;
const CLOSE_TRANSACTIONS = 200;
const CLOSE_BYTES = 1024 * 1024;

/**
 * Whether to catch up (large windows in lanes, of which readers may see a part) rather than to follow (whole transactions
 * together, at once). Two thresholds, so that a load near one of them does not go to and fro.
 */
export function isBehind(wasBehind: boolean, { transactions, bytes }: Waiting): boolean {
  if (wasBehind) return transactions > CLOSE_TRANSACTIONS || bytes > CLOSE_BYTES;
  return transactions >= BEHIND_TRANSACTIONS || (transactions >= BEHIND_LARGE_TRANSACTIONS && bytes >= BEHIND_BYTES);
}
