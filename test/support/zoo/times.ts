import { keys, only, type ZooType } from './zoo-type.ts';

const DIGITS = [0, 1, 2, 3, 4, 5, 6];

const fractions = (label: string, prefix: string, type: (digits: number) => string, values: string[]): ZooType[] =>
  DIGITS.flatMap((digits) => keys(label, { [`${prefix}${digits}`]: [type(digits), ...values] }));

export const TIMES: ZooType[] = [
  ...keys('DATE, zero, partly zero and impossible ones included', {
    da: [
      'DATE',
      "'0000-00-00'",
      "'2024-02-29'",
      "'2024-00-00'",
      "'2024-11-00'",
      "'2023-02-31'",
      "'9999-12-31'",
      "'0001-01-01'",
    ],
  }),
  ...fractions('DATETIME(0 … 6), likewise', 'dt', (digits) => `DATETIME(${digits})`, [
    "'0000-00-00 00:00:00'",
    "'9999-12-31 23:59:59'",
    "'2024-02-29 01:02:03.040506'",
    "'1000-00-00 10:00:00'",
    "'0000-01-01 00:00:07.999'",
    "'2023-02-31 12:00:00'",
  ]),
  ...fractions('TIMESTAMP(0 … 6), servers in different time zones', 'ts', (digits) => `TIMESTAMP(${digits}) NULL`, [
    "'1970-01-01 00:00:01'",
    "'2038-01-19 03:14:07'",
    "'0000-00-00 00:00:00'",
    "'2024-02-29 23:59:58.456789'",
    "'2000-03-01 00:00:00.1'",
    "'2024-03-31 02:30:00.5'",
    "'1999-12-31 23:59:59.000001'",
  ]),
  ...fractions('TIME(0 … 6), negative and over 24 h', 'tm', (digits) => `TIME(${digits})`, [
    "'-838:59:59'",
    "'838:59:59'",
    "'-00:00:03.5'",
    "'-00:00:01.25'",
    "'12:34:56.999999'",
    "'00:00:00'",
    "'-00:00:02.000001'",
    "'-123:00:00.090807'",
  ]),
];

/** No MySQL server can hold these in a TIMESTAMP. */
export const TIMESTAMPS_AFTER_2038: ZooType[] = only(
  'mariadb-11.8',
  keys('TIMESTAMP after 2038-01-19 (MariaDB 11.5)', {
    tl: ['TIMESTAMP NULL', "'2038-01-19 03:14:08'", "'2106-02-07 06:28:15'"],
  }),
);
