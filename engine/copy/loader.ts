import type { RowSink } from './select-rows.ts';

export interface LoadResult {
  rows: number;
  /** As the source sent them. */
  bytes: number;
}

/** Writes the rows of one chunk inside the transaction that is open on its connection. */
export interface Loader extends RowSink {
  /** The server is ready for rows. */
  opened(): Promise<void>;
  /** Never resolves; rejects when the target fails while rows are still coming. */
  readonly failed: Promise<never>;
  /** Once all rows have come. Rejects with COPY_VALUE_REFUSED unless every one of them is there, unchanged. */
  finish(): Promise<LoadResult>;
  /** Gives up what it holds; nothing more is asked of it. */
  abandon(): void;
}
