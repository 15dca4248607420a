import { describe, expect, test } from 'vitest';
import { VerifyFixture } from '../support/verify-fixture.ts';

describe.each(['mysql-9.7', 'mariadb-11.8'] as const)('stored generated columns of %s', (flavor) => {
  test('that were computed in another time zone differ (I9)', async () => {
    await using fixture = await VerifyFixture.start(flavor);
    await fixture.both(
      'CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP NULL, day DATE AS (CAST(at AS DATE)) STORED, next INT AS (id + 1) STORED, twice INT AS (id * 2) VIRTUAL)',
    );
    const insert = "INSERT INTO t (id, at) VALUES (1, '2024-06-01 12:00:00')";
    await fixture.both(insert);
    expect(await fixture.verify('all')).toMatchObject({ state: 'equal' });
    await fixture.onSource("SET time_zone = '+05:00'", "INSERT INTO t (id, at) VALUES (2, '2024-06-02 04:00:00')");
    await fixture.onTarget("INSERT INTO t (id, at) VALUES (2, '2024-06-01 23:00:00')");
    const { state, tables } = await fixture.verify('all');
    expect(state).toBe('different');
    expect(tables[0]?.differences).toMatchObject([{ kind: 'different', columns: ['day'] }]);
  });
});
