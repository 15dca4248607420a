import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Failpoint } from '../../core/failpoint.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { connect } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

/** How each step is come by. A failpoint that is missing here does not compile; one that is never reached fails. */
const REACHED_BY = {
  'copy.position_stored': 'import',
  'copy.tables_recorded': 'import',
  'copy.started': 'import',
  'copy.chunk_written': 'import',
  'copy.chunk_landed': 'import',
  'copy.indexes_added': 'import',
  'copy.finished': 'import',
  'copy.recorded': 'import',
  'apply.before_commit': 'traffic',
  'apply.after_commit': 'traffic',
  'lanes.written': 'backlog',
  'lanes.committed': 'backlog',
  'lanes.ended': 'backlog',
  'ddl.executed': 'ddl',
} satisfies Record<
  Exclude<
    Failpoint,
    `switch.${string}` | `verify.${string}` | `write_back.${string}` | `import.${string}` | `marker.${string}`
  >,
  'import' | 'traffic' | 'backlog' | 'ddl'
>;

test('the engine killed at every step of copy and apply: row by row the import ends equal', async () => {
  const steps = Object.keys(REACHED_BY);
  const failpoints = Object.fromEntries(steps.map((step) => [step, `kill:${step}`] as const));
  await using rehearsal = await Rehearsal.start({ rows: 20_000, failpoints });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  await using source = await connect(rehearsal.source, 'shop');
  await source.query('CREATE TABLE backlog (id INT PRIMARY KEY AUTO_INCREMENT, data MEDIUMBLOB NOT NULL)');
  const missed = () => steps.filter((step) => !existsSync(join(switchyard.dataDir, step)));
  // Small chunks: some are there and some are not when it is killed.
  const options = { ddl: 'EXEC', chunkBytes: 128 * 1024, connections: 2 } as const;
  await client.createImport(rehearsal.request({ options })).catch(() => {});
  const traffic = rehearsal.traffic();
  // Killed before the tables are recorded, the import begins at a later position.
  await rehearsal.until(() => existsSync(join(switchyard.dataDir, 'copy.tables_recorded')));
  // What has gathered when the copy ends is applied in lanes: fifty transactions and 8 MiB, or more. Enough for another window
  // in lanes when one has been committed by an engine that was killed then.
  for (let i = 0; i < 300; i += 1)
    await source.query('INSERT INTO backlog (data) VALUES (REPEAT(RANDOM_BYTES(1024), 128))');
  await rehearsal.reach('running');
  await rehearsal.caughtUpWith(rehearsal.source);
  await source.query('ALTER TABLE traffic_ledger ADD COLUMN added INT NOT NULL DEFAULT 7');
  await rehearsal
    .until(() => missed().length === 0)
    .catch((cause: unknown) => {
      throw new Error(`never reached: ${missed().join(', ')}`, { cause });
    });
  // A verification that meets the DDL statement would be stale.
  await rehearsal.caughtUpWith(rehearsal.source);
  await client.verify(IMPORT);
  expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });
  await source.end();
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
  expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
  await rehearsal.caughtUpWith(rehearsal.target);
  expect(await compareDatabases(rehearsal.source, rehearsal.target, 'shop')).toEqual([]);
});

test('kill -9 of the supervisor: proxies serve on, accept new clients, and are adopted by the next one', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 5000 });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request());
  const traffic = rehearsal.traffic();
  await rehearsal.reach('running');
  const workers = switchyard.pids('proxy');
  await switchyard.killSupervisor();
  expect(await rehearsal.asApplication('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await switchyard.startProcess();
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  expect(switchyard.pids('proxy')).toEqual(workers);
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
});
