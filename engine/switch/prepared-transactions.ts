import type { Side } from '../../core/phase.ts';
import type { SwitchRefusal } from '../api.ts';
import type { ServerConnection } from '../server/connection.ts';
import { preparedXa } from '../server/prepared-xa.ts';
import { refusal } from './refusal-table.ts';

/** Its client could commit one on the old primary alone, where it is not application traffic any more. */
export async function refusalOfPrepared(connection: ServerConnection, side: Side): Promise<SwitchRefusal | undefined> {
  const prepared = (await preparedXa(connection)) ?? 0;
  if (prepared === 0) return undefined;
  const message = `${prepared} XA transactions are prepared on the ${side}: commit them or roll them back first (XA RECOVER shows them)`;
  return refusal('XA_PREPARED', message);
}
