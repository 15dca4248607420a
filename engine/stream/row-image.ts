import { AppError } from '../../core/errors.ts';
import type { RowImage, Table } from '../schema/table.ts';
import { columnReader, fits, type ColumnReader } from './column-reader.ts';
import type { Cursor } from './cursor.ts';
import { otherCharset } from './logged-charset.ts';
import type { TableMap } from './table-map.ts';

/** Decodes the row images of one table as one TABLE_MAP describes them. */
export class RowDecoder {
  readonly table: Table;
  readonly columnCount: number;
  readonly #readers: ColumnReader[];

  /** Throws STREAM_SCHEMA_CHANGED where the map is not the one of the imported table (I4). */
  constructor(map: TableMap, table: Table) {
    const { columns } = table;
    if (map.columns.length !== columns.length) {
      throw changed(
        table,
        `it has ${map.columns.length} columns in the binary log and ${columns.length} in the import`,
      );
    }
    this.table = table;
    this.columnCount = columns.length;
    this.#readers = map.columns.map((mapped, index) => {
      const column = columns[index];
      if (column === undefined || !fits(mapped, column)) {
        throw changed(
          table,
          `column ${column?.name ?? index} (${column?.columnType ?? 'unknown'}) has type ${mapped.type} under the name ${mapped.name ?? '(not logged)'} in the binary log`,
        );
      }
      const charset = otherCharset(mapped, column);
      if (charset !== undefined) {
        throw changed(
          table,
          `column ${column.name} (${column.columnType}) has the charset ${charset} in the binary log, and ${column.charset ?? 'binary'} in the import`,
        );
      }
      return columnReader(mapped, column);
    });
  }

  /**
   * The indexes of the columns that `bitmap` has; null for all of them. Only generated columns may be missing
   * (MariaDB does not log virtual ones): the target computes those itself.
   */
  present(bitmap: Buffer): number[] | null {
    const columns: number[] = [];
    for (let index = 0; index < this.columnCount; index += 1) {
      if ((((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1) === 1) columns.push(index);
      else if (this.table.columns[index]?.generated === null) {
        throw new AppError(
          'STREAM_ROW_IMAGE_NOT_FULL',
          `a row change of ${this.table.schema}.${this.table.name} lacks column ${this.table.columns[index]?.name}`,
        );
      }
    }
    return columns.length === this.columnCount ? null : columns;
  }

  /** One row image; the bits of NULL values count only the columns that are present. */
  read(cursor: Cursor, present: number[] | null): RowImage {
    const readers = this.#readers;
    if (present !== null) return this.#readSome(cursor, present, readers);
    const count = readers.length;
    const nulls = cursor.take((count + 7) >> 3);
    const { bytes } = cursor;
    // Of its final length from the start: one that grows by `push` takes room for 16 more.
    // oxlint-disable-next-line unicorn/no-new-array -- Array.from takes ten times as long
    const image = new Array<RowImage[number]>(count);
    for (let index = 0; index < count; index += 1) {
      const isNull = (((bytes[nulls + (index >> 3)] ?? 0) >> (index & 7)) & 1) === 1;
      image[index] = isNull ? null : readers[index]?.(cursor);
    }
    return image;
  }

  #readSome(cursor: Cursor, present: number[], readers: ColumnReader[]): RowImage {
    const nulls = cursor.take((present.length + 7) >> 3);
    const image: RowImage = readers.map(() => undefined);
    present.forEach((column, index) => {
      const isNull = (((cursor.bytes[nulls + (index >> 3)] ?? 0) >> (index & 7)) & 1) === 1;
      image[column] = isNull ? null : readers[column]?.(cursor);
    });
    return image;
  }
}

function changed(table: Table, what: string): AppError {
  return new AppError('STREAM_SCHEMA_CHANGED', `table ${table.schema}.${table.name} was changed: ${what}`, {
    details: { schema: table.schema, table: table.name },
  });
}
