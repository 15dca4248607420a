import type { Finding } from '../api.ts';
import { translateCollation } from '../../core/collation.ts';
import { mergedCharacters } from '../schema/merged-characters.ts';
import { knownCollations } from '../schema/create-target.ts';
import type { Column, Table } from '../schema/table.ts';
import { errnoOf, quoteName, quoteText, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { finding } from './finding.ts';

/** Longest look at one column; with the answer open the finding says so. */
const SECONDS_MAX = 10;
const STATEMENT_TIMEOUT = 1969;

/**
 * Values of a unique key that differ on the source and may be equal on the target, because its nearest collation merges
 * them: one of two such rows would replace the other. Only keys whose collation is translated are looked at, and only for
 * values without which nothing can merge: with the rarer of two merged characters, or with a space at the end where the
 * target pads.
 */
export async function checkCollations(
  source: ServerConnection,
  target: ServerConnection,
  tables: Table[],
): Promise<Finding[]> {
  const known = await knownCollations(target);
  const padding = await paddingCollations(target);
  const findings: Finding[] = [];
  for (const table of tables) {
    for (const column of keyedColumns(table)) {
      const from = (column.collation ?? '').toLowerCase();
      const to = translateCollation(from, known);
      if (from === '' || to === null || to === from) continue;
      const suspicious = suspiciousValues(column, from, padding.has(to));
      if (suspicious === null) continue;
      const found = await firstValue(source, table, column, suspicious);
      if (found === null) continue;
      const what = `${table.name}.${column.name}: unique under ${from}, and ${to} tells fewer values apart`;
      findings.push(
        finding(
          'COLLATION_MERGES_KEYS',
          'source',
          table.name,
          found === undefined ? `${what}; it took too long to look for such values` : `${what}; look at '${found}'`,
          `ALTER TABLE … MODIFY ${column.name} with a collation that both servers have (utf8mb4_bin, utf8mb4_unicode_520_ci, …) shows whether two values are equal; or make the values differ.`,
        ),
      );
    }
  }
  return findings;
}

function keyedColumns({ columns, key, uniqueKeys }: Table): Column[] {
  const ordinals = new Set([key, ...uniqueKeys].flatMap((each) => each?.columns ?? []));
  return columns.filter((_, ordinal) => ordinals.has(ordinal));
}

function suspiciousValues({ name }: Column, from: string, targetPads: boolean): Bytes | null {
  const column = quoteName(name);
  const characters = mergedCharacters(from);
  const conditions = [
    ...(from.includes('nopad') && targetPads ? [`HEX(RIGHT(${column},1)) IN ('20','0020','00000020')`] : []),
    ...(characters === ''
      ? []
      : [`CONVERT(${column} USING utf8mb4) COLLATE utf8mb4_bin REGEXP ${quoteText(`[${characters}]`)}`]),
  ];
  return conditions.length === 0 ? null : conditions.join(' OR ');
}

/** Null: there is none; undefined: not known. */
async function firstValue(
  source: ServerConnection,
  { schema, name }: Table,
  column: Column,
  suspicious: Bytes,
): Promise<string | null | undefined> {
  try {
    const [row] = await source.rows(
      `SET STATEMENT max_statement_time=${SECONDS_MAX} FOR SELECT CONVERT(${quoteName(column.name)} USING utf8mb4) FROM ${quoteName(schema)}.${quoteName(name)} WHERE ${suspicious} LIMIT 1`,
    );
    return row === undefined ? null : textOf(row[0] ?? '').slice(0, 64);
  } catch (error) {
    if (errnoOf(error) === STATEMENT_TIMEOUT) return undefined;
    throw error;
  }
}

async function paddingCollations(target: ServerConnection): Promise<Set<string>> {
  const rows = await target.rows(
    "SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE PAD_ATTRIBUTE = 'PAD SPACE'",
  );
  return new Set(rows.map(([name]) => (name ?? '').toLowerCase()));
}
