import type { Role } from '../core/routing-record.ts';

/** `shop@replica`: applications that cannot use another port choose the role with the name of the database. */
export function splitRoleSuffix(name: Buffer): { database: Buffer | null; role: Role | null } {
  const text = name.toString('latin1');
  const match = /@(primary|replica)$/i.exec(text);
  if (match === null) return { database: name.length === 0 ? null : name, role: null };
  const database = name.subarray(0, match.index);
  return {
    database: database.length === 0 ? null : database,
    role: match[1]?.toLowerCase() === 'replica' ? 'replica' : 'primary',
  };
}
