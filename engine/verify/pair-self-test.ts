import { createHash } from 'node:crypto';
import { AppError } from '../../core/errors.ts';
import type { ServerFacts } from '../api.ts';
import { escapeBytes, quoteName, type Bytes, type ServerConnection } from '../server/connection.ts';
import type { ColumnForm } from './column-form.ts';
import type { Flavors, OpenPair } from './connection-pair.ts';
import {
  AGGREGATE_PROBE,
  aggregateOf,
  digestSql,
  fingerprintSql,
  parseFingerprint,
  sameFingerprint,
  type Aggregate,
} from './fingerprint.ts';
import { rowText } from './row-text.ts';
import type { Aggregates } from './table-pair.ts';

interface Sample {
  form: ColumnForm;
  /** SQL of the value. */
  sql: Bytes;
  /** Its part of the row's text. */
  text: Bytes;
  only?: ServerFacts['flavor'];
}

const SAMPLES: readonly Sample[] = [
  { form: 'plain', sql: '18446744073709551615', text: '18446744073709551615,' },
  { form: 'plain', sql: '-9223372036854775808', text: '-9223372036854775808,' },
  { form: 'plain', sql: "CAST('1.1' AS DECIMAL(65,30))", text: '1.100000000000000000000000000000,' },
  { form: 'plain', sql: "CAST('-0.001' AS DECIMAL(5,3))", text: '-0.001,' },
  { form: 'plain', sql: "CAST('2026-01-02' AS DATE)", text: '2026-01-02,' },
  { form: 'plain', sql: "CAST('2026-01-02 03:04:05.678900' AS DATETIME(6))", text: '2026-01-02 03:04:05.678900,' },
  { form: 'plain', sql: "CAST('2026-01-02 03:04:05' AS DATETIME(3))", text: '2026-01-02 03:04:05.000,' },
  { form: 'plain', sql: "CAST('-838:59:59' AS TIME)", text: '-838:59:59,' },
  { form: 'plain', sql: "CAST('00:00:00.100' AS TIME(3))", text: '00:00:00.100,' },
  { form: 'plain', sql: 'NULL', text: '-,' },
  { form: 'unsigned', sql: '18446744073709551615', text: '18446744073709551615,' },
  { form: 'plain', sql: '0.1e0', text: '0.1,' },
  { form: 'plain', sql: '0e0', text: '0,' },
  { form: 'plain', sql: '1e15', text: '1e15,' },
  { form: 'plain', sql: '123456789012345678e0', text: '1.2345678901234568e17,' },
  { form: 'plain', sql: '0.30000000000000004e0', text: '0.30000000000000004,' },
  { form: 'plain', sql: '1.7976931348623157e308', text: '1.7976931348623157e308,' },
  { form: 'float', sql: '0e0', text: '0,' },
  { form: 'float', sql: '1e0', text: '7.1362384635298e44,' },
  { form: 'float', sql: '-3.4028234663852886e38', text: '-2.4283359705420498e83,' },
  { form: 'float', sql: '1.4012984643248171e-45', text: '1,' },
  { form: 'bytes', sql: "CONVERT(_utf8mb4'\xc3\xa9' USING latin1)", text: '1:\xe9' },
  { form: 'bytes', sql: "_utf8mb4'\xc3\xa9'", text: '2:\xc3\xa9' },
  { form: 'bytes', sql: "_utf8mb4'e\xcc\x81'", text: '3:e\xcc\x81' },
  { form: 'bytes', sql: "_utf8mb4'\xf0\x9f\x90\xac'", text: '4:\xf0\x9f\x90\xac' },
  { form: 'bytes', sql: "CONVERT(_utf8mb4'\xc3\xa9' USING utf16)", text: '2:\0\xe9' },
  { form: 'bytes', sql: "CONVERT(_utf8mb4'\xe4\xb8\x80' USING gbk)", text: '2:\xd2\xbb' },
  { form: 'bytes', sql: "CONVERT(_utf8mb4'\xe8\xa1\xa8' USING sjis)", text: '2:\x95\x5c' },
  { form: 'bytes', sql: "_binary'\\0\xff,:-'", text: '5:\0\xff,:-' },
  { form: 'bytes', sql: "_utf8mb4'a '", text: '2:a ' },
  { form: 'bytes', sql: "''", text: '0:' },
  { form: 'bytes', sql: 'NULL', text: '-:' },
  { form: 'text', sql: "CONVERT(_utf8mb4'\xc3\xa9' USING latin1)", text: '2:\xc3\xa9' },
  { form: 'text', sql: "CONVERT(_utf8mb4'\xc3\xa9' USING utf16)", text: '2:\xc3\xa9' },
  { form: 'long_bytes', sql: "CONVERT(_utf8mb4'\xc3\xa9' USING latin1)", text: sha256('\xe9') },
  { form: 'long_bytes', sql: "CONVERT(_utf8mb4'\xc3\xa9' USING utf16)", text: sha256('\0\xe9') },
  { form: 'long_bytes', sql: "''", text: sha256('') },
  { form: 'long_bytes', sql: 'NULL', text: '-' },
  { form: 'long_text', sql: "CONVERT(_utf8mb4'\xc3\xa9' USING utf16)", text: sha256('\xc3\xa9') },
  {
    form: 'json',
    sql: `CAST(_utf8mb4'{"b": 1.0, "a": ["\xc3\xa9", 1e300]}' AS JSON)`,
    text: sha256('{"a": ["\xc3\xa9", 1e300], "b": 1.0}'),
    only: 'mysql',
  },
];

