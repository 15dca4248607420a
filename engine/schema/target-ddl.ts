import { definitionName, indexColumns, parseCreate, type Definition } from './create-statement.ts';
import { isWord, joined } from './ddl-lexer.ts';
import { rowBytes, type Table } from './table.ts';
import {
  translateCheck,
  translateColumn,
  translateIndex,
  translateOptions,
  translatePartitions,
  type DdlNote,
} from './translate-ddl.ts';

/** An index or foreign key that is added later; `name` tells whether it is there already. */
export interface DeferredPart {
  name: string;
  /** After `ALTER TABLE …`. */
  add: string;
}

/** A table of so few bytes is created with its indexes: an ALTER TABLE takes longer than filling them row by row. */
const SMALL_BYTES = 1024 * 1024;

export interface TargetDdl {
  schema: string;
  table: string;
  create: string;
  /** For one ALTER TABLE together, those that are not there by then. A small table has them from the start. */
  indexes: DeferredPart[];
  /** For an ALTER TABLE each: InnoDB builds one FULLTEXT index at a time. */
  fulltext: DeferredPart[];
  foreignKeys: DeferredPart[];
  notes: DdlNote[];
}

/**
 * The statements that make `table` on a MySQL server: first the table with its primary and unique keys (what lands is
 * checked and replaced by them), then, once the rows are there, the other indexes and the foreign keys.
 */
export function targetDdl(
  table: Table,
  { collations, deferIndexes }: { collations: ReadonlySet<string>; deferIndexes: boolean },
): TargetDdl {
  const notes: DdlNote[] = [];
  const context = { collations, note: (note: DdlNote) => notes.push(note) };
  const { definitions, options, partitions } = parseCreate(table.createSql);
  const kept: string[] = [];
  const ddl: TargetDdl = {
    schema: table.schema,
    table: table.name,
    create: '',
    indexes: [],
    fulltext: [],
    foreignKeys: [],
    notes,
  };
  const needed = indexOfAutoIncrement(definitions);
  const isInPlace = !deferIndexes || (table.bytes < SMALL_BYTES && rowBytes(table) !== null);
  for (const definition of definitions) {
    const subject = `${table.name}.${definitionName(definition) ?? definition.kind}`;
    const part = (text: string) => ({ name: definitionName(definition) ?? '', add: `ADD ${text}` });
    switch (definition.kind) {
      case 'column':
        kept.push(joined(translateColumn(definition.tokens, subject, context)));
        break;
      case 'foreign':
        ddl.foreignKeys.push(part(joined(definition.tokens)));
        break;
      case 'fulltext':
        if (deferIndexes) ddl.fulltext.push(part(joined(definition.tokens)));
        if (isInPlace) kept.push(joined(definition.tokens));
        break;
      case 'index':
      case 'spatial': {
        const text = joined(translateIndex(definition.tokens));
        // Small or not may look different after a restart; so every index is on the list of what has to be there at the end.
        if (deferIndexes && definition !== needed) ddl.indexes.push(part(text));
        if (isInPlace || definition === needed) kept.push(text);
        break;
      }
      case 'primary':
      case 'unique':
        kept.push(joined(translateIndex(definition.tokens)));
        break;
      case 'check':
        kept.push(joined(translateCheck(definition.tokens)));
        break;
      case 'other':
        notes.push({
          kind: isVectorKey(definition) ? 'index' : 'unsupported',
          subject,
          text: `left out: ${joined(definition.tokens)}`,
        });
        break;
      default:
        definition.kind satisfies never;
    }
  }
  const tail = [
    translateOptions(options, table.name, context),
    joined(translatePartitions(partitions, table.name, context)),
  ];
  ddl.create = `CREATE TABLE ${quoted(table.schema)}.${quoted(table.name)} (\n  ${kept.join(',\n  ')}\n) ${tail.filter((text) => text !== '').join('\n')}`;
  return ddl;
}

/** InnoDB wants an index that begins with the AUTO_INCREMENT column; null where a primary or unique key does. */
function indexOfAutoIncrement(definitions: Definition[]): Definition | null {
  const column = definitions.find(
    ({ kind, tokens }) => kind === 'column' && tokens.some((token) => isWord(token, 'AUTO_INCREMENT')),
  );
  if (column === undefined) return null;
  const name = definitionName(column);
  const beginning = definitions.filter(
    (definition) => ['primary', 'unique', 'index'].includes(definition.kind) && indexColumns(definition)[0] === name,
  );
  return beginning.some(({ kind }) => kind !== 'index') ? null : (beginning[0] ?? null);
}

function isVectorKey({ tokens }: Definition): boolean {
  return isWord(tokens[0], 'VECTOR');
}

/** As ordinary text, unlike `quoteName`. */
export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
