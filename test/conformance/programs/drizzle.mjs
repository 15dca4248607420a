// Drizzle on mysql2: prepared queries, relations by join, transactions.
import { drizzle } from 'drizzle-orm/mysql2';
import { sql, eq, gt } from 'drizzle-orm';
import { int, json, mysqlTable, varchar, decimal } from 'drizzle-orm/mysql-core';
import mysql from 'mysql2/promise';
import { address, say, failing } from './say.mjs';

const { tls, ...login } = address;
const pool = mysql.createPool({ ...login, ...(tls ? { ssl: { rejectUnauthorized: false } } : {}), connectionLimit: 3 });
const db = drizzle(pool);
const items = mysqlTable('drizzle_items', {
  id: int().primaryKey().autoincrement(),
  name: varchar({ length: 100 }).notNull().unique(),
  price: decimal({ precision: 10, scale: 2 }),
  data: json(),
});
await say('create', () =>
  db.execute(
    sql`CREATE TABLE drizzle_items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL UNIQUE, price DECIMAL(10,2), data JSON)`,
  ),
);
await say('insert', () =>
  db
    .insert(items)
    .values([
      { name: 'é', price: '1.20', data: { a: [1] } },
      { name: 'b', price: '7' },
    ])
    .$returningId(),
);
await say('select', () => db.select().from(items).where(gt(items.price, '1')).orderBy(items.id));
const prepared = db
  .select()
  .from(items)
  .where(eq(items.name, sql.placeholder('name')))
  .prepare();
await say('prepared', () => prepared.execute({ name: 'é' }));
await say('transaction', async () => {
  await db
    .transaction(async (tx) => {
      await tx.delete(items);
      await tx.transaction(async (nested) => nested.insert(items).values({ name: 'c' }));
      tx.rollback();
    })
    .catch(() => undefined);
  return db.select({ c: sql`COUNT(*)` }).from(items);
});
await failing('duplicate', () => db.insert(items).values({ name: 'b' }));
await pool.end();
