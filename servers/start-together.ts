/** Two that start side by side, in the hands of `stack`: when one of them fails, the other is ended once it has started. */
export async function startTogether<A extends AsyncDisposable, B extends AsyncDisposable>(
  stack: AsyncDisposableStack,
  ...starting: [Promise<A>, Promise<B>]
): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled(starting);
  for (const settled of [first, second]) if (settled.status === 'fulfilled') stack.use(settled.value);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}
