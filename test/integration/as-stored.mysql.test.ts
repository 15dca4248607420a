import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { storedIn } from '../../engine/apply/as-stored.ts';
import { whereValues } from '../../engine/apply/table-sql.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { bytesOf, ServerConnection } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { definitionOf } from '../support/stream-fixture.ts';

const COLLATIONS = [
  'utf8mb4_general_ci',
  'utf8mb4_unicode_ci',
  'utf8mb4_unicode_520_ci',
  'utf8mb4_bin',
  'utf8mb3_unicode_ci',
  'latin1_swedish_ci',
  'latin1_german1_ci',
  'latin1_bin',
  'utf16_unicode_ci',
  'ucs2_general_ci',
];
const TEXTS = ['ss', 'ß', 's', 'ä', 'A', 'a', 'á', 'a ', 'b'];

describe.each(['mysql-9.7', 'mariadb-10.11', 'mariadb-11.8'] as const)('%s', (flavor) => {
  let server: RunningServer;
  let connection: ServerConnection;
  beforeAll(async () => {
    server = await startServer({ flavor });
    connection = await ServerConnection.open(definitionOf(server));
    await connection.write('CREATE DATABASE texts');
  });
  afterAll(async () => {
    await connection?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test.each(COLLATIONS)('two texts are compared as in a unique key of %s', async (collation) => {
    const charset = collation.split('_')[0] ?? '';
    const name = `texts.${collation}`;
    await connection.write(
      `CREATE TABLE ${name} (id INT PRIMARY KEY, u VARCHAR(9) CHARACTER SET ${charset} COLLATE ${collation} UNIQUE)`,
    );
    const [table] = await inspectTables(connection, 'texts', [collation]);
    const column = table?.columns[1];
    if (table === undefined || column === undefined) throw new Error('the table is not there');
    const encode = (text: string) =>
      charset === 'latin1'
        ? Buffer.from(text, 'latin1').toString('latin1')
        : charset.startsWith('utf8')
          ? bytesOf(text)
          : Buffer.from(text, 'utf16le').swap16().toString('latin1');
    const stored = await storedIn(connection, table);
    for (const left of TEXTS) {
      await connection.write(`DELETE FROM ${name}`);
      const one = stored([[column, encode(left)]]);
      await connection.write(`INSERT INTO ${name} SELECT 1, u FROM ${one} AS holder`);
      const found = async (rows: string) => {
        const wheres = TEXTS.map((right) => whereValues([column], [[encode(right)], [encode('other')]], 'collation'));
        const counts = wheres.map((where) => `(SELECT COUNT(*) FROM ${rows} WHERE ${where})`);
        const [row] = await connection.rows(`SELECT ${counts.join(',')}`);
        return TEXTS.filter((_, index) => row?.[index] === '1');
      };
      const equal = await found(name);
      expect(equal).toContain(left);
      expect(await found(`${one} AS holder`), `equal to ${left}`).toEqual(equal);
    }
  });
});
