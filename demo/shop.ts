import type { Connection } from 'mysql2/promise';
import { SHOP_TABLES, type ShopTable } from './shop-tables.ts';
import { shopSize, type ShopSize } from './shop-size.ts';

/** Rows made by one statement: small enough for the binlog and undo log, large enough to be quick. */
const ROWS_PER_STATEMENT = 100_000;

/**
 * Creates the sample shop in the connection's current database: about `rows` rows with every kind of column, keyed by
 * integers, strings and several columns. The server itself makes the rows, from a cross join of digits: MySQL and
 * MariaDB both bound recursive queries, each by a setting of its own. The content depends on nothing but `rows`.
 */
export async function createShop(connection: Connection, rows: number): Promise<ShopSize> {
  const size = shopSize(rows);
  for (const table of SHOP_TABLES) {
    await connection.query(`DROP TABLE IF EXISTS ${table.name}`);
    await connection.query(table.create);
    await fill(connection, table, size);
  }
  return size;
}

async function fill(connection: Connection, table: ShopTable, size: ShopSize): Promise<void> {
  const count = table.rows(size);
  for (let first = 0; first < count; first += ROWS_PER_STATEMENT) {
    const inStatement = Math.min(ROWS_PER_STATEMENT, count - first);
    // As many digits as its numbers have: all combinations are made before they are cut off.
    const places = Array.from({ length: String(inStatement - 1).length }, (_, place) => place);
    await connection.query(
      `INSERT INTO ${table.name} (${table.columns})
       SELECT ${table.values(size)} FROM (
         SELECT ${first} + 1 + ${places.map((place) => `${10 ** place} * d${place}.d`).join(' + ')} AS n
         FROM ${places.map((place) => `(${DIGITS}) d${place}`).join(', ')}
       ) numbers WHERE n <= ${first + inStatement} ORDER BY n`,
    );
  }
}

const DIGITS = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(' UNION ALL ');
