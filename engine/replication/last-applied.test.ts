import { describe, expect, test } from 'vitest';
import { MariadbGtidPosition } from '../../core/gtid-mariadb.ts';
import { MysqlGtidSet } from '../../core/gtid-mysql.ts';
import { anchorOf, lastOf } from './last-applied.ts';
import { ProgressRow, readDurable } from '../sidecar.ts';

const UUID = '00000000-0000-0000-0000-00000000000a';

/** What stands in the progress row. */
function stored(durable: Parameters<ProgressRow['updateStatement']>[1]): ReturnType<typeof readDurable> {
  const statement = new ProgressRow('shop', 'forward').updateStatement('1', durable, 0);
  return readDurable(/position='([^']*)'/.exec(statement)?.[1] ?? '');
}

describe('the last transaction beside the position', () => {
  test('of MySQL: everything else is what was before it', () => {
    const before = MysqlGtidSet.parse(`${UUID}:1-5`);
    const last = lastOf(before, [`${UUID}:7`, `${UUID}:6`], 'us1700');
    const position = `${UUID}:1-7`;
    const row = stored({ position, last });
    expect(row).toEqual({
      position,
      readFrom: undefined,
      last: { gtid: `${UUID}:6`, stamp: 'us1700', before: undefined },
    });
    const anchor = anchorOf('mysql', MysqlGtidSet.parse(row.position), row.last);
    expect(anchor?.before.toString()).toBe(`${UUID}:1-5:7`);
  });

  test('of MariaDB: with the position before it', () => {
    const last = lastOf(MariadbGtidPosition.parse('0-1-4,1-1-9'), ['0-1-5', '1-1-10', '0-2-6'], 's1700 2');
    const position = '0-2-6,1-1-10';
    const row = stored({ position, readFrom: '0-1-3', last });
    expect(row.readFrom).toBe('0-1-3');
    const anchor = anchorOf('mariadb', MariadbGtidPosition.parse(row.position), row.last);
    expect(anchor).toMatchObject({ gtid: '0-2-6', stamp: 's1700 2' });
    expect(anchor?.before.toString()).toBe('0-1-5,1-1-10');
  });

  test('is none where the row does not say so, or has been moved on since', () => {
    const position = MysqlGtidSet.parse(`${UUID}:1-7`);
    expect(anchorOf('mysql', position, readDurable(position.toString()).last)).toBeUndefined();
    expect(anchorOf('mysql', position, { gtid: `${UUID}:8`, stamp: 'us1' })).toBeUndefined();
    const moved = MariadbGtidPosition.parse('0-1-9');
    expect(anchorOf('mariadb', moved, { gtid: '0-1-5', stamp: 's1 1', before: '0-1-4' })).toBeUndefined();
    expect(anchorOf('mariadb', moved, { gtid: '0-1-9', stamp: 's1 1', before: '' })).toBeUndefined();
  });
});
