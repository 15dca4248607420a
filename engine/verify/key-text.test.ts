import { expect, test } from 'vitest';
import type { Column } from '../schema/table.ts';
import { bytesOf } from '../server/connection.ts';
import { keyText } from './key-text.ts';

function column(dataType: string, charset: string | null = null): Column {
  return {
    name: 'k',
    dataType,
    columnType: dataType,
    charset,
    collation: null,
    nullable: false,
    unsigned: false,
    generated: null,
    length: null,
  };
}

test('numbers and text as they are, bytes as hexadecimal', () => {
  expect(keyText([column('int'), column('varchar', 'utf8mb4'), column('binary')], ['-7', bytesOf('é'), '\0\xff'])).toBe(
    '(-7, é, 0x00FF)',
  );
});

test('other charsets are decoded, unknown ones shown as bytes', () => {
  expect(
    keyText(
      [column('char', 'latin1'), column('char', 'utf16'), column('char', 'armscii8')],
      ['\xfc', '\0\xfc', '\xfc'],
    ),
  ).toBe('(ü, ü, 0xFC)');
});

test('long keys are cut', () => {
  expect(keyText([column('varchar', 'utf8mb4')], ['a'.repeat(65)])).toBe(`(${'a'.repeat(64)}…)`);
  expect(
    keyText(
      Array.from({ length: 16 }, () => column('binary')),
      Array.from({ length: 16 }, () => 'x'.repeat(64)),
    ),
  ).toHaveLength(201);
});
