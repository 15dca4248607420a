import { AppError } from '../core/errors.ts';
import type { VerifyRepairReport } from './api.ts';
import { openDestination } from './apply/destination-connection.ts';
import type { ImportWorld } from './import-world.ts';
import type { KeptVerification } from './kept-verification.ts';
import { finding } from './preflight/finding.ts';
import { createSidecar } from './sidecar.ts';
import { REPAIRS_DDL } from './verify/repairs-table.ts';

/** Repairs the rows that are known to differ. Each is recorded on the target, and the import has a finding. */
export async function repairDifferences(
  world: ImportWorld,
  kept: KeptVerification,
  actor: string,
): Promise<Omit<VerifyRepairReport, 'view'>> {
  const { record } = world;
  if (kept.repairable === 0 && kept.pending.length > 0)
    throw new AppError('PHASE_REFUSED', `wait until it is known what differs by now: ${kept.pendingReason ?? ''}`);
  if (kept.repairable === 0)
    throw new AppError('PHASE_REFUSED', 'the engine was restarted since the differing rows were found: verify first');
  await using writer = await openDestination(world.credentials.target);
  await createSidecar(writer, [REPAIRS_DDL]);
  const repairs = await kept.repair({ writer, importId: record.document.id, actor });
  const found = repairs
    .filter(({ repaired }) => repaired.length > 0)
    .map(({ table, repaired }) =>
      finding('ROWS_REPAIRED', 'target', table, `${repaired.length} rows that differed were repaired by ${actor}`),
    );
  for (const { message, subject } of found) world.log('warn', `${subject}: ${message}`);
  await record.update(({ findings }) => ({ findings: [...findings, ...found] }));
  return {
    repaired: repairs.reduce((sum, { repaired }) => sum + repaired.length, 0),
    already: repairs.reduce((sum, { already }) => sum + already.length, 0),
    left: repairs.flatMap(({ table, left }) => left.map((row) => ({ table, ...row }))),
  };
}
