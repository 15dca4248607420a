import { access } from 'node:fs/promises';
import type { Connection } from 'mysql2/promise';
import { runCommand } from '../../servers/run-command.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect } from './query.ts';

const PT_OSC = '/usr/bin/pt-online-schema-change';

export interface SchemaChange {
  server: RunningServer;
  database: string;
  table: string;
  /** What follows ALTER TABLE … */
  alter: string;
}

/** Why the tool of Percona's toolkit cannot be run here, or null. */
export async function withoutPtOsc(): Promise<string | null> {
  return await access(PT_OSC).then(
    () => null,
    () => `${PT_OSC} is absent`,
  );
}

/** Three triggers, chunks of INSERT IGNORE … SELECT, one RENAME TABLE that swaps both tables, DROP of the old one. */
export async function ptOnlineSchemaChange({ server, database, table, alter }: SchemaChange): Promise<string> {
  const dsn = `h=${server.host},P=${server.port},u=${server.adminUser},p=${server.adminPassword},D=${database},t=${table}`;
  const options =
    '--execute --chunk-size 100 --recursion-method none --alter-foreign-keys-method rebuild_constraints --no-version-check';
  return await runCommand(PT_OSC, ['--alter', alter, ...options.split(' '), dsn]);
}

export interface GhostChange extends SchemaChange {
  /** Of the table, the key first. */
  columns: readonly string[];
  rowsMax: number;
  /** Keys of rows that others have changed since it was last asked, as gh-ost reads them from the binlog. */
  changedKeys: () => number[];
}

const CHUNK = 400;

/**
 * The statements that gh-ost logs on its source, by hand and in its order: table of messages, table to be, chunks between rows
 * from the binlog, the cut-over with its sentry table. Only that the session which holds LOCK TABLES renames itself (MySQL 8.0.13):
 * of gh-ost's two sessions the one that renames need not be the first behind the lock, and then the source loses a write.
 */
export async function ghostSchemaChange(change: GhostChange): Promise<void> {
  const { server, database, table, alter, columns, rowsMax, changedKeys } = change;
  const [ghost, messages, old] = [`_${table}_gho`, `_${table}_ghc`, `_${table}_del`];
  const [list, key] = [columns.join(','), columns[0] ?? ''];
  await using copier = await connect(server, database);
  await using locker = await connect(server, database);
  await copier.query(
    `CREATE TABLE ${messages} (id BIGINT UNSIGNED AUTO_INCREMENT, last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hint VARCHAR(64) CHARSET ascii NOT NULL, value VARCHAR(4096) CHARSET ascii NOT NULL, PRIMARY KEY (id), UNIQUE KEY hint_uidx (hint)) AUTO_INCREMENT=256`,
  );
  await copier.query(`CREATE TABLE ${ghost} LIKE ${table}`);
  await copier.query(`ALTER TABLE ${ghost} ${alter}`);
  for (let from = 0; from <= rowsMax; from += CHUNK) {
    await say(copier, messages, `copy ${from}`);
    await copier.query(
      `INSERT IGNORE INTO ${ghost} (${list}) (SELECT ${list} FROM ${table} FORCE INDEX (PRIMARY) WHERE ${key} >= ${from} AND ${key} < ${from + CHUNK} FOR SHARE)`,
    );
    await replay(copier, changedKeys());
  }
  await copier.query(`CREATE TABLE ${old} (id INT AUTO_INCREMENT PRIMARY KEY) COMMENT='ghost-cut-over-sentry'`);
  await locker.query(`LOCK TABLES ${table} WRITE, ${old} WRITE, ${ghost} WRITE`);
  await replay(locker, changedKeys());
  await locker.query(`DROP TABLE ${old}`);
  await locker.query(`RENAME TABLE ${table} TO ${old}, ${ghost} TO ${table}`);
  await locker.query('UNLOCK TABLES');
  await copier.query(`DROP TABLE ${old}`);
  await copier.query(`DROP TABLE ${messages}`);

  async function replay(connection: Connection, keys: number[]): Promise<void> {
    for (const one of keys) {
      await connection.query(`DELETE FROM ${ghost} WHERE ${key} = ${one}`);
      await connection.query(`REPLACE INTO ${ghost} (${list}) SELECT ${list} FROM ${table} WHERE ${key} = ${one}`);
    }
  }
}

async function say(connection: Connection, messages: string, value: string): Promise<void> {
  await connection.query(
    `INSERT INTO ${messages} (id, hint, value) VALUES (NULLIF(2, 0), 'state', '${value}') ON DUPLICATE KEY UPDATE last_update = NOW(), value = VALUES(value)`,
  );
}
