// mysql2, the driver of most Node applications: text and binary protocol, multi-statements, streaming, LOAD DATA LOCAL.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import mysql from 'mysql2/promise';
import { address, say, failing, bigBytes } from './say.mjs';

const { tls, ...login } = address;
const connection = await mysql.createConnection({
  ...login,
  ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
  multipleStatements: true,
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  decimalNumbers: false,
});
const query = async (sql, values) => (await connection.query(sql, values))[0];
const execute = async (sql, values) => (await connection.execute(sql, values))[0];

await say('server', () =>
  query('SELECT VERSION() v, CURRENT_USER() u, DATABASE() d, @@character_set_client c, @@sql_mode m'),
);
await say('text types', () => query('SELECT * FROM types ORDER BY id'));
await say('columns', async () =>
  (await connection.query('SELECT * FROM types LIMIT 0'))[1].map(
    ({ name, type, flags, columnLength, decimals, characterSet }) => [
      name,
      type,
      flags,
      columnLength,
      decimals,
      characterSet,
    ],
  ),
);
await say('prepared types', () => execute('SELECT * FROM types WHERE id >= ? ORDER BY id', [1]));
await say('prepared insert', () =>
  execute('INSERT INTO params (n, d, f, s, b, t) VALUES (?, ?, ?, ?, ?, ?)', [
    '9007199254740993',
    '123.45',
    0.1,
    'naïve 💡',
    Buffer.from([0, 1, 255, 39, 92]),
    '2024-02-29 12:00:00.5',
  ]),
);
await say('prepared nulls', () =>
  execute('INSERT INTO params (n, d, f, s, b, t) VALUES (?, ?, ?, ?, ?, ?)', [null, null, null, null, null, null]),
);
await say('read back', () => query('SELECT n, d, f, s, HEX(b) b, t FROM params ORDER BY id'));
await say('prepared many times', async () => {
  const sums = [];
  for (let n = 0; n < 200; n += 1)
    sums.push((await execute('SELECT s FROM numbers WHERE n = ?', [n * 7]))[0].s.slice(0, 4));
  return sums.join('');
});
const big = Buffer.alloc(bigBytes, 'switchyard');
await say('big row', () => execute('INSERT INTO params (s, b) VALUES (?, ?)', ['big', big]));
await say('big row back', async () => {
  const [{ b }] = await execute(`SELECT b FROM params WHERE s = 'big'`);
  return [b.length, createHash('sha256').update(b).digest('hex')];
});
await say('transaction', async () => {
  await connection.beginTransaction();
  await query('UPDATE params SET n = 1');
  await query('SAVEPOINT here');
  await query('DELETE FROM params');
  await query('ROLLBACK TO here');
  const inside = await query('SELECT COUNT(*) c, SUM(n) s FROM params');
  await connection.rollback();
  return [inside, await query('SELECT COUNT(*) c, SUM(n) s FROM params')];
});
await failing('syntax', () => query('SELEC 1'));
await failing('duplicate', () => query('INSERT INTO numbers VALUES (1, 1)'));
await failing('prepared error', () => execute('SELECT * FROM nothing_here WHERE id = ?', [1]));
await failing('runtime error', () => query('SELECT (SELECT n FROM numbers)'));
await failing('empty', () => query(''));
await say('procedure', () => query('CALL results(3, @out); SELECT @out'));
await say('multi-statements', () =>
  query('SELECT 1 a; UPDATE numbers SET s = s WHERE n = 1; SELECT 2 b; SET @x = 5; SELECT @x'),
);
await failing('multi-statements with an error', () => query('SELECT 1 a; SELECT nope; SELECT 3'));
await say('warnings', async () => [await query("SELECT CAST('12x' AS SIGNED) n"), await query('SHOW WARNINGS')]);
await say('insert ids', async () => [
  await query("INSERT INTO params (s) VALUES ('a'), ('b')"),
  await query('SELECT LAST_INSERT_ID() l, ROW_COUNT() r'),
]);
await say('found rows', async () => [
  (await query('SELECT SQL_CALC_FOUND_ROWS n FROM numbers LIMIT 2')).length,
  await query('SELECT FOUND_ROWS() f'),
]);
await say('charset', async () => {
  await query('SET NAMES latin1');
  const row = await query("SELECT HEX('caf\u00e9') h, @@collation_connection c");
  await query('SET NAMES utf8mb4');
  return row;
});
await say('local infile', async () => [
  await connection.query({
    sql: "LOAD DATA LOCAL INFILE 'x' INTO TABLE numbers FIELDS TERMINATED BY ',' IGNORE 2 LINES",
    infileStreamFactory: () => Readable.from([Buffer.from('x\ny\n20001,one\n20002,two\n')]),
  }),
  await query('SELECT * FROM numbers WHERE n > 20000'),
]);
await say('temporary table', async () => {
  await query('CREATE TEMPORARY TABLE mine AS SELECT n FROM numbers WHERE n < 5');
  return query('SELECT SUM(n) FROM mine');
});
await say('many rows', async () => {
  const hash = createHash('sha256');
  const rows = connection.connection.query('SELECT a.n, a.s FROM numbers a JOIN numbers b ON b.n < 4').stream();
  let count = 0;
  for await (const { s } of rows) {
    hash.update(s.slice(0, 1));
    count += 1;
  }
  return [count];
});
await say('change user', async () => {
  await query('SET @left = 1');
  await connection.changeUser({ user: login.user, password: login.password, database: login.database });
  return query('SELECT @left l, DATABASE() d');
});
await say('ping', () => connection.ping());
await connection.end();
