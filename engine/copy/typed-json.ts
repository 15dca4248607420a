import { keyValues } from '../apply/window.ts';
import { comparand, insertColumns, literal, normalizer, selectExpression } from '../schema/column-sql.ts';
import { pathLiteral, TYPED, typedDocument, type JsonPath, type TypedPart } from '../schema/json-value.ts';
import type { Column, RowImage, Table } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { keyColumns, rangePredicate, tableByKey, type KeyRange } from './key-range.ts';

/** Statements are ended when they grow past this. */
const STATEMENT_BYTES_MAX = 256 * 1024;

const LEAVES_MAX = 1000;

/**
 * Rows of a chunk whose documents hold what JSON text cannot carry (engine/schema/json-value.ts), as statements that write
 * them whole. The copy of the chunk has landed their text; this gives them their types. The source finds them; each such
 * row costs some more work, all others a second look in the source's memory.
 *
 * Read after the chunk, in a snapshot of its own: whatever is newer in it is in the stream as well, from where it is
 * replayed.
 */
export async function typedJsonStatements(reader: ServerConnection, table: Table, range: KeyRange): Promise<Bytes[]> {
  const documents = table.columns.filter(({ dataType, generated }) => dataType === 'json' && generated === null);
  if (documents.length === 0) return [];
  await reader.write('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  await reader.write('START TRANSACTION READ ONLY');
  const [version] = await reader.rows('SELECT VERSION()');
  const holds = Number.parseInt(version?.[0] ?? '', 10) >= 8 ? holdsTyped : holdsTypedBefore8;
  const rows = await typedRows(reader, table, range, documents.map(holds));
  for (const column of documents) await addJsonTypes(reader, table, column, rows);
  await reader.write('COMMIT');
  return replacements(table, rows);
}

export interface TypedRow {
  key: Value[];
  image: RowImage;
}

function replacements(table: Table, rows: readonly TypedRow[]): Bytes[] {
  const columns = insertColumns(table).map((column) => ({
    at: table.columns.indexOf(column),
    name: quoteName(column.name),
    write: literal(column),
  }));
  const prefix = `REPLACE INTO ${quoteName(table.schema)}.${quoteName(table.name)} (${columns.map(({ name }) => name).join(',')}) VALUES `;
  const statements: Bytes[] = [];
  let statement = '';
  for (const { image } of rows) {
    const row = `(${columns.map(({ at, write }) => write(image[at] ?? null)).join(',')})`;
    statement = statement === '' ? prefix + row : `${statement},${row}`;
    if (statement.length < STATEMENT_BYTES_MAX) continue;
    statements.push(statement);
    statement = '';
  }
  return statement === '' ? statements : [...statements, statement];
}

async function typedRows(
  reader: ServerConnection,
  table: Table,
  range: KeyRange,
  conditions: Bytes[],
): Promise<TypedRow[]> {
  const predicate = rangePredicate(keyColumns(table), range);
  const where = predicate === '' ? ' WHERE ' : `${predicate} AND `;
  return await readRows(reader, table, `${where}(${conditions.join(' OR ')})`);
}

/** Rows with the types of their documents; for one snapshot the caller opens it. */
export async function typedImages(reader: ServerConnection, table: Table, where: Bytes): Promise<TypedRow[]> {
  const rows = await readRows(reader, table, where);
  for (const column of table.columns)
    if (column.dataType === 'json' && column.generated === null) await addJsonTypes(reader, table, column, rows);
  return rows;
}

async function readRows(reader: ServerConnection, table: Table, where: Bytes): Promise<TypedRow[]> {
  const columns = insertColumns(table);
  const list = columns.map(selectExpression).join(',');
  const found = await reader.rows(`SELECT ${list} FROM ${tableByKey(table)}${where}`);
  const places = columns.map((column) => ({ at: table.columns.indexOf(column), normalize: normalizer(column) }));
  return found.map((row) => {
    const image: RowImage = table.columns.map(() => undefined);
    for (const [index, { at, normalize }] of places.entries()) {
      const value = row[index] ?? null;
      image[at] = value === null || normalize === null ? value : normalize(value);
    }
    return { key: keyValues(table, image), image };
  });
}

/**
 * Not EXISTS: 9.7 makes a semijoin of it that finds nothing. N'…', since paths of JSON_TABLE take no introducer and must
 * not be binary, as other literals of this connection are.
 */
export function holdsTyped({ name }: Column): Bytes {
  const document = quoteName(name);
  const kinds = TYPED.map((kind) => `'${kind}'`).join(',');
  const inside = (path: Bytes) =>
    `(SELECT COUNT(*) FROM JSON_TABLE(${document}, N'${path}' COLUMNS (part JSON PATH N'$')) parts WHERE JSON_TYPE(parts.part) IN (${kinds})) > 0`;
  return `JSON_TYPE(${document}) IN (${kinds}) OR ${inside('$**.*')} OR ${inside('$**[*]')}`;
}

/**
 * MySQL 5.7 has no JSON_TABLE. What parses to an unequal document or prints otherwise; a DECIMAL that prints as the DOUBLE of
 * the same number is not found.
 */
export function holdsTypedBefore8({ name }: Column): Bytes {
  const text = (document: Bytes) => `CAST(${document} AS CHAR CHARACTER SET utf8mb4)`;
  const document = quoteName(name);
  const parsed = `CAST(${text(document)} AS JSON)`;
  return `${document}<>${parsed} OR ${text(document)}<>${text(parsed)}`;
}

/** Puts the types of the values in `column` behind its text. */
export async function addJsonTypes(
  reader: ServerConnection,
  table: Table,
  column: Column,
  rows: TypedRow[],
): Promise<void> {
  const at = table.columns.indexOf(column);
  const parts = rows.map((): TypedPart[] => []);
  const ask = async (questions: Question[]) => {
    const answers = await reader.rows(
      questions.map((question) => typesSql(table, column, question)).join(' UNION ALL '),
    );
    for (const [index, types] of answers) {
      const { number, leaves } = questions[Number(index)] ?? { number: -1, leaves: [] };
      for (const [i, type] of (types ?? '').split(',').entries()) {
        const leaf = leaves[i];
        const kind = TYPED.find((name) => name === type);
        if (leaf !== undefined && kind !== undefined) parts[number]?.push({ ...leaf, kind });
      }
    }
  };
  let questions: Question[] = [];
  let bytes = 0;
  for (const [number, { key, image }] of rows.entries()) {
    const document = image[at];
    if (document == null) continue;
    for (const leaves of inPieces(leavesOf(document), LEAVES_MAX)) {
      questions.push({ index: questions.length, number, key, leaves });
      bytes += leaves.reduce((sum, { path }) => sum + pathLiteral(path).length + 40, 100);
      if (bytes < STATEMENT_BYTES_MAX) continue;
      await ask(questions);
      questions = [];
      bytes = 0;
    }
  }
  if (questions.length > 0) await ask(questions);
  for (const [number, { image }] of rows.entries()) {
    const text = image[at];
    if (text != null) image[at] = typedDocument(text, parts[number] ?? []);
  }
}

/** What is asked of one row: the types of some leaves of its document. */
interface Question {
  /** In its statement. */
  index: number;
  /** Of the row. */
  number: number;
  key: Value[];
  leaves: Leaf[];
}

function typesSql(table: Table, { name }: Column, { index, key, leaves }: Question): Bytes {
  const types = leaves.map(({ path }) => `JSON_TYPE(JSON_EXTRACT(${quoteName(name)},${pathLiteral(path)}))`);
  const where = keyColumns(table).map((column, i) => `${quoteName(column.name)}=${comparand(column)(key[i] ?? null)}`);
  return `(SELECT ${index},CONCAT_WS(',',${types.join(',')}) FROM ${tableByKey(table)} WHERE ${where.join(' AND ')})`;
}

type Leaf = Omit<TypedPart, 'kind'>;

/** A string that can be the text of a date, a time or bytes. */
const TYPED_TEXT = /^(base64:type\d+:|-?\d{2,4}[-:]\d{2}[-:]\d{2})/;

class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Numbers, and strings that look like what a typed value prints as. The text is one character a byte, as ever. */
function leavesOf(document: Bytes): Leaf[] {
  const leaves: Leaf[] = [];
  const visit = (value: unknown, path: JsonPath) => {
    if (value instanceof NumberText) leaves.push({ path, text: value.text });
    else if (typeof value === 'string') {
      if (TYPED_TEXT.test(value)) leaves.push({ path, text: value });
    } else if (Array.isArray(value)) value.forEach((member, index) => visit(member, [...path, index]));
    else if (typeof value === 'object' && value !== null)
      for (const [key, member] of Object.entries(value)) visit(member, [...path, key]);
  };
  const numbersAsText = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? new NumberText(context?.source ?? String(value)) : value;
  visit(JSON.parse(document, numbersAsText), []);
  return leaves;
}

function* inPieces<T>(items: T[], length: number): Generator<T[]> {
  for (let at = 0; at < items.length; at += length) yield items.slice(at, at + length);
}
