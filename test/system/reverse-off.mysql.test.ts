import { expect, test } from 'vitest';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const READER = { user: 'reader', password: 'reader-secret-1' };

test('with reverse off nothing is written to the source, and there is no way back', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  await using source = await connect(rehearsal.source);
  await source.query(
    `CREATE USER ${READER.user}@'%' IDENTIFIED BY '${READER.password}';` +
      `GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS, CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN ON *.* TO ${READER.user}@'%';` +
      `GRANT SELECT ON shop.* TO ${READER.user}@'%'; GRANT SELECT ON performance_schema.* TO ${READER.user}@'%'; GRANT SELECT ON mysql.* TO ${READER.user}@'%'`,
  );
  const base = rehearsal.request();
  const request = { ...base, source: { ...base.source, ...READER } };
  const missing = (await client.validate(request)).findings.filter(({ code }) => code === 'GRANT_MISSING');
  expect(missing.map(({ subject }) => subject)).toEqual(expect.arrayContaining(['INSERT', 'UPDATE', 'DELETE']));
  const withoutReverse = { ...request, options: { reverse: 'off', fence: 'read_only' } } as const;
  const { findings } = await client.validate(withoutReverse);
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);

  await client.createImport(withoutReverse);
  await rehearsal.reach('running');
  const dryRun = await client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
  // The connection of this test itself.
  expect(dryRun.refusals.map(({ code }) => code)).toEqual(['DIRECT_CONNECTIONS']);
  expect(dryRun.warnings.filter((warning) => warning.startsWith('REVERSE_OFF'))).toHaveLength(1);
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  await rehearsal.asApplication('UPDATE traffic_accounts SET balance = 4242 WHERE id = 1');
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    // The watch for stray writes has only begun, on a source on which nothing happens any more: it is not behind.
    details: { refusals: [expect.objectContaining({ code: 'REVERSE_OFF' })] },
  });
  const { findings: symptoms } = await client.doctor(IMPORT);
  expect(symptoms).toEqual([]);
  // A restarted engine does not begin one either.
  process.kill(rehearsal.switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');
  const { streams } = await rehearsal.until(({ strayWrites }) => strayWrites?.watch === 'watching');
  expect(streams.filter(({ direction }) => direction === 'reverse')).toEqual([]);
  expect(await rows(source, "SHOW DATABASES LIKE '\\_switchyard'")).toEqual([]);
  expect(await rows(source, 'SELECT balance FROM shop.traffic_accounts WHERE id = 1')).not.toEqual([{ balance: 4242 }]);

  await client.complete(IMPORT, IMPORT);
  expect((await client.getImport(IMPORT)).phase).toBe('completed');
}, 180_000);
