import { escapeBytes, bytesOf, type Bytes } from '../../../engine/server/connection.ts';
import { hex, only, plain, type ZooType } from './zoo-type.ts';

/** Documents that are text. */
const TEXTS = [
  'null',
  'true',
  'false',
  '0',
  '-1',
  '32767',
  '32768',
  '-32769',
  '65536',
  '2147483648',
  '-9223372036854775808',
  '18446744073709551615',
  '1.0',
  '-0.0',
  '0.1',
  '1e20',
  '1e-7',
  '1.7976931348623157e308',
  '5e-324',
  '123456789012345.678',
  '0.30000000000000004',
  '""',
  '"a\\"b\\\\c\\n\\u0001\\u2028é😀/\\u0000"',
  '[]',
  '{}',
  '[[[[[[]]]]]]',
  '{"a": 1, "b": [1, 2.5, null, "x"], "": {"": ""}}',
  '{"__proto__": 1, "constructor": [true], "toString": false}',
  '{"a": 1, "A": 2, "a ": 3, "\\u0061\\u0301": 4, "á": 5, "10": 6, "9": 7, "aa": 8}',
  '{"\\"": 1, "\\\\": 2, "a.b": 3, "$": 4, "*": 5, "[0]": 6, "\\n": 7}',
  `{"k": "${'v'.repeat(300)}", "l": [${Array.from({ length: 300 }, (_, i) => i * 1000).join(',')}]}`,
  `[${Array.from({ length: 20_000 }, (_, i) => `"${i}-${'x'.repeat(8)}"`).join(',')}, {"deep": {"er": [-70000, 70000, 4294967296]}}]`,
  `${'['.repeat(99)}${']'.repeat(99)}`,
  '["2024-01-02", "base64:type15:yv4=", "01:02:03.000000", 1.5]',
];

const text = (json: string): Bytes => `CAST(_utf8mb4'${escapeBytes(bytesOf(json))}' AS JSON)`;

const decimal = (digits: string, type: string): Bytes => `CAST('${digits}' AS DECIMAL(${type}))`;

/** A value of a column's type, for which there is no expression. */
const ofColumn = (type: string, value: Bytes): Bytes =>
  `(SELECT v FROM JSON_TABLE(JSON_ARRAY(${value}), _utf8mb4'$[*]' COLUMNS (v ${type} PATH N'$')) t)`;

export const DOCUMENTS: ZooType[] = only('mysql', [
  ...plain('JSON', { js: ['JSON', ...TEXTS.map(text)] }),
  ...plain('JSON holding DECIMAL, DATE, TIME, DATETIME, TIMESTAMP, binary strings, BIT', {
    jo: [
      'JSON',
      `CAST(${decimal('1.5', '3,1')} AS JSON)`,
      `CAST(${decimal('1.50', '5,2')} AS JSON)`,
      `CAST(${decimal('0.5', '1,1')} AS JSON)`,
      `CAST(${decimal('-15', '5,0')} AS JSON)`,
      `JSON_ARRAY(${decimal('12345678901234567890.1234567890', '30,10')}, ${decimal('9'.repeat(65), '65,0')}, 1.5e0)`,
      `JSON_OBJECT(_utf8mb4'd', CAST('2024-01-02' AS DATE), _utf8mb4'z', CAST('0000-00-00' AS DATE), _utf8mb4's', _utf8mb4'2024-01-02')`,
      `JSON_OBJECT(_utf8mb4't', CAST('-838:59:59' AS TIME(6)), _utf8mb4'u', CAST('01:02:03.456' AS TIME(3)), _utf8mb4's', _utf8mb4'01:02:03.456000')`,
      `JSON_ARRAY(CAST('2024-02-03 04:05:06.789' AS DATETIME(3)), TIMESTAMP(_utf8mb4'2024-02-03 04:05:06'), _utf8mb4'2024-02-03 04:05:06.000000')`,
      `CAST(CAST('2024-02-03' AS DATE) AS JSON)`,
      `JSON_ARRAY(${hex('cafe')}, ${hex('')}, REPEAT(${hex('00ff')}, 200), _utf8mb4'base64:type15:yv4=')`,
      `JSON_OBJECT(_utf8mb4'a', JSON_OBJECT(_utf8mb4'', JSON_ARRAY(1, JSON_OBJECT(_utf8mb4'q"\\\\.[0]*$', CAST('2024-01-02' AS DATE)))))`,
      ...[
        ['TIMESTAMP(6)', "_utf8mb4'2024-02-29 01:02:03.456'"],
        ['BLOB', hex('00ff')],
        ['LONGBLOB', hex('27')],
        ['BINARY(3)', hex('01')],
        ['BIT(9)', '257'],
      ].map(([type, value]) => `JSON_ARRAY(1, ${ofColumn(type ?? '', value ?? '')})`),
    ],
  }),
  ...plain('JSON holding UNSIGNED INTEGER below 2^63', {
    ju: [
      'JSON',
      'JSON_ARRAY(CAST(5 AS UNSIGNED), 5, CAST(70000 AS UNSIGNED), 70000, CAST(5000000000 AS UNSIGNED), TRUE)',
      'CAST(CAST(9223372036854775807 AS UNSIGNED) AS JSON)',
    ],
  }),
]);
