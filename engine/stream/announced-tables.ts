import { SIDECAR_SCHEMA } from '../sidecar.ts';
import { AppError } from '../../core/errors.ts';
import { malformed, type BinlogEvent } from './event.ts';
import { isImportMark, readImportMark } from './import-mark.ts';
import { RowDecoder } from './row-image.ts';
import { UNMARKED_TABLE, type StreamScope } from './stream-scope.ts';
import { readTableId, readTableMap, readTableName } from './table-map.ts';

interface AnnouncedTable {
  body: Buffer;
  /** Null: rows of this table are passed over. */
  decoder: RowDecoder | null;
  /** Its rows say whose import writes. */
  marksImport: boolean;
}

/**
 * Map ids that stand for "no table" in an event that only ends a statement: where no such table was announced, since servers count through
 * the first of them.
 */
const NO_TABLE: ReadonlySet<number> = new Set([0xffffff, 0xffffffffffff]);
const EMPTY = Buffer.alloc(0);

/** Which table the ids in row events mean, as the last TABLE_MAP of each said. */
export class AnnouncedTables {
  readonly #scope: StreamScope;
  readonly #tables = new Map<number, AnnouncedTable>();

  constructor(scope: StreamScope) {
    this.#scope = scope;
  }

  /** What the table is to us. Throws STREAM_SCHEMA_CHANGED. */
  announce(event: BinlogEvent): 'ours' | 'imported' | 'other' {
    const { body } = event;
    const id = readTableId(body);
    const { schema, name } = readTableName(body);
    const marks = schema === SIDECAR_SCHEMA && name !== UNMARKED_TABLE;
    const table = marks ? this.#scope.ownTables?.get(name)?.table : this.#scope.tableOf(schema, name);
    if (table === undefined) {
      if (!marks && this.#scope.isImported(schema, name)) throw unknownHere(schema, name);
      this.#tables.set(id, { body: EMPTY, decoder: null, marksImport: marks && isImportMark(name) });
      return marks ? 'ours' : 'other';
    }
    const marksImport = marks && isImportMark(name);
    const known = this.#tables.get(id);
    // The event's bytes are gone after this call.
    if (known?.decoder?.table !== table || !known.body.equals(body))
      this.#tables.set(id, {
        body: Buffer.from(body),
        decoder: new RowDecoder(readTableMap(event, this.#scope.flavor), table),
        marksImport,
      });
    return marks ? 'ours' : 'imported';
  }

  /** For a row event; null where its rows are none of an imported table. */
  decoderOf({ body }: BinlogEvent): RowDecoder | null {
    const id = readTableId(body);
    const announced = this.#tables.get(id);
    if (announced !== undefined) return announced.decoder;
    if (NO_TABLE.has(id)) return null;
    throw malformed(`rows of a table (${id}) that was not announced`);
  }

  /** Whose import writes, where the event is on a table that says so. */
  importOf(event: BinlogEvent): string | undefined {
    return this.#tables.get(readTableId(event.body))?.marksImport === true ? readImportMark(event) : undefined;
  }

  /** Ids have no meaning beyond their log file. */
  clear(): void {
    this.#tables.clear();
  }
}

/** Where DDL was skipped, or made the table with its rows (CREATE TABLE … SELECT). */
function unknownHere(schema: string, name: string): AppError {
  return new AppError(
    'STREAM_SCHEMA_CHANGED',
    `rows of ${schema}.${name}, of which no definition is known at this position`,
    {
      details: { schema, table: name },
    },
  );
}
