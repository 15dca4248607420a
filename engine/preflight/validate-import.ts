import { AppError } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';
import type { Finding, ImportRequest, ServerDefinition, ValidationReport } from '../api.ts';
import { inspectTables } from '../schema/inspect.ts';
import type { Table } from '../schema/table.ts';
import { quoteText, ServerConnection, textOf } from '../server/connection.ts';
import { checkBinlog } from './check-binlog.ts';
import { checkCollations } from './check-collations.ts';
import { checkDefinitions } from './check-definitions.ts';
import { checkForeignKeys, foreignKeysOf, type ForeignKey } from './check-foreign-keys.ts';
import { checkGrants } from './check-grants.ts';
import { checkObjects } from './check-objects.ts';
import { checkOtherStreams } from './check-other-streams.ts';
import { checkOutside } from './check-outside.ts';
import { checkPair, checkVersion } from './check-servers.ts';
import { checkTables, enginesOf } from './check-tables.ts';
import { checkUsers } from './check-users.ts';
import { checkTargetTables } from './check-target-tables.ts';
import { checkWriteBack } from './check-write-back.ts';
import { finding } from './finding.ts';
import { Grants } from './grants.ts';
import { viewServer, type ServerView } from './server-view.ts';

export type TargetedRequest = ImportRequest & { target: ServerDefinition };

/**
 * All that can be known to be wrong before anything is changed. Nothing is written to either server. Never rejects for
 * what the servers say: that is a finding. `resuming`: the target's tables may be ours.
 */
export async function validateImport(
  request: TargetedRequest,
  { resuming = false }: { resuming?: boolean } = {},
): Promise<ValidationReport> {
  await using stack = new AsyncDisposableStack();
  const findings: Finding[] = [];
  const reach = async (side: Side, server: ServerDefinition) =>
    await collecting(findings, side, async () => viewServer(side, stack.use(await ServerConnection.open(server))));
  const [source, target] = await Promise.all([reach('source', request.source), reach('target', request.target)]);
  await checkReplicaHost(request, findings);

  for (const view of [source, target]) if (view !== undefined) findings.push(...checkVersion(view));
  if (source !== undefined && target !== undefined) findings.push(...checkPair(source, target));
  const { tables, foreignKeys } =
    (source === undefined
      ? undefined
      : await collecting(findings, 'source', async () => validateSchema(source, request, findings))) ?? NO_SCHEMA;
  const names = tables.map(({ name }) => name);
  for (const view of [source, target]) {
    if (view !== undefined)
      await collecting(findings, view.side, async () => validateServer(view, request, names, findings));
  }
  if (source !== undefined && target !== undefined && tables.length > 0) {
    await collecting(findings, 'target', async () =>
      validateWorkflow(
        source,
        target,
        { tables, foreignKeys },
        { ...request, resuming, users: request.options.users },
        findings,
      ),
    );
  }
  return {
    ok: findings.every(
      ({ severity, skippable }) => severity !== 'error' || (skippable && request.options.skipValidationErrors),
    ),
    source: source?.facts ?? null,
    target: target?.facts ?? null,
    findings: findings.sort((a, b) => RANK[a.severity] - RANK[b.severity]),
    tables: tables.map(({ name, rowsEstimate, bytes }) => ({ name, rowsEstimate, bytes })),
  };
}

const RANK: Record<Finding['severity'], number> = { error: 0, warning: 1, info: 2 };

/** One server, for its own role: its binary log and our grants there. */
export async function validateServer(
  view: ServerView,
  { database, options: { reverse } }: Pick<ImportRequest, 'database' | 'options'>,
  tables: readonly string[],
  findings: Finding[],
): Promise<void> {
  findings.push(...checkGrants(view, await Grants.read(view.connection), { database, tables, reverse }));
  findings.push(...(await checkBinlog(view, { database, reverse })), ...(await checkOtherStreams(view)));
}

