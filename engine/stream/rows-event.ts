import { AppError } from '../../core/errors.ts';
import { Cursor } from './cursor.ts';
import { EVENT, malformed, type BinlogEvent } from './event.ts';
import { inflateMariadb } from './mariadb-compression.ts';
import type { RowDecoder } from './row-image.ts';
import type { RowChange } from './transaction.ts';

interface RowsForm {
  kind: RowChange['kind'];
  /** Version 2 has room for extra data behind the flags. */
  extra: boolean;
  compressed: boolean;
  partial: boolean;
}

const plain = (kind: RowChange['kind'], extra: boolean): RowsForm => ({
  kind,
  extra,
  compressed: false,
  partial: false,
});
const packed = (kind: RowChange['kind'], extra: boolean): RowsForm => ({
  kind,
  extra,
  compressed: true,
  partial: false,
});

const FORMS: ReadonlyMap<number, RowsForm> = new Map([
  [EVENT.WRITE_ROWS_V1, plain('insert', false)],
  [EVENT.UPDATE_ROWS_V1, plain('update', false)],
  [EVENT.DELETE_ROWS_V1, plain('delete', false)],
  [EVENT.WRITE_ROWS, plain('insert', true)],
  [EVENT.UPDATE_ROWS, plain('update', true)],
  [EVENT.DELETE_ROWS, plain('delete', true)],
  [EVENT.PARTIAL_UPDATE_ROWS, { kind: 'update', extra: true, compressed: false, partial: true }],
  [EVENT.MARIADB_WRITE_ROWS_COMPRESSED_V1, packed('insert', false)],
  [EVENT.MARIADB_UPDATE_ROWS_COMPRESSED_V1, packed('update', false)],
  [EVENT.MARIADB_DELETE_ROWS_COMPRESSED_V1, packed('delete', false)],
  [EVENT.MARIADB_WRITE_ROWS_COMPRESSED, packed('insert', true)],
  [EVENT.MARIADB_UPDATE_ROWS_COMPRESSED, packed('update', true)],
  [EVENT.MARIADB_DELETE_ROWS_COMPRESSED, packed('delete', true)],
]);

/** `NO_FOREIGN_KEY_CHECKS_F` of the event's flags. */
const UNCHECKED = 2;

export function isRowsEvent(type: number): boolean {
  return FORMS.has(type);
}

/**
 * Adds the row changes of an event to `changes`.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Rows__event.html
 */
export function readRows(event: BinlogEvent, decoder: RowDecoder, changes: RowChange[]): void {
  const { form, columns, bitmaps, cursor } = openRows(event);
  const unchecked = (event.body.readUInt16LE(6) & UNCHECKED) === 0 ? undefined : ({ unchecked: true } as const);
  if (columns !== decoder.columnCount)
    throw malformed(`${columns} columns in an event whose table has ${decoder.columnCount}`);
  const first = decoder.present(bitmaps.first);
  const second = bitmaps.second === null ? null : decoder.present(bitmaps.second);
  const { table } = decoder;
  while (cursor.left > 0) {
    const image = decoder.read(cursor, first);
    if (form.kind === 'insert') changes.push({ kind: 'insert', table, after: image });
    else if (form.kind === 'delete') changes.push({ kind: 'delete', table, before: image, ...unchecked });
    else {
      if (form.partial) refusePartial(cursor, decoder);
      changes.push({ kind: 'update', table, before: image, after: decoder.read(cursor, second), ...unchecked });
    }
  }
}

/** Up to where its first row begins. */
export function openRows({ type, body }: BinlogEvent) {
  const form = FORMS.get(type);
  if (form === undefined) throw malformed(`rows in an event of type ${type}`);
  let cursor = new Cursor(body, 8);
  if (form.extra) cursor.skip(cursor.uint16() - 2);
  const columns = cursor.lenenc();
  const bitmapBytes = (columns + 7) >> 3;
  const bitmaps = {
    first: cursor.slice(bitmapBytes),
    second: form.kind === 'update' ? cursor.slice(bitmapBytes) : null,
  };
  if (form.compressed) cursor = new Cursor(inflateMariadb(cursor.slice(cursor.left)));
  return { form, columns, bitmaps, cursor };
}

/** WL#2955: option 1 announces changes of JSON documents instead of the documents. */
function refusePartial(cursor: Cursor, { table }: RowDecoder): void {
  if ((cursor.lenenc() & 1) === 0) return;
  throw new AppError(
    'STREAM_ROW_IMAGE_NOT_FULL',
    `a row change of ${table.schema}.${table.name} has only parts of its JSON documents (binlog_row_value_options=PARTIAL_JSON)`,
  );
}
