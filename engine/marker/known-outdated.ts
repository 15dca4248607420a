import type { ImportDocument } from '../import-document.ts';

/** What the state was found outdated by and still says of itself, whoever answers now; null: it was not. */
export function knownOutdated({ error }: Pick<ImportDocument, 'error'>): string | null {
  if (error?.code === 'STATE_OUTDATED') return error.message;
  const { outdated } = error?.details ?? {};
  return error?.code === 'CANCEL_UNFINISHED' && typeof outdated === 'string' ? outdated : null;
}
