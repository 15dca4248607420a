import ZongJi from '@vlasky/zongji';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamPosition } from '../../core/gtid.ts';
import type { Table } from '../../engine/schema/table.ts';
import { textOf, type Value } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { StreamFixture } from '../support/stream-fixture.ts';

/**
 * The same log read by `@vlasky/zongji`, an independent client and decoder, on the types that it decodes faithfully
 * (ADR 0003 says which it does not): the same changes in the same order with the same values.
 */
const COLUMNS: Record<string, { type: string; value: fc.Arbitrary<string> }> = {
  tiny: { type: 'TINYINT', value: fc.integer({ min: -128, max: 127 }).map(String) },
  medium: { type: 'MEDIUMINT UNSIGNED', value: fc.integer({ min: 0, max: 2 ** 24 - 1 }).map(String) },
  whole: { type: 'INT', value: fc.integer().map(String) },
  big: { type: 'BIGINT', value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) },
  ubig: { type: 'BIGINT UNSIGNED', value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String) },
  money: {
    type: 'DECIMAL(20,5)',
    value: fc
      .tuple(fc.bigInt({ min: -(10n ** 15n) + 1n, max: 10n ** 15n - 1n }), fc.integer({ min: 0, max: 99_999 }))
      .map(([a, b]) => `${a}.${String(b).padStart(5, '0')}`),
  },
  number: {
    type: 'DOUBLE',
    value: fc
      .double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 })
      .map((value) => (String(value).includes('e') ? String(value) : `${value}e0`)),
  },
  shorter: {
    type: 'VARCHAR(40) CHARACTER SET utf8mb4',
    value: fc.string({ unit: 'grapheme', maxLength: 20 }).map(hex('utf8mb4')),
  },
  longer: {
    type: 'VARCHAR(400) CHARACTER SET utf8mb4',
    value: fc.string({ unit: 'grapheme', maxLength: 200 }).map(hex('utf8mb4')),
  },
  raw: {
    type: 'VARBINARY(30)',
    value: fc.uint8Array({ maxLength: 30 }).map((bytes) => `X'${Buffer.from(bytes).toString('hex')}'`),
  },
  body: { type: 'TEXT CHARACTER SET utf8mb4', value: fc.string({ maxLength: 300 }).map(hex('utf8mb4')) },
  day: {
    type: 'DATE',
    value: fc
      .date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => `'${date.toISOString().slice(0, 10)}'`),
  },
  moment: {
    type: 'DATETIME(3)',
    value: fc
      .date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => `'${date.toISOString().slice(0, -1)}'`),
  },
  span: {
    type: 'TIME(2)',
    value: fc
      .tuple(
        fc.boolean(),
        fc.integer({ min: 0, max: 838 }),
        fc.integer({ min: 0, max: 59 }),
        fc.integer({ min: 0, max: 99 }),
      )
      .map(
        ([negative, hours, minutes, rest]) =>
          `'${negative ? '-' : ''}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}:07.${String(rest).padStart(2, '0')}'`,
      ),
  },
};

function hex(charset: string): (text: string) => string {
  return (text) => `_${charset} X'${Buffer.from(text).toString('hex')}'`;
}

interface Seen {
  kind: string;
  rows: unknown[];
}

/** Everything from `from` on, until `count` changes were seen. */
async function readWithOracle(
  server: RunningServer,
  schema: string,
  from: StreamPosition,
  count: number,
): Promise<Seen[]> {
  const options = {
    host: server.host,
    port: server.port,
    user: server.adminUser,
    password: server.adminPassword,
    dateStrings: true,
  };
  const zongji = new ZongJi(options);
  const seen: Seen[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  zongji.on('error', reject);
  zongji.on('binlog', (event) => {
    if (!('rows' in event)) return;
    for (const row of event.rows as Record<string, unknown>[]) {
      const images = event.getEventName() === 'updaterows' ? [row['before'], row['after']] : [row];
      seen.push({ kind: event.getEventName().replace('rows', ''), rows: images });
    }
    if (seen.length >= count) resolve();
  });
  zongji.start({
    gtidSet: from.toString(),
    serverId: 900_000_000 + server.port,
    includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'],
    includeSchema: { [schema]: true },
  });
  try {
    await promise;
  } finally {
    zongji.stop();
  }
  return seen;
}

/** A canonical value as the oracle gives it. */
function asOracle({ columns }: Table, at: number, value: Value | undefined): unknown {
  const column = columns[at];
  if (value === null || value === undefined || column === undefined) return value;
  switch (column.dataType) {
    case 'tinyint':
    case 'mediumint':
    case 'int':
    case 'double':
      return Number(value);
    case 'bigint':
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    case 'varbinary':
      return Buffer.from(value, 'latin1');
    case 'varchar':
    case 'text':
      return textOf(value);
    default:
      return value;
  }
}

describe.each(['mysql-9.7', 'mariadb-11.8'] as const)('beside zongji on %s', (flavor) => {
  it('decodes the same changes', async () => {
    await using server = await startServer({
      flavor,
      options: ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=2'],
    });
    await using fixture = await StreamFixture.create(server, 'oracle');
    const names = Object.keys(COLUMNS);
    await fixture.run(
      `CREATE TABLE t (id INT PRIMARY KEY, ${Object.entries(COLUMNS)
        .map(([name, { type }]) => `${name} ${type} NULL`)
        .join(', ')})`,
    );
    await fixture.inspect();
    const row = fc.record(
      Object.fromEntries(
        Object.entries(COLUMNS).map(([name, { value }]) => [name, fc.option(value, { nil: 'NULL', freq: 6 })]),
      ),
    );
    const rows = fc.sample(row, { numRuns: 400, seed: 20_260_101 });
    const from = await fixture.position();
    for (const [id, values] of rows.entries()) {
      const list = names.map((name) => values[name]);
      if (id % 4 === 3) await fixture.run('BEGIN');
      await fixture.run(`INSERT INTO t VALUES (${id}, ${list.join(', ')})`);
      if (id % 4 === 1)
        await fixture.run(
          `UPDATE t SET ${names.map((name, at) => `${name} = ${list[at]}`).join(', ')} WHERE id IN (${id - 1}, ${id - 2})`,
        );
      if (id % 4 === 3) await fixture.run(`DELETE FROM t WHERE id < ${id - 3}`, 'COMMIT');
    }
    const until = await fixture.position();
    await using stream = await fixture.open(from);
    const ours: Seen[] = [];
    for (const seen = from.clone(); !seen.covers(until);) {
      const { gtid, changes } = await stream.next(AbortSignal.timeout(30_000));
      seen.advance(gtid);
      for (const change of changes) {
        const images =
          change.kind === 'update'
            ? [change.before, change.after]
            : [change.kind === 'insert' ? change.after : change.before];
        ours.push({
          kind: { insert: 'write', update: 'update', delete: 'delete' }[change.kind],
          rows: images.map((image) =>
            Object.fromEntries(
              image.map((value, at) => [change.table.columns[at]?.name, asOracle(change.table, at, value)]),
            ),
          ),
        });
      }
    }
    expect(ours.length).toBeGreaterThan(800);
    const theirs = await readWithOracle(server, 'oracle', from, ours.length);
    expect(ours).toEqual(theirs);
  });
});
