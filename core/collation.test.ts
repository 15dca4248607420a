import { expect, test } from 'vitest';
import { collationOfSession } from './collation.ts';

const onMySql = { isMariaDb: false };
const onMariaDb = { isMariaDb: true };

test.each([
  ['utf8mb4_uca1400_ai_ci', 'utf8mb4_0900_ai_ci'],
  ['utf8mb4_uca1400_as_ci', 'utf8mb4_0900_as_ci'],
  ['utf8mb4_uca1400_swedish_ai_ci', 'utf8mb4_sv_0900_ai_ci'],
  ['utf8mb4_uca1400_as_cs', 'utf8mb4_0900_as_cs'],
])('%s of MariaDB is %s of MySQL, and back', (mariadb, mysql) => {
  expect(collationOfSession(mariadb, onMySql)).toBe(mysql);
  expect(collationOfSession(mysql, onMariaDb)).toBe(mariadb);
});

test('what has no exact counterpart becomes the one that tells more apart', () => {
  expect(collationOfSession('utf8mb4_uca1400_ai_cs', onMySql)).toBe('utf8mb4_0900_as_cs');
  expect(collationOfSession('utf8mb4_uca1400_nopad_ai_ci', onMySql)).toBe('utf8mb4_0900_ai_ci');
  expect(collationOfSession('utf8mb4_uca1400_german2_as_ci', onMySql)).toBe('utf8mb4_de_pb_0900_as_cs');
  expect(collationOfSession('utf8mb4_de_pb_0900_ai_ci', onMariaDb)).toBe('utf8mb4_uca1400_german2_ai_ci');
  expect(collationOfSession('ucs2_uca1400_ai_ci', onMySql)).toBe('ucs2_unicode_520_ci');
  expect(collationOfSession('utf16_uca1400_as_ci', onMySql)).toBe('utf16_bin');
  expect(collationOfSession('utf8mb4_0900_bin', onMariaDb)).toBe('utf8mb4_nopad_bin');
});

test('other names are left to the server', () => {
  for (const name of ['utf8mb4_general_ci', 'latin1_german2_ci', 'utf8mb4_bin', 'latin1_swedish_ci'])
    expect(collationOfSession(name, onMySql)).toBe(name);
  expect(collationOfSession('utf8mb4_ja_0900_as_cs_ks', onMariaDb)).toBe('utf8mb4_ja_0900_as_cs_ks');
  expect(collationOfSession('utf8mb4_0900_ai_ci', onMySql)).toBe('utf8mb4_0900_ai_ci');
});
