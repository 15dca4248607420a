import type { Connection } from 'mysql2/promise';

export const ACCOUNTS = 1000;
const FIRST_BALANCE = 1_000_000;
/** Transfers move money between accounts and never make any. */
export const TOTAL_BALANCE = BigInt(ACCOUNTS) * BigInt(FIRST_BALANCE);

/** The workload's own tables, to be created in the imported database before the import. */
export async function createLedgerTables(connection: Connection, sessions: number): Promise<void> {
  await connection.query('DROP TABLE IF EXISTS traffic_ledger, traffic_counters, traffic_accounts');
  await connection.query(
    `CREATE TABLE traffic_ledger (
      session INT UNSIGNED NOT NULL,
      sequence BIGINT UNSIGNED NOT NULL,
      kind ENUM('autocommit', 'prepared', 'transaction', 'order') NOT NULL,
      note VARCHAR(100) NOT NULL,
      written_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
      PRIMARY KEY (session, sequence)
    ) DEFAULT CHARACTER SET utf8mb4`,
  );
  await connection.query(
    'CREATE TABLE traffic_counters (session INT UNSIGNED PRIMARY KEY, value BIGINT UNSIGNED NOT NULL)',
  );
  await connection.query('CREATE TABLE traffic_accounts (id INT UNSIGNED PRIMARY KEY, balance BIGINT NOT NULL)');
  const counters = Array.from({ length: sessions }, (_, session) => `(${session}, 0)`);
  await connection.query(`INSERT INTO traffic_counters VALUES ${counters.join(', ')}`);
  const accounts = Array.from({ length: ACCOUNTS }, (_, account) => `(${account}, ${FIRST_BALANCE})`);
  await connection.query(`INSERT INTO traffic_accounts VALUES ${accounts.join(', ')}`);
}
