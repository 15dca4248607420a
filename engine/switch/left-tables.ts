import { otherSide } from '../../core/phase.ts';
import type { SwitchRefusal } from '../api.ts';
import { quoteText, textOf, type ServerConnection } from '../server/connection.ts';
import type { SwitchPlan, SwitchWorld } from './switch-world.ts';
import { refusal } from './refusal-table.ts';

const NAMES_TOLD = 20;

/**
 * Tables of the database that only the old primary has: made since the import began, or left out of it. Nothing replicates them, and
 * after the switch nobody reaches their rows.
 */
export async function checkLeftTables(
  world: SwitchWorld,
  { to }: SwitchPlan,
  refusals: SwitchRefusal[],
): Promise<void> {
  const { database } = world.record.document;
  await using from = await world.connect(otherSide(to));
  await using destination = await world.connect(to);
  const there = await baseTables(destination, database);
  const left = [...(await baseTables(from, database))].filter((name) => !there.has(name));
  if (left.length === 0) return;
  const names = left.slice(0, NAMES_TOLD).join(', ');
  refusals.push(
    refusal(
      'TABLES_LEFT_BEHIND',
      `${left.length} tables of ${database} are on the ${otherSide(to)} alone and not replicated: ${names}${left.length > NAMES_TOLD ? ', …' : ''}`,
    ),
  );
}

/** By the names in small letters: servers may keep them so. */
async function baseTables(connection: ServerConnection, database: string): Promise<Set<string>> {
  const rows = await connection.rows(
    `SELECT LOWER(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(database)} AND TABLE_TYPE = 'BASE TABLE'`,
  );
  return new Set(rows.map(([name]) => textOf(name ?? '')));
}
