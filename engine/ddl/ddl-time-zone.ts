import type { RestoreOptions } from './ddl-session.ts';
import { errnoOf, quoteText, type ServerConnection } from '../server/connection.ts';
import { statementEffect } from '../stream/statement-effect.ts';

const UNKNOWN_TIME_ZONE = 1298;
const MONTH_S = 2_629_800;
const DAY_S = 86_400;
/** A month apart until 2038: more often than any zone changes its clock and changes it back. */
const INSTANTS = Array.from({ length: 815 }, (_, i) => DAY_S + i * MONTH_S);

/**
 * `SYSTEM` is another zone on another server, and names may be missing. Then the origin is asked what its zone was: where that
 * is an offset that never changed, or the destination's own system zone, nothing is lost. Else the offset at the time of the
 * statement is right for NOW(), and for everything else where no TIMESTAMP is concerned. What remains is refused.
 */
export async function restoreTimeZone(options: RestoreOptions): Promise<void> {
  const { connection, query } = options;
  const zone = query.session.timeZone;
  if (zone === null) return;
  if (zone.toUpperCase() !== 'SYSTEM') {
    try {
      await connection.write(`SET SESSION time_zone = ${quoteText(zone)}`);
      return;
    } catch (error) {
      if (errnoOf(error) !== UNKNOWN_TIME_ZONE) throw error;
    }
  }
  const at = Math.floor(Number(query.session.timestamp));
  const instants = [at, ...INSTANTS];
  await using origin = await options.origin();
  const offsets = await offsetsIn(origin, zone, instants);
  const ownOffsets = await offsetsIn(connection, 'SYSTEM', instants);
  if (offsets.every((offset, i) => offset === ownOffsets[i])) return;
  const [offset = 0] = offsets;
  const isConstant = offsets.every((other) => other === offset);
  if (!isConstant && (await concernsTimestamps(options)))
    throw new Error(`it was run in the time zone ${zone} of the origin, which the destination does not have`);
  await connection.write(`SET SESSION time_zone = '${offsetText(offset)}'`);
}

/** Seconds east of UTC at each instant. */
async function offsetsIn(connection: ServerConnection, zone: string, instants: number[]): Promise<number[]> {
  await connection.write(`SET SESSION time_zone = ${quoteText(zone)}`);
  const [row = []] = await connection.rows(`SELECT ${instants.map((at) => `FROM_UNIXTIME(${at})`).join(',')}`);
  return row.map(
    (local, i) => Date.parse(`${(local ?? '').slice(0, 19).replace(' ', 'T')}Z`) / 1000 - (instants[i] ?? 0),
  );
}

function offsetText(seconds: number): string {
  const minutes = Math.abs(Math.round(seconds / 60));
  const two = (number: number) => String(number).padStart(2, '0');
  return `${seconds < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

async function concernsTimestamps({ connection, query }: RestoreOptions): Promise<boolean> {
  if (/\btimestamp\b/i.test(query.sql)) return true;
  const effect = statementEffect(query);
  if (effect.kind !== 'tables') return true;
  for (const { schema, name } of effect.tables) {
    const found = await connection.rows(
      `SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${quoteText(schema)} AND TABLE_NAME = ${quoteText(name)} AND DATA_TYPE = 'timestamp'`,
    );
    if (found.length > 0) return true;
  }
  return false;
}
