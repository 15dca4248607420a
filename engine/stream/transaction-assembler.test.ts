import { describe, expect, it } from 'vitest';
import type { Table } from '../schema/table.ts';
import { EVENT, type BinlogEvent } from './event.ts';
import { isGenerator, TransactionAssembler } from './transaction-assembler.ts';
import type { StreamTransaction } from './transaction.ts';

const scope = {
  flavor: 'mysql' as const,
  tableOf: () => undefined,
  isImported: () => false,
  namesImported: () => false,
  takesNew: () => false,
  inScope: (schema: string) => schema === 'shop',
};

const table: Table = {
  schema: 'shop',
  name: 't',
  columns: [
    {
      name: 'id',
      dataType: 'int',
      columnType: 'int',
      charset: null,
      collation: null,
      nullable: false,
      unsigned: false,
      generated: null,
      length: null,
    },
  ],
  key: { name: 'PRIMARY', columns: [0] },
  uniqueKeys: [],
  createSql: '',
  rowsEstimate: 0,
  bytes: 0,
};

function event(type: number, body: Buffer, ignorable = false): BinlogEvent {
  return { type, timestamp: 1_700_000_000, serverId: 7, ignorable, size: body.length + 19, body };
}

/** MariaDB's, the simpler one. Flag 1: what follows stands alone. */
function gtid(sequence: number, flags = 0): BinlogEvent {
  const body = Buffer.alloc(19);
  body.writeBigUInt64LE(BigInt(sequence));
  body.writeUInt8(flags, 12);
  return event(EVENT.MARIADB_GTID, body);
}

function query(sql: string, schema = 'shop'): BinlogEvent {
  const head = Buffer.alloc(13);
  head.writeUInt8(schema.length, 8);
  return event(EVENT.QUERY, Buffer.concat([head, Buffer.from(`${schema}\0${sql}`)]));
}

const xid = () => event(EVENT.XID, Buffer.alloc(8));

function fed(assembler: TransactionAssembler, next: BinlogEvent): StreamTransaction | undefined {
  const answer = assembler.feed(next);
  if (answer !== undefined && isGenerator(answer)) throw new Error('several transactions at once');
  return answer;
}

describe('TransactionAssembler', () => {
  it('ends a transaction at XID, COMMIT or its only statement', () => {
    const assembler = new TransactionAssembler(scope, 1024);
    expect(fed(assembler, gtid(1))).toBeUndefined();
    expect(fed(assembler, xid())).toMatchObject({
      gtid: '0-7-1',
      changes: [],
      ddl: null,
      ours: false,
      committedAtMs: 1_700_000_000_000,
    });
    assembler.feed(gtid(2));
    expect(fed(assembler, query('COMMIT'))?.gtid).toBe('0-7-2');
    assembler.feed(gtid(3, 1));
    expect(fed(assembler, query('CREATE USER a'))?.gtid).toBe('0-7-3');
    assembler.feed(gtid(4, 1));
    assembler.feed(query('CREATE TABLE x (a INT) START TRANSACTION'));
    expect(fed(assembler, xid())?.gtid).toBe('0-7-4');
  });

  it('drops what a crash of the server cut off', () => {
    const assembler = new TransactionAssembler(scope, 1024);
    assembler.feed(gtid(1));
    assembler.feed(event(EVENT.FORMAT_DESCRIPTION, Buffer.alloc(10)));
    assembler.feed(gtid(2));
    expect(fed(assembler, xid())?.gtid).toBe('0-7-2');
  });

  it.each([
    ['an unknown event', event(99, Buffer.alloc(0)), 'STREAM_EVENT_UNKNOWN'],
    ['an incident', event(EVENT.INCIDENT, Buffer.alloc(4)), 'STREAM_INCIDENT'],
    ['a transaction without a GTID', event(EVENT.ANONYMOUS_GTID, Buffer.alloc(42)), 'STREAM_GTID_OFF'],
    ['a GTID inside a transaction', gtid(2), 'STREAM_EVENT_MALFORMED'],
    ['a statement that changes rows', query('INSERT INTO t VALUES (1)'), 'STREAM_STATEMENT_DML'],
    [
      'what pt-table-checksum writes elsewhere of rows here',
      query('REPLACE INTO `percona`.`checksums` (db, tbl, this_cnt) SELECT "shop", "t", COUNT(*) FROM `shop`.`t`'),
      'STREAM_STATEMENT_DML',
    ],
    [
      'a file loaded by a statement',
      event(
        EVENT.EXECUTE_LOAD_QUERY,
        Buffer.concat([
          query('').body.subarray(0, 13),
          Buffer.alloc(13),
          Buffer.from('shop\0LOAD DATA INFILE "x" INTO TABLE t'),
        ]),
      ),
      'STREAM_STATEMENT_DML',
    ],
    ['rows of a table that was not announced', event(EVENT.WRITE_ROWS, Buffer.alloc(20)), 'STREAM_EVENT_MALFORMED'],
    ['an XA COMMIT without its PREPARE', query("XA COMMIT X'61',X'',1"), 'STREAM_XA_UNKNOWN'],
  ])('stops at %s (I4)', (_, stop, code) => {
    const assembler = new TransactionAssembler(scope, 1024);
    assembler.feed(gtid(1));
    expect(() => assembler.feed(stop)).toThrow(expect.objectContaining({ code }));
  });

  it('passes over events that say they may be ignored', () => {
    const assembler = new TransactionAssembler(scope, 1024);
    assembler.feed(gtid(1));
    assembler.feed(event(99, Buffer.alloc(0), true));
    expect(fed(assembler, xid())?.gtid).toBe('0-7-1');
  });

  it('reads rows of a table whose map id also stands for none', () => {
    const assembler = new TransactionAssembler({ ...scope, tableOf: () => table, isImported: () => true }, 1024);
    const ofTable = Buffer.from('ffffff0000000100', 'hex');
    const name = Buffer.from('\x04shop\0\x01t\0');
    // One INT; version 2, no extra data, one column, present and not NULL: 5.
    const map = event(EVENT.TABLE_MAP, Buffer.concat([ofTable, name, Buffer.from('01030000', 'hex')]));
    const rows = event(EVENT.WRITE_ROWS, Buffer.concat([ofTable, Buffer.from('020001010005000000', 'hex')]));
    assembler.feed(gtid(1));
    assembler.feed(map);
    assembler.feed(rows);
    expect(fed(assembler, xid())?.changes).toEqual([{ kind: 'insert', table, after: ['5'] }]);
    assembler.feed(event(EVENT.FORMAT_DESCRIPTION, Buffer.alloc(10)));
    assembler.feed(gtid(2));
    assembler.feed(rows);
    expect(fed(assembler, xid())?.changes).toEqual([]);
  });

  it('takes no ROLLBACK without changes for a problem', () => {
    const assembler = new TransactionAssembler(scope, 1024);
    assembler.feed(gtid(1));
    assembler.feed(query('SAVEPOINT `a`'));
    assembler.feed(query('ROLLBACK TO `a`'));
    assembler.feed(query('RELEASE SAVEPOINT `a`'));
    expect(fed(assembler, query('ROLLBACK'))).toMatchObject({ gtid: '0-7-1', changes: [] });
  });
});
