import { Backoff } from '../core/backoff.ts';
import { AppError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { parsePosition, type StreamPosition } from '../core/gtid.ts';
import type { Side } from '../core/phase.ts';
import type { ServerDefinition, ServerFacts, TableView } from './api.ts';
import { COPY_TABLES } from './copy/copy-chunks-table.ts';
import { runCopy } from './copy/run-copy.ts';
import { finishTables } from './copy/finish-tables.ts';
import { withObjects, type ImportSecrets } from './import-document.ts';
import { ImportUsers } from './import-users.ts';
import type { ImportRecord } from './import-store.ts';
import type { ImportStreams } from './import-streams.ts';
import { createPassiveObjects, missingPassiveObjects } from './objects/bring-objects.ts';
import { finding } from './preflight/finding.ts';
import { forgetEarlier } from './remove.ts';
import { createSchema, createTable, openForDdl, targetDdls } from './schema/create-target.ts';
import { inspectTables } from './schema/inspect.ts';
import type { Table } from './schema/table.ts';
import type { TargetDdl } from './schema/target-ddl.ts';
import type { ServerConnection } from './server/connection.ts';
import { executedPosition, holdsSoon, visiblePosition } from './server/position.ts';
import { quoteText, textOf } from './server/connection.ts';
import { createSidecar, ProgressRow } from './sidecar.ts';
import { StreamSchema } from './ddl/stream-schema.ts';
import { MESSAGES_DDL } from './write-back/message.ts';

const CREATES_AT_ONCE = 4;

export interface CopyWorld {
  readonly record: ImportRecord;
  connect(side: Side): Promise<ServerConnection>;
  log(level: 'info' | 'warn', message: string, details?: Record<string, unknown>): void;
}

export interface CopyPhaseOptions {
  world: CopyWorld;
  streams: ImportStreams;
  credentials: ImportSecrets;
  signal: AbortSignal;
  /** See `StreamEvents`. */
  mayBegin: () => Promise<void>;
  /** At every change; the views are made for those who look. */
  onTables: (tables: () => TableView[]) => void;
}

/**
 * From nothing to a target that follows the source. Every step is idempotent and looks at what is done already, so the
 * whole is simply run again after a crash or a lost connection.
 */
export async function runCopyPhase(options: CopyPhaseOptions): Promise<void> {
  const { world, signal } = options;
  const backoff = new Backoff({ initialMs: 500, maxMs: 10_000 });
  for (;;) {
    try {
      await copyOnce(options);
      return;
    } catch (error) {
      if (signal.aborted || !(error instanceof AppError) || error.entry.kind !== 'retryable') throw error;
      world.log('warn', `the copy was interrupted and goes on where it was: ${error.message}`);
      await backoff.wait(signal);
    }
  }
}

async function copyOnce({ world, streams, credentials, signal, mayBegin, onTables }: CopyPhaseOptions): Promise<void> {
  const { record } = world;
  await mayBegin();
  if (record.document.copiedPosition === null) {
    const { tables, ddls } = await prepareTarget(world, credentials, signal);
    await copyRows({ world, credentials, signal, onTables, tables, ddls });
  }
  const { copiedPosition, sourceFacts } = record.document;
  signal.throwIfAborted();
  streams.startReplicationTo('target');
  const stream = streams.replicationTo('target');
  if (stream === undefined || copiedPosition === null)
    throw new AppError('INTERNAL', 'the copy ended without a position');
  // Until everything that was read has been overtaken, rows of different chunks are of different times.
  await stream.waitFor(parsePosition(sourceFacts.flavor, copiedPosition), signal);
}

/** Start position, sidecar, schema and tables: what has to be there before the first row is read. */
async function prepareTarget(
  world: CopyWorld,
  credentials: ImportSecrets,
  signal: AbortSignal,
): Promise<{ tables: Table[]; ddls: TargetDdl[] }> {
  const { record } = world;
  await using source = await world.connect('source');
  await using target = await openForDdl(credentials.target);
  await createSidecar(target, COPY_TABLES);
  const tables = await tablesAtStart(record, { source, target, signal });
  const { options } = record.document;
  const ddls = await targetDdls(target, tables, options.deferIndexes);
  await createTables(record, { source, target, credentials, ddls });
  return { tables, ddls };
}

/**
 * The tables as they are copied: as they were at P0, where the stream begins, whatever has become of them since. Position and
 * definitions belong together, so an engine that died before it had kept both takes both anew: nothing has been read by then.
 */
async function tablesAtStart(
  record: ImportRecord,
  { source, target, signal }: { source: ServerConnection; target: ServerConnection; signal: AbortSignal },
): Promise<Table[]> {
  const { id, database } = record.document;
  const schema = new StreamSchema(id, 'forward');
  // Ahead of the position: with that stored, what is there is ours.
  if (record.document.startPosition === null) await forgetEarlier(target, id);
  if (!(await schema.isKept(target))) {
    const { tables, position } = await beginning(record, source, signal);
    await storeStartPosition(record, target, position);
    await failpoint('copy.position_stored');
    await schema.load(target, async () => tables);
  }
  const kept = await schema.load(target, async () => []);
  const now = new Map((await inspectTables(source, database, 'all')).map((table) => [table.name, table]));
  return [...kept.values()].flatMap((table) => {
    if (table === null) return [];
    const { rowsEstimate = 0, bytes = 0 } = now.get(table.name) ?? {};
    return [{ ...table, rowsEstimate, bytes }];
  });
}

/** P0, and the tables at P0: looked at before and after, until no DDL has come between. */
async function beginning(
  record: ImportRecord,
  source: ServerConnection,
  signal: AbortSignal,
): Promise<{ tables: Table[]; position: string }> {
  let tables = await importedTables(record, source);
  for (;;) {
    const position = (await startOf(source, record.document.sourceFacts.flavor, signal)).toString();
    const again = await importedTables(record, source);
    if (definitionsText(tables) === definitionsText(again)) return { tables, position };
    tables = again;
  }
}

/**
 * What is visible. Definitions are before that, so it is waited for a while until that is all that is in the log by now: DDL that the tables
 * show and that P0 does not have would be applied again, which the target refuses.
 */
async function startOf(
  source: ServerConnection,
  flavor: ServerFacts['flavor'],
  signal: AbortSignal,
): Promise<StreamPosition> {
  const logged = await executedPosition(source, flavor);
  let visible = await visiblePosition(source, flavor);
  await holdsSoon(async () => {
    if (!visible.covers(logged)) visible = await visiblePosition(source, flavor);
    return visible.covers(logged);
  }, signal);
  return visible;
}

function definitionsText(tables: Table[]): string {
  return JSON.stringify(tables.map(({ name, columns, key, uniqueKeys }) => [name, columns, key, uniqueKeys]));
}

/**
 * Of a whole database those that it has now: one that was created after the validation and before P0 is not in the stream. What
 * comes later is, as DDL.
 */
async function importedTables(record: ImportRecord, source: ServerConnection): Promise<Table[]> {
  const { database, tables: names, allTables, created } = record.document;
  if (!allTables || created.tables.length > 0) return await inspectTables(source, database, names);
  const tables = await inspectTables(source, database, 'all');
  const keyless = tables.filter(({ key }) => key === null).map(({ name }) => name);
  if (keyless.length > 0)
    throw new AppError('STREAM_TABLE_WITHOUT_KEY', `without a key since the validation: ${keyless.join(', ')}`, {
      details: { tables: keyless },
    });
  await record.update(() => ({ tables: tables.map(({ name }) => name) }));
  return tables;
}

/** Nothing may be read before it is durable, on both sides of the engine's life. */
async function storeStartPosition(record: ImportRecord, target: ServerConnection, position: string): Promise<void> {
  await record.update(() => ({
    startPosition: position,
    copy: { rows: 0, bytes: 0, tableRows: {}, startedAtMs: Date.now(), finishedAtMs: null },
  }));
  await new ProgressRow(record.document.id, 'forward').reset(target, position);
}

/** What is going to be made is recorded before: cancelling drops exactly what is on that list. */
async function createTables(
  record: ImportRecord,
  {
    source,
    target,
    credentials,
    ddls,
  }: { source: ServerConnection; target: ServerConnection; credentials: ImportSecrets; ddls: TargetDdl[] },
): Promise<void> {
  const { database, created } = record.document;
  const there = new Set(
    (
      await target.rows(`SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(database)}`)
    ).map(([name]) => textOf(name ?? '')),
  );
  const schemas = await target.rows(
    `SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${quoteText(database)}`,
  );
  if (schemas.length === 0) {
    await record.update(() => ({ created: { ...created, schema: true } }));
    await createSchema(source, target, database);
  }
  const recorded = new Set(created.tables);
  const foreign = ddls.filter(({ table }) => there.has(table) && !recorded.has(table)).map(({ table }) => table);
  if (foreign.length > 0) {
    throw new AppError(
      'TARGET_TABLE_EXISTS',
      `the target has tables that Switchyard did not make: ${foreign.slice(0, 10).join(', ')}`,
    );
  }
  await record.update((document) => ({ created: { ...document.created, tables: ddls.map(({ table }) => table) } }));
  await failpoint('copy.tables_recorded');
  await createMissing(
    credentials.target,
    ddls.filter(({ table }) => !there.has(table)),
  );
}

/** Several at once: each waits for the disk more than for a processor. */
async function createMissing(target: ServerDefinition, ddls: TargetDdl[]): Promise<void> {
  const waiting = ddls.values();
  const lane = async () => {
    await using connection = await openForDdl(target);
    for (const ddl of waiting) await createTable(connection, ddl);
  };
  const lanes = Array.from({ length: Math.min(CREATES_AT_ONCE, ddls.length) }, lane);
  // None may still be creating when the failure of another is told: a cancelled import drops what is there by then.
  const failed = (await Promise.allSettled(lanes)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

interface CopyRowsOptions extends Omit<CopyPhaseOptions, 'streams' | 'mayBegin'> {
  tables: Table[];
  ddls: TargetDdl[];
}

async function copyRows({ world, credentials, signal, onTables, tables, ddls }: CopyRowsOptions): Promise<void> {
  const { record } = world;
  const { id, options, replicaHost, startPosition } = record.document;
  const views = new Map<string, TableView>();
  const show = (view: TableView) => {
    views.set(view.name, view);
    onTables(() => [...views.values()]);
  };
  await failpoint('copy.started');
  const { rows, bytes, stamp } = await runCopy({
    importId: id,
    source: credentials.source,
    ...(replicaHost === null || startPosition === null
      ? {}
      : { replica: { server: { ...credentials.source, ...replicaHost }, from: startPosition } }),
    target: credentials.target,
    tables,
    connections: options.connections,
    chunkBytes: options.chunkBytes,
    signal,
    throttle: options.throttle,
    onThrottle: (reason) =>
      reason === null
        ? world.log('info', 'the copy goes on')
        : world.log('warn', `the copy begins no chunk for now: ${reason}`),
    onProgress: ({ bytes: _bytes, ...view }) => show(view),
  });
  world.log('info', `${rows} rows copied`, { rows, bytes });
  await finishTables({
    target: credentials.target,
    ddls,
    signal,
    onState: (table, state) => {
      const view = views.get(table);
      if (view !== undefined) show({ ...view, state });
    },
  });
  await bringObjects(world, credentials);
  if (options.reverse === 'always') await beginWriteBack(world);
  await failpoint('copy.finished');
  const tableRows = Object.fromEntries([...views.values()].map(({ name, rowsCopied }) => [name, rowsCopied]));
  await record.update(({ copy }) => ({
    copiedPosition: stamp,
    copy: { ...copy, rows, bytes, tableRows, finishedAtMs: Date.now() },
  }));
  await failpoint('copy.recorded');
}

/**
 * Where the write-back begins on the target: behind all that the copy wrote there, before the stream to it begins. Done
 * again with the copy until the end of the copy is stored.
 */
async function beginWriteBack(world: CopyWorld): Promise<void> {
  const { record } = world;
  await using source = await world.connect('source');
  await using target = await world.connect('target');
  await createSidecar(source, [MESSAGES_DDL]);
  const position = await executedPosition(target, record.document.targetFacts.flavor);
  await new ProgressRow(record.document.id, 'reverse').reset(source, position.toString());
}

/** Views and routines. One that is refused is no reason to stop: it has no rows, and its script is kept. */
async function bringObjects(world: CopyWorld, credentials: ImportSecrets): Promise<void> {
  const { record } = world;
  await using source = await world.connect('source');
  await using target = await world.connect('target');
  const { database } = record.document;
  const users = new ImportUsers(world);
  await users.bring('before_objects');
  const missing = await missingPassiveObjects(source, target, database);
  await record.update(({ created }) => ({ created: withObjects(created, missing) }));
  const { created, refused } = await createPassiveObjects(credentials.target, database, missing);
  if (created.length > 0) world.log('info', `created on the target: ${created.join(', ')}`);
  const found = refused.map(({ kind, name, reason, script }) => ({
    ...finding('OBJECT_NOT_CREATED', 'target', `${kind} ${name}`, reason),
    fix: script,
  }));
  for (const { message } of found) world.log('warn', message);
  await record.update(({ findings }) => ({
    findings: [...findings.filter(({ code }) => code !== 'OBJECT_NOT_CREATED'), ...found],
  }));
  await users.bring('behind_objects');
}
