import { keys, only, plain, type ZooType } from './zoo-type.ts';

const ascii = (text: string) => `_latin1'${text}'`;

/** What only MariaDB has. */
export const MARIADB: ZooType[] = only('mariadb', [
  ...keys('UUID (becomes CHAR(36))', {
    uu: [
      'UUID',
      ...[
        '123e4567-e89b-12d3-a456-426614174000',
        '00000000-0000-0000-0000-000000000000',
        'f47ac10b-58cc-4372-a567-0e02b2c3d479',
        '018e9a3c-0000-7000-8000-00000000ff00',
      ].map(ascii),
    ],
  }),
  ...keys('INET4, INET6 (become VARCHAR)', {
    i6: [
      'INET6',
      ...[
        '2001:db8::ff00:42:8329',
        '::',
        '::ffff:192.168.0.1',
        'fe80::',
        '::1.2.3.0',
        '1:0:0:2::',
        '1:2:3:0:5:6:7:8',
        '::1',
        '0:0:1:0:0:2:0:0',
      ].map(ascii),
    ],
    i4: ['INET4', ...['192.168.0.0', '0.0.0.0', '255.255.255.255'].map(ascii)],
  }),
  ...plain('COMPRESSED columns', {
    cv: ['VARCHAR(1000) COMPRESSED', "REPEAT('abc', 300)", "'short'", "''"],
    cb: ['BLOB COMPRESSED', 'REPEAT(0x00ff, 20000)', "''", "'x'"],
    ct: ['LONGTEXT COMPRESSED', "REPEAT('long', 50000)", "''"],
    cl: ['VARCHAR(100) COMPRESSED CHARACTER SET latin1', "REPEAT('a', 100)", "'b'"],
  }),
  ...plain('JSON of MariaDB (text with a check)', { jl: ['JSON', `'{"a": 1.0, "a": 2}'`, "'[1,  2]'", "'null'"] }),
  ...keys('uca1400 and nopad collations (become the nearest of 0900)', {
    uq: ['VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci', "'a'", hexText('c39f'), "'z '"],
    us: ['VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_swedish_as_cs', "'a'", hexText('c3a4'), "'A'"],
    np: ['VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin', "'a'", "'a '"],
    ng: ['VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_nopad_ci', "'a'", "'b '"],
  }),
]);

function hexText(digits: string): string {
  return `_utf8mb4 X'${digits}'`;
}
