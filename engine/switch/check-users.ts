import { otherSide } from '../../core/phase.ts';
import { ImportUsers } from '../import-users.ts';
import { userFindings } from '../users/user-findings.ts';
import type { SwitchPlan, SwitchWorld } from './switch-world.ts';

/** Accounts that are not connected just now would find out only behind the switch: jobs of the night. */
export async function checkUsers(world: SwitchWorld, { to }: SwitchPlan, warnings: string[]): Promise<void> {
  const { options, id } = world.record.document;
  if (options.users === 'ignore') return;
  try {
    const findings = userFindings(await new ImportUsers(world).view(otherSide(to)));
    warnings.push(
      ...findings
        .filter(({ severity }) => severity !== 'info')
        .map(({ code, message }) => `${code}: ${message} (switchyard users ${id})`),
    );
  } catch (error) {
    warnings.push(`the accounts of the two sides could not be compared: ${(error as Error).message}`);
  }
}
