// TypeORM: entities without decorators, schema synchronisation, relations, query builder.
import 'reflect-metadata';
import { DataSource, EntitySchema } from 'typeorm';
import { address, say, failing } from './say.mjs';

const Author = new EntitySchema({
  name: 'Author',
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: String, unique: true },
    born: { type: 'date', nullable: true },
  },
  relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author', cascade: true } },
});
const Book = new EntitySchema({
  name: 'Book',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'increment' },
    title: { type: 'varchar', length: 100 },
    price: { type: 'decimal', precision: 8, scale: 2 },
    tags: { type: 'simple-json', nullable: true },
  },
  relations: { author: { type: 'many-to-one', target: 'Author', joinColumn: true } },
});
const { tls, ...login } = address;
const { user: username, ...where } = login;
const source = new DataSource({
  type: 'mysql',
  ...where,
  username,
  ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
  entities: [Author, Book],
  synchronize: true,
  timezone: 'Z',
  dateStrings: true,
});
await say('initialize', async () => (await source.initialize()).isInitialized);
const authors = source.getRepository('Author');
await say('save', () =>
  authors.save({
    name: 'Müller 💡',
    born: '1970-01-01',
    books: [
      { title: 'One', price: '9.90', tags: ['a', 'b'] },
      { title: 'Two', price: '5' },
    ],
  }),
);
await say('find', () => authors.find({ relations: { books: true }, order: { books: { id: 'ASC' } } }));
await say('builder', () =>
  source
    .getRepository('Book')
    .createQueryBuilder('b')
    .leftJoinAndSelect('b.author', 'a')
    .where('b.price > :p', { p: 6 })
    .getMany(),
);
await say('transaction', async () => {
  await source
    .transaction(async (manager) => {
      await manager.getRepository('Book').delete({ title: 'One' });
      throw new Error('no');
    })
    .catch(() => undefined);
  return source.getRepository('Book').count();
});
await failing('duplicate', () => authors.insert({ name: 'Müller 💡' }));
await say('schema again', async () => (await source.driver.createSchemaBuilder().log()).upQueries.length);
await source.destroy();
