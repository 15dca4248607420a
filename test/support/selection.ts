/** `npm run test:long` runs whole matrices, `npm test` what is selected of them. */
export const isWhole = process.env['SWITCHYARD_TESTS'] === 'whole';

export function selected<T>(selection: readonly T[], others: readonly T[]): T[] {
  return isWhole ? [...selection, ...others] : [...selection];
}
