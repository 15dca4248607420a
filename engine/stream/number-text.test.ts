import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalText, doubleText, floatText } from './number-text.ts';

describe('floatText', () => {
  it('reads back to the same float32 and is never longer than nine digits', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = floatText(value);
        expect(Object.is(Math.fround(Number(text)), value)).toBe(true);
        expect(
          text
            .replace(/e.*/, '')
            .replace(/^-?0*\.?0*|\.|-/g, '')
            .replace(/0+$/, '').length,
        ).toBeLessThanOrEqual(9);
      }),
    );
  });

  it.each([
    [0.1, '0.1'],
    [3.4028234663852886e38, '3.4028235e+38'],
    [1.401298464324817e-45, '1e-45'],
    [-0, '-0'],
    [16777216, '16777216'],
    [1.5, '1.5'],
  ])('%d', (value, text) => expect(floatText(Math.fround(value))).toBe(text));
});

it('doubleText keeps the sign of zero', () => {
  expect(doubleText(-0)).toBe('-0');
  expect(doubleText(1.7976931348623157e308)).toBe('1.7976931348623157e+308');
});

describe('decimalText', () => {
  it.each([
    ['810dfb38d204d2', 14, 4, '1234567890.1234'],
    ['7ef204c72dfb2d', 14, 4, '-1234567890.1234'],
    ['80', 1, 0, '0'],
    ['7efe', 2, 1, '-1.1'],
    ['800000', 4, 2, '0.00'],
    ['8000000000000007', 18, 0, '7'],
    ['80000001', 9, 9, '0.000000001'],
  ])('%s as DECIMAL(%d,%d)', (hex, precision, scale, text) => {
    expect(decimalText(Buffer.from(hex, 'hex'), 0, precision, scale)).toBe(text);
  });
});
