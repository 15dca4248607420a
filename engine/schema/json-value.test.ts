import { describe, expect, it } from 'vitest';
import { jsonLiteral, plainJson, typedDocument } from './json-value.ts';

/** What servers make of the SQL is compared in test/fidelity. */
describe('typedDocument', () => {
  it('is the text alone where there is nothing else', () => {
    expect(typedDocument('{"a": 1}', [])).toBe('{"a": 1}');
    expect(jsonLiteral('"it\'s"')).toBe(`_utf8mb4'"it\\'s"'`);
  });

  it('puts values in their places, whatever the keys are', () => {
    const value = typedDocument('{"q\\"": [1.50]}', [{ path: ['q"', 0], kind: 'DECIMAL', text: '1.50' }]);
    expect(plainJson(value)).toBe('{"q\\"": [1.50]}');
    expect(jsonLiteral(value)).toBe(
      `JSON_SET(CAST(_utf8mb4'{"q\\\\"": [1.50]}' AS JSON),_utf8mb4'$."q\\\\""[0]',CAST('1.50' AS DECIMAL(3,2)))`,
    );
  });

  it.each([
    ['-15', "CAST('-15' AS DECIMAL(2,0))"],
    ['0.5', "CAST('0.5' AS DECIMAL(2,1))"],
    ['9'.repeat(65), `CAST('${'9'.repeat(65)}' AS DECIMAL(65,0))`],
    [`0.${'1'.repeat(30)}`, `CAST('0.${'1'.repeat(30)}' AS DECIMAL(31,30))`],
  ])('has room for every digit of %s', (text, sql) => {
    expect(typedDocument('0', [{ path: [], kind: 'DECIMAL', text }])).toBe(`0\0_utf8mb4'$',${sql}`);
  });

  it('refuses what it cannot make', () => {
    expect(() => typedDocument('0', [{ path: [], kind: 'OPAQUE', text: 'base64:type242:AAAA' }])).toThrow(
      expect.objectContaining({ code: 'JSON_VALUE_UNSUPPORTED' }),
    );
  });
});
