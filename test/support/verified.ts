import type { VerifyView } from '../../engine/api.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect } from './query.ts';

/**
 * The side that is written to by replication makes something else of what is brought to it: the only way in which rows that were
 * applied can differ.
 */
export const SPOILS = `CREATE TRIGGER spoils BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = IF(NEW.id % 2 = 1, 'spoilt', NEW.name)`;

/** Statements past the proxy, over a connection that is closed at once. */
export async function on(server: RunningServer, ...statements: string[]): Promise<void> {
  await using connection = await connect(server, 'shop');
  for (const statement of statements) await connection.query(statement);
}

/** What differs, as table and key. */
export function differing(verify: VerifyView | null): string[] {
  return (verify?.tables ?? []).flatMap(({ name, differences }) => differences.map(({ key }) => `${name} ${key}`));
}

export function stateOf(verify: VerifyView | null, table: string): string | undefined {
  return verify?.tables.find(({ name }) => name === table)?.state;
}
