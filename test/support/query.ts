import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { RunningServer } from '../../servers/running-server.ts';

/** A connection of the all-powerful user that closes at the end of its scope. */
export async function connect(server: RunningServer, database?: string): Promise<mysql.Connection & AsyncDisposable> {
  const connection = await mysql.createConnection({
    uri: server.dsn,
    ...(database === undefined ? {} : { database }),
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    multipleStatements: true,
  });
  return Object.assign(connection, { [Symbol.asyncDispose]: async () => connection.end() });
}

/** The rows of one statement, as objects. */
export async function rows(connection: mysql.Connection, sql: string): Promise<RowDataPacket[]> {
  const [result] = await connection.query<RowDataPacket[]>(sql);
  return result;
}
