// MariaDB's own Node connector: pipelining, batches (bulk execute on MariaDB), its own prepared statements.
import { createHash } from 'node:crypto';
import mariadb from 'mariadb';
import { address, say, failing, bigBytes } from './say.mjs';

const { tls, ...login } = address;
const connection = await mariadb.createConnection({
  ...login,
  ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
  allowPublicKeyRetrieval: true,
  multipleStatements: true,
  dateStrings: true,
  compress: process.env.DB_COMPRESS === '1',
});
const query = (sql, values) => connection.query(sql, values);

await say('server', () => query('SELECT VERSION() v, CURRENT_USER() u, DATABASE() d'));
await say('text types', () => query('SELECT * FROM types ORDER BY id'));
await say('prepared types', () => connection.execute('SELECT * FROM types WHERE id >= ? ORDER BY id', [1]));
await say('prepared insert', () =>
  connection.execute('INSERT INTO params (n, d, f, s, b, t) VALUES (?, ?, ?, ?, ?, ?)', [
    9007199254740993n,
    '123.45',
    0.1,
    'naïve 💡',
    Buffer.from([0, 1, 255]),
    '2024-02-29 12:00:00.5',
  ]),
);
await say('batch', () =>
  connection.batch('INSERT INTO params (n, s) VALUES (?, ?)', [
    [1, 'a'],
    [2, 'b'],
    [3, null],
  ]),
);
await say('read back', () => query('SELECT n, d, f, s, HEX(b) b, t FROM params ORDER BY id'));
await say('pipelined', () =>
  Promise.all(Array.from({ length: 50 }, (_, n) => query('SELECT s FROM numbers WHERE n = ?', [n]))),
);
await say('pipelined with an error', async () =>
  (await Promise.allSettled([query('SELECT 1 a'), query('SELECT nope'), query('SELECT 2 b')])).map(
    ({ status, value, reason }) => [status, value, reason?.errno],
  ),
);
const big = Buffer.alloc(bigBytes, 'switchyard');
await say('big row', () => connection.execute('INSERT INTO params (s, b) VALUES (?, ?)', ['big', big]));
await say('big row back', async () => {
  const [{ b }] = await query(`SELECT b FROM params WHERE s = 'big'`);
  return [b.length, createHash('sha256').update(b).digest('hex')];
});
await say('transaction', async () => {
  await connection.beginTransaction();
  await query('DELETE FROM params');
  await connection.rollback();
  return query('SELECT COUNT(*) c FROM params');
});
await failing('syntax', () => query('SELEC 1'));
await failing('duplicate', () => query('INSERT INTO numbers VALUES (1, 1)'));
await say('procedure', () => query('CALL results(3, @out)'));
await say('out parameter', () => query('SELECT @out o'));
await say('multi-statements', () => query('SELECT 1 a; SET @x = 5; SELECT @x'));
await say('reset', async () => {
  await query('SET @left = 1');
  await connection.reset();
  return query('SELECT @left l');
});
await say('change user', async () => {
  await connection.changeUser({ user: login.user, password: login.password, database: login.database });
  return query('SELECT DATABASE() d');
});
await say('ping', () => connection.ping());
await connection.end();