interface ImportedSchema {
  /** Those that can be imported. */
  tables: Table[];
  /** Of the whole database. */
  foreignKeys: ForeignKey[];
}

const NO_SCHEMA: ImportedSchema = { tables: [], foreignKeys: [] };

/** The imported database on the source. */
export async function validateSchema(
  source: ServerView,
  request: ImportRequest,
  findings: Finding[],
): Promise<ImportedSchema> {
  const { connection } = source;
  const { database, tables: requested } = request;
  const schemas = await connection.rows(
    `SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${quoteText(database)}`,
  );
  const name = textOf(schemas[0]?.[0] ?? '');
  // With lower_case_table_names a server answers to any spelling; its log knows one.
  if (name !== database) {
    findings.push(
      finding(
        'SCHEMA_UNKNOWN',
        'source',
        database,
        name === ''
          ? `there is no database ${database} on the source, or it is not visible`
          : `the source calls the database ${name}`,
      ),
    );
    return NO_SCHEMA;
  }
  const all = await inspectTables(connection, database, 'all');
  const known = new Set(all.map(({ name }) => name));
  const unknown = requested === 'all' ? [] : requested.filter((name) => !known.has(name));
  findings.push(
    ...unknown.map((name) =>
      finding('TABLE_UNKNOWN', 'source', name, `${database}.${name} does not exist, or is no base table`),
    ),
  );
  const tables = requested === 'all' ? all : all.filter(({ name }) => requested.includes(name));
  const names = tables.map(({ name }) => name);
  if (all.length === 0) findings.push(finding('NO_TABLES', 'source', database, `${database} has no tables`));
  const engines = await enginesOf(connection, database);
  const foreignKeys = await foreignKeysOf(connection, database);
  findings.push(
    ...(await checkTables(connection, request, { tables, engines })),
    ...(await checkObjects(connection, database, names)),
    ...(await checkOutside(connection, database, names)),
    ...(request.options.reverse === 'always' ? checkWriteBack(tables, { engines, foreignKeys }) : []),
  );
  return { tables, foreignKeys };
}

/** The import as a whole: what concerns both sides. */
export async function validateWorkflow(
  source: ServerView,
  target: ServerView,
  { tables, foreignKeys }: ImportedSchema,
  { database, resuming, users }: { database: string; resuming: boolean; users: ImportRequest['options']['users'] },
  findings: Finding[],
): Promise<void> {
  const names = tables.map(({ name }) => name);
  const bytes = tables.reduce((sum, table) => sum + table.bytes, 0);
  findings.push(
    ...checkForeignKeys(source, target, database, { tables: names, foreignKeys }),
    ...(await checkDefinitions(target.connection, tables)),
    ...(await checkCollations(source.connection, target.connection, tables)),
    ...(resuming ? [] : await checkTargetTables(target.connection, database, names)),
    ...(await checkUsers(source, target, { database, users })),
    finding('STORAGE_NEEDED', 'target', null, `${tables.length} tables with about ${megabytes(bytes)} of rows`),
  );
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** The copy may read there, and replica traffic goes there: our user has to get in. */
async function checkReplicaHost({ source, replicaHost }: ImportRequest, findings: Finding[]): Promise<void> {
  if (replicaHost === null) return;
  try {
    await using connection = await ServerConnection.open({ ...source, ...replicaHost });
    await connection.rows('SELECT 1');
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    findings.push(
      finding('REPLICA_HOST_UNREACHABLE', 'source', `${replicaHost.host}:${replicaHost.port}`, error.message),
    );
  }
}

/** What `work` answers, or undefined and a finding where a server refused it. */
async function collecting<T>(findings: Finding[], side: Side, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const code =
      error.code === 'SERVER_UNREACHABLE' || error.code === 'LOGIN_REFUSED' ? error.code : 'SERVER_CHECK_FAILED';
    findings.push(finding(code, side, null, error.message));
    return undefined;
  }
}
