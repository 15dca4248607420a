import type { Finding } from '../api.ts';
import { targetDdl } from '../schema/target-ddl.ts';
import { knownCollations } from '../schema/create-target.ts';
import type { DdlNote } from '../schema/translate-ddl.ts';
import type { Table } from '../schema/table.ts';
import { AppError } from '../../core/errors.ts';
import type { ServerConnection } from '../server/connection.ts';
import { finding, listed } from './finding.ts';
import type { FindingCode } from './finding-table.ts';

/** The engine has its own finding, see check-tables.ts. */
const CODES: Record<Exclude<DdlNote['kind'], 'engine'>, FindingCode> = {
  collation: 'COLLATION_TRANSLATED',
  type: 'TYPE_TRANSLATED',
  option: 'DEFINITION_REDUCED',
  index: 'DEFINITION_REDUCED',
  unsupported: 'DDL_UNSUPPORTED',
};

/** What the translation of the definitions to this target would change, or cannot do: one finding a table and code. */
export async function checkDefinitions(target: ServerConnection, tables: Table[]): Promise<Finding[]> {
  const collations = await knownCollations(target);
  return tables.flatMap((table) => {
    const findings = new Map<FindingCode, string[]>();
    for (const { code, text } of notesOf(table, collations)) findings.set(code, [...(findings.get(code) ?? []), text]);
    return [...findings].map(([code, texts]) => finding(code, 'target', table.name, listed(texts)));
  });
}

function notesOf(table: Table, collations: ReadonlySet<string>): { code: FindingCode; text: string }[] {
  try {
    return targetDdl(table, { collations, deferIndexes: true }).notes.flatMap(({ kind, subject, text }) =>
      kind === 'engine' ? [] : [{ code: CODES[kind], text: `${subject}: ${text}` }],
    );
  } catch (error) {
    if (error instanceof AppError) return [{ code: 'DDL_UNSUPPORTED', text: error.message }];
    throw error;
  }
}
