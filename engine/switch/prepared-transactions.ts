import { otherSide, type Side } from '../../core/phase.ts';
import type { SwitchRefusal } from '../api.ts';
import type { ImportDocument } from '../import-document.ts';
import type { ServerConnection } from '../server/connection.ts';
import { preparedXa } from '../server/prepared-xa.ts';
import { refusal } from './refusal-table.ts';

/**
 * Where none may be prepared at a switch. On the old primary; and on the new one, where the end of the write-back would wait for it within
 * the pause, and a fence of triggers cannot be taken from the tables that it holds, whose writes would be refused as long as it stays.
 */
export function sidesWithoutPrepared({ options, fence }: ImportDocument, to: Side): Side[] {
  const isWrittenBack = to === 'target' && options.reverse === 'always';
  const isHeldFast = fence?.side === to && fence.kind === 'triggers';
  return isWrittenBack || isHeldFast ? [otherSide(to), to] : [otherSide(to)];
}

/** Its client could commit one on the old primary alone, where it is not application traffic any more. */
export async function refusalOfPrepared(connection: ServerConnection, side: Side): Promise<SwitchRefusal | undefined> {
  const prepared = (await preparedXa(connection)) ?? 0;
  if (prepared === 0) return undefined;
  const message = `${prepared} XA transactions are prepared on the ${side}: commit them or roll them back first (XA RECOVER shows them)`;
  return refusal('XA_PREPARED', message);
}
