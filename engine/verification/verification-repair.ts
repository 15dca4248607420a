import { AppError } from '../../core/errors.ts';
import type { VerifyRepairReport } from '../api.ts';
import { openDestination } from '../apply/destination-connection.ts';
import type { ImportWorld } from '../import-world.ts';
import type { KeptVerification } from './kept-verification.ts';
import { finding } from '../preflight/finding.ts';
import type { ServerConnection } from '../server/connection.ts';
import { createSidecar } from '../sidecar.ts';
import { ConnectionPair } from '../verify/connection-pair.ts';
import { repairRows, type RepairResult } from '../verify/repair-rows.ts';
import { REPAIRS_DDL } from '../verify/repairs-table.ts';

/** Repairs the rows that are known to differ. Each is recorded on the side that is written to, and the import has a finding. */
export async function repairDifferences(
  world: ImportWorld,
  kept: KeptVerification,
  actor: string,
): Promise<Omit<VerifyRepairReport, 'view'>> {
  const { record } = world;
  const { pending, pendingReason } = kept.tables;
  const repairable = kept.tables.known().reduce((sum, { progress }) => sum + progress.known.size, 0);
  if (repairable === 0 && pending.length > 0)
    throw new AppError('PHASE_REFUSED', `wait until it is known what differs by now: ${pendingReason ?? ''}`);
  // Of rows that an engine found before its restart, or past a bound, the text is known at most.
  if (repairable === 0)
    throw new AppError('PHASE_REFUSED', 'the engine was restarted since the differing rows were found: verify first');
  const { target: follower, mirrored } = kept.options;
  await using writer = await openDestination(follower);
  await createSidecar(writer, [REPAIRS_DDL]);
  const repairs = await repairKnown(kept, { writer, importId: record.document.id, actor });
  const found = repairs
    .filter(({ repaired }) => repaired.length > 0)
    .map(({ table, repaired }) =>
      finding(
        'ROWS_REPAIRED',
        mirrored ? 'source' : 'target',
        table,
        `${repaired.length} rows that differed were repaired by ${actor}`,
      ),
    );
  for (const { message, subject } of found) world.log('warn', `${subject}: ${message}`);
  await record.update(({ findings }) => ({ findings: [...findings, ...found] }));
  return {
    repaired: repairs.reduce((sum, { repaired }) => sum + repaired.length, 0),
    already: repairs.reduce((sum, { already }) => sum + already.length, 0),
    left: repairs.flatMap(({ table, left }) => left.map((row) => ({ table, ...row }))),
  };
}

/**
 * `writer` is a session on the side that follows the primary, as that of the applier. Rows that are the same behind it do not count as differing
 * any more.
 */
async function repairKnown(
  kept: KeptVerification,
  asked: { writer: ServerConnection; importId: string; actor: string },
): Promise<(RepairResult & { table: string })[]> {
  const { flavors, follower, mirrored } = kept.options;
  await kept.isReady();
  const { signal } = kept;
  using pair = new ConnectionPair({ ...kept.options, signal });
  const repairs = [];
  for (const { pair: table, progress } of kept.tables.known()) {
    if (progress.known.size === 0) continue;
    const keys = new Map([...progress.known].map(([key, difference]) => [key, difference.key]));
    const isPaired = () => kept.tables.isPaired(table);
    const result = await pair.use((open) =>
      repairRows({ ...asked, pair: open, table, isPaired, mirrored, flavors, follower, signal }, keys),
    );
    progress.resolve([...result.repaired, ...result.already]);
    repairs.push({ table: table.name, ...result });
  }
  return repairs;
}