/** Rejects with VERIFY_PAIR_UNEQUAL. */
export async function selfTests({ source, target }: OpenPair, flavors: Flavors): Promise<Aggregates> {
  return {
    source: await selfTest(source, flavors.source),
    target: await selfTest(target, flavors.target),
  };
}

/**
 * Asks a server for texts and fingerprints of a small corpus whose answers are known, so that both servers are known to
 * agree before any row is compared. Rejects with VERIFY_PAIR_UNEQUAL; answers which aggregate the server can.
 */
export async function selfTest(connection: ServerConnection, flavor: ServerFacts['flavor']): Promise<Aggregate> {
  const [probed] = await connection.rows(AGGREGATE_PROBE);
  const aggregate = aggregateOf(probed?.[0] ?? null);
  const samples = SAMPLES.filter(({ only }) => only === undefined || only === flavor);
  for (const [index, sample] of samples.entries()) await testText(connection, sample, index);
  await testFingerprint(connection, aggregate, samples);
  return aggregate;
}

/** Once as a column that may be NULL and, unless it is NULL, once as one that may not. */
async function testText(connection: ServerConnection, { form, sql, text }: Sample, index: number): Promise<void> {
  for (const nullable of sql === 'NULL' ? [true] : [true, false]) {
    const columns = [
      { name: 'id', form: 'plain' as const, nullable: false },
      { name: 'value', form, nullable },
    ];
    const [row] = await connection.rows(
      `SELECT ${rowText(columns)},${digestSql(rowText(columns))} FROM (SELECT ${index} AS id,${sql} AS value) AS corpus`,
    );
    const expected = `${index},${text}`;
    if (row?.[0] !== expected || row[1] !== sha256(expected))
      throw unequal(connection, sql, JSON.stringify(expected), JSON.stringify(row?.[0]));
  }
}

/** Rows without NULL, their texts as strings; three of them, so that one digest cannot hide another. */
async function testFingerprint(
  connection: ServerConnection,
  aggregate: Aggregate,
  samples: readonly Sample[],
): Promise<void> {
  const texts = samples.slice(0, 3).map(({ text }) => text);
  const corpus = texts.map((text) => `SELECT '${escapeBytes(text)}' AS value`).join(' UNION ALL ');
  const answer = parseFingerprint(
    await connection.rows(fingerprintSql(aggregate, quoteName('value'), "'never'", ` FROM (${corpus}) AS corpus`)),
  );
  const digest = texts.map((text) => BigInt(`0x${sha256(text)}`)).reduce((xor, value) => xor ^ value, 0n);
  const expected = { rows: texts.length, digest: digest.toString(16).toUpperCase().padStart(64, '0') };
  if (!sameFingerprint(answer, expected))
    throw unequal(connection, 'a fingerprint', JSON.stringify(expected), JSON.stringify(answer));
}

function unequal(connection: ServerConnection, what: string, expected: string, answer: string): AppError {
  const { host, port } = connection.server;
  return new AppError(
    'VERIFY_PAIR_UNEQUAL',
    `${host}:${port} answers ${answer} for ${what}, where every server should answer ${expected}`,
    {
      details: { server: `${host}:${port}`, expected, answer },
    },
  );
}

function sha256(bytes: Bytes): Bytes {
  return createHash('sha256').update(bytes, 'latin1').digest('hex');
}
