import { bytesOf, errnoOf, escapeBytes, type Bytes } from './server/connection.ts';

/** What the tables of rows that are kept for people (stray writes, conflicts) have in common. */

const NO_SUCH_TABLE = 1146;
const NO_SUCH_SCHEMA = 1049;

export function textLiteral(text: string | null): Bytes {
  return text === null ? 'NULL' : `_utf8mb4'${escapeBytes(bytesOf(text))}'`;
}

/** Nothing was ever kept there: no tables. */
export async function unlessMissing<T>(answer: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === NO_SUCH_TABLE || errno === NO_SUCH_SCHEMA) return otherwise;
    throw error;
  }
}
