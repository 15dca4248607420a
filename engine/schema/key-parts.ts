import { quoteText, type ServerConnection } from '../server/connection.ts';
import { readWords } from './inspect.ts';

/** One part of an index: a column, its first `prefix` characters (bytes of binary strings), or an expression. */
export type KeyPart = { kind: 'column'; column: string; prefix: number | null } | { kind: 'expression'; text: string };

interface IndexName {
  schema: string;
  table: string;
  index: string;
}

/** The parts of a unique key as this server has it; none: it has no such key. */
export async function keyParts(connection: ServerConnection, { schema, table, index }: IndexName): Promise<KeyPart[]> {
  const rows = await readWords(
    connection,
    `STATISTICS WHERE TABLE_SCHEMA = ${quoteText(schema)} AND TABLE_NAME = ${quoteText(table)} AND INDEX_NAME = ${quoteText(index)} AND NON_UNIQUE = 0 ORDER BY SEQ_IN_INDEX`,
  );
  return rows.map((row) => {
    const column = row['COLUMN_NAME'] ?? null;
    if (column === null) return { kind: 'expression', text: row['EXPRESSION'] ?? '' };
    const prefix = row['SUB_PART'] ?? null;
    return { kind: 'column', column, prefix: prefix === null ? null : Number(prefix) };
  });
}

/** Type, collation and expression of each column, as text: whatever an expression over them may depend on. */
export async function columnWords(
  connection: ServerConnection,
  { schema, name }: { schema: string; name: string },
): Promise<Map<string, string>> {
  const rows = await readWords(
    connection,
    `COLUMNS WHERE TABLE_SCHEMA = ${quoteText(schema)} AND TABLE_NAME = ${quoteText(name)}`,
  );
  const words = ['COLUMN_TYPE', 'COLLATION_NAME', 'GENERATION_EXPRESSION'];
  // The display width, which MySQL 8 dropped, is no matter.
  return new Map(
    rows.map((row) => [
      row['COLUMN_NAME'] ?? '',
      JSON.stringify(words.map((word) => row[word]?.replace(/^(\w*int)\(\d+\)/, '$1'))),
    ]),
  );
}
