import { InvalidArgumentError } from 'commander';

/** For commander: a whole number, or a usage error. */
export function integerOption(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
