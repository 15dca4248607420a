import { AppError, deserializeError } from '../../core/errors.ts';
import type { ImportView } from '../../engine/api.ts';

/** Throws when waiting for an import ended in a phase that nobody waits for. */
export function assertNoError(view: ImportView): void {
  if (view.error !== null) throw deserializeError(view.error);
  if (view.phase === 'cancelled') throw new AppError('PHASE_REFUSED', `${view.id} was cancelled meanwhile`);
}
