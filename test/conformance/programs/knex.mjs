// Knex: query builder with migrations and a pool.
import knexFactory from 'knex';
import { address, say, failing } from './say.mjs';

const { tls, ...login } = address;
const knex = knexFactory({
  client: 'mysql2',
  connection: { ...login, ...(tls ? { ssl: { rejectUnauthorized: false } } : {}) },
  pool: { min: 0, max: 3 },
});
const migrations = {
  getMigrations: async () => ['first', 'second'],
  getMigrationName: (name) => name,
  getMigration: async (name) => ({
    up: (db) =>
      name === 'first'
        ? db.schema.createTable('knex_items', (table) => {
            table.increments('id');
            table.string('name', 100).unique();
            table.json('data');
            table.decimal('price', 10, 2);
          })
        : db.schema.alterTable('knex_items', (table) => table.integer('stock').defaultTo(7)),
    down: (db) => db.schema.dropTable('knex_items'),
  }),
};
await say('migrate', () => knex.migrate.latest({ migrationSource: migrations }));
await say('insert', () =>
  knex('knex_items').insert([
    { name: 'é', data: '{"a":1}', price: '1.20' },
    { name: 'b', price: 3 },
  ]),
);
await say('select', () => knex('knex_items').select('*').orderBy('id'));
await say('transaction', async () => {
  await knex.transaction((trx) => trx('knex_items').increment('stock', 3));
  await knex
    .transaction(async (trx) => {
      await trx('knex_items').delete();
      throw new Error('no');
    })
    .catch(() => undefined);
  return knex('knex_items').sum('stock as s').count('* as c');
});
await failing('duplicate', () => knex('knex_items').insert({ name: 'b' }));
await say('stream', async () => {
  let sum = 0;
  for await (const { n } of knex('numbers').select('n').stream()) sum += n;
  return sum;
});
await say('join', () =>
  knex('numbers as a').join('numbers as b', 'a.n', 'b.n').where('a.n', '<', 3).select('a.n', 'b.s'),
);
await knex.destroy();
