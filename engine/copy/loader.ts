import type { RowSink } from './select-rows.ts';

export interface LoadResult {
  rows: number;
  /** As the source sent them. */
  bytes: number;
  warnings: number;
  /** Warnings that say nothing about the data, see `FieldRule.warnsAtZero`. */
  warningsExpected: number;
  /** The first few. */
  warningTexts: string[];
}

/** Writes the rows of one chunk inside the transaction that is open on its connection. */
export interface Loader extends RowSink {
  /** The server is ready for rows. */
  opened(): Promise<void>;
  /** Never resolves; rejects when the target fails while rows are still coming. */
  readonly failed: Promise<never>;
  finish(): Promise<LoadResult>;
}
