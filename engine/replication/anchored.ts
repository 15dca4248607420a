import { AppError } from '../../core/errors.ts';

export interface SessionStart {
  signal: AbortSignal;
  onOpen: () => void;
  isAnchorPurged: boolean;
}

/** A session that looks again at the last transaction (`AnchorCheck`); where that has been purged, one that does without. */
export async function anchored(session: (isAnchorPurged: boolean) => Promise<void>): Promise<void> {
  try {
    await session(false);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'STREAM_PURGED') throw error;
    await session(true);
  }
}
