/** Far beyond what anything takes here; under the limit of a test. */
const MS_MAX = 10_000;

/** Rejects when `promise` does not settle: something hangs. */
export async function withinTime<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} does not come`)), MS_MAX);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
