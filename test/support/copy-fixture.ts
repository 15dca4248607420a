import { COPY_TABLES, forgetChunks } from '../../engine/copy/copy-chunks-table.ts';
import { runCopy, type CopyOptions, type CopyResult } from '../../engine/copy/run-copy.ts';
import { createSchema, createTable, openForDdl, targetDdls } from '../../engine/schema/create-target.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import type { Table } from '../../engine/schema/table.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { createSidecar } from '../../engine/sidecar.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { definitionOf } from './stream-fixture.ts';
import { tableSum } from './exact-form.ts';

/** A source and a target, and the copy between them without the rest of an import. */
export class CopyFixture {
  readonly source: RunningServer;
  readonly target: RunningServer;

  constructor(source: RunningServer, target: RunningServer) {
    this.source = source;
    this.target = target;
  }

  async onSource(...statements: string[]): Promise<void> {
    await using connection = await ServerConnection.open(definitionOf(this.source));
    for (const statement of statements) await connection.write(statement);
  }

  async tables(schema: string): Promise<Table[]> {
    await using source = await ServerConnection.open(definitionOf(this.source));
    return await inspectTables(source, schema, 'all');
  }

  /** The schema's tables made on the target, empty, without any chunk of an earlier copy. */
  async prepare(schema: string): Promise<Table[]> {
    const tables = await this.tables(schema);
    await using source = await ServerConnection.open(definitionOf(this.source));
    await using ddl = await openForDdl(definitionOf(this.target));
    await createSidecar(ddl, COPY_TABLES);
    await ddl.write(`DROP DATABASE IF EXISTS ${schema}`);
    await forgetChunks(ddl, schema);
    await createSchema(source, ddl, schema);
    for (const statements of await targetDdls(ddl, tables, true)) await createTable(ddl, statements);
    return tables;
  }

  async copy(tables: Table[], changes: Partial<CopyOptions> = {}): Promise<CopyResult> {
    return await runCopy({
      importId: tables[0]?.schema ?? '',
      source: definitionOf(this.source),
      target: definitionOf(this.target),
      tables,
      connections: 3,
      signal: new AbortController().signal,
      onProgress: () => {},
      ...changes,
    });
  }

  /** Tables that differ, by count and sum of all bytes. */
  async different(tables: Table[]): Promise<string[]> {
    await using source = await ServerConnection.open(definitionOf(this.source));
    await using target = await ServerConnection.open(definitionOf(this.target));
    const names: string[] = [];
    for (const table of tables)
      if ((await tableSum(source, table)) !== (await tableSum(target, table))) names.push(table.name);
    return names;
  }
}
