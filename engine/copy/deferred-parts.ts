import { isAbort } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { AppError } from '../../core/errors.ts';
import type { ServerDefinition } from '../api.ts';
import { openForDdl } from '../schema/create-target.ts';
import type { DeferredPart, TargetDdl } from '../schema/target-ddl.ts';
import { bytesOf, errnoOf, quoteName, quoteText, ServerConnection, textOf } from '../server/connection.ts';

export interface DeferredOptions {
  target: ServerDefinition;
  ddls: TargetDdl[];
  /** Tables worked on at once. */
  connections: number;
  signal: AbortSignal;
  /** Before and after each table. */
  onProgress: (table: string, state: 'indexing' | 'done') => void;
}

/** The indexes that were left out at creation: one ALTER TABLE each, then one for each FULLTEXT. Those there are skipped. */
export async function addDeferredIndexes(options: DeferredOptions): Promise<void> {
  const ddls = await withoutIndexes(options);
  await overTables({ ...options, ddls }, async (connection, ddl) => {
    const present = await indexNames(connection, ddl);
    const missing = (parts: DeferredPart[]) => parts.filter(({ name }) => !present.has(name.toLowerCase()));
    const indexes = missing(ddl.indexes);
    if (indexes.length > 0) await alter(connection, ddl, indexes);
    for (const part of missing(ddl.fulltext)) await alter(connection, ddl, [part]);
  });
}

/** The tables that lack an index, by one look at all of them. */
async function withoutIndexes({ target, ddls, signal }: DeferredOptions): Promise<TargetDdl[]> {
  const [first] = ddls;
  if (first === undefined) return [];
  let present = new Set<string>();
  await persistently(target, signal, async (connection) => {
    const rows = await connection.rows(
      `SELECT DISTINCT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ${quoteText(first.schema)}`,
    );
    present = new Set(rows.map(([table, index]) => indexId(textOf(table ?? ''), textOf(index ?? ''))));
  });
  return ddls.filter(({ table, indexes, fulltext }) =>
    [...indexes, ...fulltext].some(({ name }) => !present.has(indexId(table, name))),
  );
}

function indexId(table: string, index: string): string {
  return `${table}\0${index}`.toLowerCase();
}

/** The foreign keys, unchecked: the rows are the source's. One table at a time, since each locks its parents as well. */
export async function addForeignKeys(options: Omit<DeferredOptions, 'connections'>): Promise<void> {
  await overTables({ ...options, connections: 1 }, async (connection, ddl) => {
    const present = await constraintNames(connection, ddl);
    for (const part of ddl.foreignKeys) if (!present.has(part.name.toLowerCase())) await alter(connection, ddl, [part]);
  });
}

async function alter(connection: ServerConnection, { schema, table }: TargetDdl, parts: DeferredPart[]): Promise<void> {
  await connection.write(
    `ALTER TABLE ${quoteName(schema)}.${quoteName(table)} ${parts.map(({ add }) => bytesOf(add)).join(', ')}`,
  );
}

async function indexNames(connection: ServerConnection, { schema, table }: TargetDdl): Promise<Set<string>> {
  return names(
    connection,
    `SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ${quoteText(schema)} AND TABLE_NAME = ${quoteText(table)}`,
  );
}

async function constraintNames(connection: ServerConnection, { schema, table }: TargetDdl): Promise<Set<string>> {
  return names(
    connection,
    `SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = ${quoteText(schema)} AND TABLE_NAME = ${quoteText(table)} AND CONSTRAINT_TYPE = 'FOREIGN KEY'`,
  );
}

async function names(connection: ServerConnection, sql: string): Promise<Set<string>> {
  return new Set((await connection.rows(sql)).map(([name]) => textOf(name ?? '').toLowerCase()));
}

/** `work` on every table, several at once; again after what another try may cure, having looked what is there by then. */
async function overTables(
  { target, ddls, connections, signal, onProgress }: DeferredOptions,
  work: (connection: ServerConnection, ddl: TargetDdl) => Promise<void>,
): Promise<void> {
  const waiting = ddls.values();
  const lane = async () => {
    for (const ddl of waiting) {
      onProgress(ddl.table, 'indexing');
      await persistently(target, signal, async (connection) => work(connection, ddl));
      onProgress(ddl.table, 'done');
    }
  };
  await Promise.all(Array.from({ length: Math.min(connections, ddls.length) }, lane));
}

const TRIES_MAX = 20;

async function persistently(
  target: ServerDefinition,
  signal: AbortSignal,
  work: (connection: ServerConnection) => Promise<void>,
): Promise<void> {
  const backoff = new Backoff();
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    let connection: ServerConnection | undefined;
    const stop = () => void (connection === undefined ? undefined : endStatement(target, connection));
    signal.addEventListener('abort', stop);
    try {
      connection = await openForDdl(target);
      await work(connection);
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (isAbort(error) || tries >= TRIES_MAX || !isTransient(error)) throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      connection?.destroy();
    }
    await backoff.wait(signal);
  }
}

/** An ALTER goes on in the server when its client leaves; so it is killed there. */
async function endStatement(target: ServerDefinition, connection: ServerConnection): Promise<void> {
  try {
    await using other = await ServerConnection.open(target);
    await other.write(`KILL ${connection.threadId}`);
  } catch {
    // Nothing more to be done: the statement ends by itself, and a later run finds what it made.
  } finally {
    connection.destroy();
  }
}

/** 1205, 1213: locks held by others; 1799: more was written during the ALTER than its log holds. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof AppError)) return false;
  return (
    error.code === 'SERVER_GONE' ||
    error.code === 'SERVER_UNREACHABLE' ||
    [1205, 1213, 1799].includes(errnoOf(error) ?? 0)
  );
}
