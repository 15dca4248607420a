import type { Bytes } from '../server/connection.ts';

/** Statements sent together; below the smallest usual max_allowed_packet. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/** A statement larger than that is alone in its batch. */
export function* batches(statements: Iterable<Bytes>): Generator<Bytes[]> {
  let batch: Bytes[] = [];
  let bytes = 0;
  for (const statement of statements) {
    if (bytes > 0 && bytes + statement.length > BATCH_BYTES_MAX) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(statement);
    bytes += statement.length;
  }
  if (batch.length > 0) yield batch;
}
