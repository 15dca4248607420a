// Kysely on mysql2: migrations, streaming, transactions.
import { Kysely, MysqlDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import mysql from 'mysql2';
import { address, say, failing } from './say.mjs';

const { tls, ...login } = address;
const db = new Kysely({
  dialect: new MysqlDialect({
    pool: mysql.createPool({ ...login, ...(tls ? { ssl: { rejectUnauthorized: false } } : {}), connectionLimit: 3 }),
  }),
});
const provider = {
  getMigrations: async () => ({
    one: {
      up: (d) =>
        d.schema
          .createTable('kysely_items')
          .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
          .addColumn('name', 'varchar(100)', (c) => c.unique())
          .execute(),
    },
    two: { up: (d) => d.schema.alterTable('kysely_items').addColumn('price', 'decimal(10,2)').execute() },
  }),
};
await say('migrate', async () => (await new Migrator({ db, provider }).migrateToLatest()).results);
await say('insert', () =>
  db
    .insertInto('kysely_items')
    .values([
      { name: 'é', price: '1.20' },
      { name: 'b', price: '3' },
    ])
    .executeTakeFirst(),
);
await say('select', () => db.selectFrom('kysely_items').selectAll().orderBy('id').execute());
await say('transaction', async () => {
  await db
    .transaction()
    .execute(async (trx) => {
      await trx.deleteFrom('kysely_items').execute();
      throw new Error('no');
    })
    .catch(() => undefined);
  return db
    .selectFrom('kysely_items')
    .select(sql`COUNT(*)`.as('c'))
    .execute();
});
await failing('duplicate', () => db.insertInto('kysely_items').values({ name: 'b' }).execute());
await say('stream', async () => {
  let sum = 0;
  for await (const { n } of db.selectFrom('numbers').select('n').stream(100)) sum += n;
  return sum;
});
await db.destroy();
