import path from 'node:path';
import { ServerConnection } from '../../engine/server/connection.ts';
import { serverDefinition, timed, type CopyPeer, type CopyStage } from '../copy/copy-stage.ts';
import { SYSBENCH_DATABASE, sysbenchTableName } from '../sysbench-tables.ts';

/**
 * The limit: the target reads ready files of its own, all tables at once, no client, no source, no network. Each table
 * gets its index afterwards: of what was tried (index first or afterwards; two tables at once or four; files or LOCAL)
 * this is the fastest.
 */
export async function loadDataPeer({ source, target, tables, folder }: CopyStage): Promise<CopyPeer> {
  const names = Array.from({ length: tables }, (_, index) => sysbenchTableName(index + 1));
  const fileOf = (name: string) => path.join(folder, `${name}.txt`);
  await using reader = await ServerConnection.open(serverDefinition(source));
  const creates = new Map<string, { create: string; key: string }>();
  for (const name of names) {
    await reader.rows(`SELECT * FROM ${SYSBENCH_DATABASE}.${name} INTO OUTFILE '${fileOf(name)}'`);
    creates.set(name, await statements(reader, name));
  }
  const copyTable = async (name: string) => {
    await using writer = await ServerConnection.open(serverDefinition(target));
    const { create, key } = creates.get(name) ?? { create: '', key: '' };
    await writer.write(`USE ${SYSBENCH_DATABASE}`);
    await writer.write(create);
    await writer.write(`LOAD DATA INFILE '${fileOf(name)}' INTO TABLE ${name}`);
    await writer.write(`ALTER TABLE ${name} ADD ${key}`);
  };
  return {
    name: 'LOAD DATA',
    version: 'four ready files at once, index afterwards',
    copy: async () =>
      timed(async () => {
        await using writer = await ServerConnection.open(serverDefinition(target));
        await writer.write(`CREATE DATABASE ${SYSBENCH_DATABASE}`);
        await Promise.all(names.map(copyTable));
      }),
  };
}

/** The table without its secondary index, and the index. */
async function statements(reader: ServerConnection, name: string): Promise<{ create: string; key: string }> {
  const [row] = await reader.rows(`SHOW CREATE TABLE ${SYSBENCH_DATABASE}.${name}`);
  const create = row?.[1] ?? '';
  const key = /,\n +(KEY [^\n]*)/.exec(create)?.[1];
  if (key === undefined) throw new Error(`${name} has no secondary index`);
  return { create: create.replace(`,\n  ${key}`, ''), key };
}
