import { describe, expect, it } from 'vitest';
import { jsonDouble, jsonText } from './json-text.ts';

const text = (hex: string) => jsonText(Buffer.from(hex, 'hex'), 0, hex.length / 2);

/** Whole documents are compared with the server's own text in test/integration/stream*.mysql.test.ts. */
describe('jsonText', () => {
  it.each([
    ['', 'null'],
    ['0400', 'null'],
    ['0401', 'true'],
    ['05ffff', '-1'],
    ['06ffff', '65535'],
    ['0affffffffffffffff', '18446744073709551615'],
    ['0c03612262', '"a\\"b"'],
    ['0c020a01', '"\\n\\u0001"'],
    ['0000000400', '{}'],
    ['0200000400', '[]'],
    ['0002001d0012000100130001000501000502006162', '{"a": 1, "b": 2}'],
  ])('%s', (hex, expected) => expect(text(hex)).toBe(expected));

  it('keeps doubles doubles', () => {
    expect([1, -0, 1e20, 1e21, 0.1, 5e-324].map(jsonDouble)).toEqual([
      '1.0',
      '-0.0',
      '100000000000000000000.0',
      '1e+21',
      '0.1',
      '5e-324',
    ]);
  });

  it.each(['0302', '0d00', '0c05616263', '040a'])('refuses the damaged %s', (hex) => {
    expect(() => text(hex)).toThrow();
  });
});
