import { errnoOf, quoteName, quoteText, type ServerConnection } from '../server/connection.ts';
import { OWN_COMMENT } from '../stream/stream-scope.ts';

/** Numbers left free between what the old primary has given out at the time of the look and the first of the new one. */
const HEAD_ROOM = 1000n;
/** On the wait for one table: who reads or writes it waits behind us meanwhile, replication too. */
const LOCK_WAIT_S = 2;
/** ER_TABLEACCESS_DENIED_ERROR; and of a table that a transaction holds for longer. */
const ALTER_REFUSED = [1142, 1205];

/**
 * Raises the counters of `to` over those of `from`. Rows that were replicated have raised them already; this is for numbers
 * that were given out and whose rows are gone (deleted, rolled back): given out again they would name something else.
 * The head room covers those that are used up between now and the fence. Returns the tables that were changed, and the
 * statements that the grants, or a transaction that holds the table, did not allow: a switch back in need must not fail for them.
 */
export async function raiseAutoIncrement(
  from: ServerConnection,
  to: ServerConnection,
  database: string,
  tables: readonly string[],
): Promise<{ raised: string[]; denied: string[] }> {
  const [given, reached] = [await counters(from, database), await counters(to, database)];
  const raised: string[] = [];
  const denied: string[] = [];
  await to.write(`SET SESSION lock_wait_timeout=${LOCK_WAIT_S}`);
  for (const table of tables) {
    const counter = given.get(table);
    if (counter === undefined || counter.next + HEAD_ROOM <= (reached.get(table)?.next ?? 0n)) continue;
    // A column that is nearly used up has no room to give away.
    const next = counter.next + HEAD_ROOM < counter.max / 2n ? counter.next + HEAD_ROOM : counter.next;
    if (next <= (reached.get(table)?.next ?? 0n)) continue;
    try {
      await to.write(`${OWN_COMMENT} ALTER TABLE ${quoteName(database)}.${quoteName(table)} AUTO_INCREMENT=${next}`);
      raised.push(table);
    } catch (error) {
      if (!ALTER_REFUSED.includes(errnoOf(error) ?? 0)) throw error;
      denied.push(`ALTER TABLE ${plainName(database)}.${plainName(table)} AUTO_INCREMENT=${next};`);
    }
  }
  return { raised, denied };
}

/** For people to read and run: text, not the bytes of a statement. */
function plainName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

const MAX: Record<string, bigint> = {
  tinyint: 127n,
  smallint: 32_767n,
  mediumint: 8_388_607n,
  int: 2_147_483_647n,
  bigint: 9_223_372_036_854_775_807n,
};

async function counters(
  connection: ServerConnection,
  database: string,
): Promise<Map<string, { next: bigint; max: bigint }>> {
  // MySQL answers from statistics of up to a day ago otherwise; other servers do not know the variable.
  await connection.write('SET SESSION information_schema_stats_expiry=0').catch(() => {});
  const rows = await connection.select<{ name: string; next: string; type: string; columnType: string }>(
    `SELECT t.TABLE_NAME AS name, t.AUTO_INCREMENT AS next, c.DATA_TYPE AS type, c.COLUMN_TYPE AS columnType FROM information_schema.TABLES t ` +
      `JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME AND c.EXTRA LIKE '%auto_increment%' ` +
      `WHERE t.TABLE_SCHEMA = ${quoteText(database)} AND t.AUTO_INCREMENT IS NOT NULL`,
  );
  return new Map(
    rows.map(({ name, next, type, columnType }) => {
      const signed = MAX[type.toLowerCase()] ?? MAX['int'] ?? 0n;
      return [name, { next: BigInt(next), max: columnType.includes('unsigned') ? signed * 2n : signed }];
    }),
  );
}
