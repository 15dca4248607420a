const TICKS = 5;

/**
 * Like setTimeout, for limits on what a peer may take: time in which this process was too busy to look at its sockets does
 * not count. One long stall is one tick, and what arrived meanwhile is read before the next. Returns how to stop it.
 */
export function startStallProofTimer(ms: number, onTimeout: () => void): () => void {
  let left = TICKS;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    onTimeout();
  }, ms / TICKS);
  return () => clearInterval(timer);
}
