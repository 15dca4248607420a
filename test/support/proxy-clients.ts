import mysql from 'mysql2/promise';
import type { Connection, ConnectionOptions, RowDataPacket } from 'mysql2/promise';
import type { RunningServer } from '../../servers/running-server.ts';

/** A connection that closes itself at the end of the test. */
export async function client(port: number, options: ConnectionOptions = {}): Promise<Connection & AsyncDisposable> {
  const connection = await mysql.createConnection({
    host: '127.0.0.1',
    port,
    user: 'app',
    password: 'app-password',
    database: 'app',
    ...options,
  });
  // A session that the proxy ends is what several tests want; they look at the next statement.
  connection.on('error', () => {});
  return Object.assign(connection, { [Symbol.asyncDispose]: async () => connection.destroy() });
}

export async function rowsOf(connection: Connection, sql: string): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  return rows;
}

export async function executeRows(
  connection: Connection,
  sql: string,
  values: (string | number | Buffer | null)[],
): Promise<RowDataPacket[]> {
  const [rows] = await connection.execute<RowDataPacket[]>(sql, values);
  return rows;
}

/** The MySQL error of a refused statement or login. */
export async function errorOf(
  promise: Promise<unknown>,
): Promise<{ errno: number; sqlState: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    const {
      errno = -1,
      sqlState = '',
      message = '',
    } = error as { errno?: number; sqlState?: string; message?: string };
    return { errno, sqlState, message };
  }
  throw new Error('no error came');
}

/** The application's account and schema, the same on every server of a test. */
export async function createAppSchema(server: RunningServer): Promise<void> {
  await using root = await direct(server);
  const mariadb = (await rowsOf(root, 'SELECT VERSION() AS version'))[0]?.['version'].includes('MariaDB') === true;
  for (const sql of [
    'CREATE DATABASE app',
    'CREATE DATABASE other',
    mariadb
      ? `CREATE USER app@'%' IDENTIFIED BY 'app-password'`
      : `CREATE USER app@'%' IDENTIFIED WITH caching_sha2_password BY 'app-password'`,
    `GRANT ALL ON app.* TO app@'%'`,
    `GRANT ALL ON other.* TO app@'%'`,
    'CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT, n BIGINT, s TEXT, b LONGBLOB)',
    'CREATE TABLE app.whoami (name VARCHAR(20))',
    'CREATE TABLE other.whoami (name VARCHAR(20))',
  ]) {
    await root.query(sql);
  }
}

export async function direct(
  server: RunningServer,
  options: ConnectionOptions = {},
): Promise<Connection & AsyncDisposable> {
  return client(server.port, { user: server.adminUser, password: server.adminPassword, database: '', ...options });
}
