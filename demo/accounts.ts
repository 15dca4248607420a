import mysql from 'mysql2/promise';
import type { RunningServer } from '../servers/running-server.ts';

export interface Account {
  user: string;
  password: string;
}

/** Switchyard's own user: it must read and write everything of the imported schema, and the binlog. */
export const ENGINE_ACCOUNT: Account = { user: 'switchyard', password: 'switchyard-demo' };
/** The application's: the same on both sides, so that a session can be moved. It has no right to get past a fence. */
export const SHOP_ACCOUNT: Account = { user: 'shop', password: 'shop-demo' };
export const SHOP_DATABASE = 'shop';

export async function createAccounts(server: RunningServer): Promise<void> {
  const connection = await mysql.createConnection(server.dsn);
  try {
    for (const { user, password } of [ENGINE_ACCOUNT, SHOP_ACCOUNT]) {
      await connection.query(`DROP USER IF EXISTS '${user}'@'%'`);
      await connection.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
    }
    await connection.query(`GRANT ALL PRIVILEGES ON *.* TO '${ENGINE_ACCOUNT.user}'@'%' WITH GRANT OPTION`);
    await connection.query(`GRANT ALL PRIVILEGES ON \`${SHOP_DATABASE}\`.* TO '${SHOP_ACCOUNT.user}'@'%'`);
  } finally {
    await connection.end();
  }
}
