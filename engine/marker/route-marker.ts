import { z } from 'zod';
import type { Side } from '../../core/phase.ts';
import type { RoutingRecord } from '../../core/routing-record.ts';
import { importDocumentSchema, type ImportDocument } from '../import-document.ts';
import { errnoOf, quoteText, type ServerConnection } from '../server/connection.ts';
import { createSidecar, ROUTE_MARKER } from '../sidecar.ts';

/**
 * What a server tells of the last decision about traffic: `_switchyard.route`, one row an import. Written behind the decision
 * and outside of any pause, so it may be missing, but never tells of what was not decided (ADR 27).
 */
export interface RouteMarker {
  importId: string;
  database: string;
  /** Tells imports of the same name apart. */
  createdAtMs: number;
  /** `decisions` of the document. */
  decision: string;
  /** Of the routing record when the decision stood. */
  epoch: number;
  primary: Side;
  replica: Side;
  writtenAtMs: number;
  /** `markedStateSchema` as JSON, and `markedOriginSchema`: another version may have written it. */
  state: string;
}

/** Of the document, what a state that does not know the decision cannot know either. */
export const markedStateSchema = importDocumentSchema.pick({
  phase: true,
  replicasOnTarget: true,
  fence: true,
  leftFence: true,
  eventsLeft: true,
  activeObjects: true,
  tables: true,
  created: true,
  startPosition: true,
  copiedPosition: true,
  cascadesSettled: true,
  copy: true,
  switches: true,
  decisions: true,
});

/** What another import looks at. */
const markedOriginSchema = z.object({ tables: z.array(z.string()), sourceServer: z.string() }).partial();
export type MarkedOrigin = z.infer<typeof markedOriginSchema>;

/** Nothing is known of what another version has written otherwise. */
export function originOf({ state }: RouteMarker): MarkedOrigin {
  try {
    return markedOriginSchema.parse(JSON.parse(state));
  } catch {
    return {};
  }
}

/** No such schema or table yet, or not ours to read: nothing is told there. */
const NOTHING_TOLD = [1044, 1049, 1142, 1146];
const NO_TABLE = [1049, 1146];

/** Before the first switch. An import that an older version began has no decision of its switches in its document. */
export function beginningOf({ createdAtMs }: Pick<ImportDocument, 'createdAtMs'>): string {
  return `begin-${createdAtMs}`;
}

export function markerOf(document: ImportDocument, { primary, replica }: RoutingRecord): RouteMarker {
  const own = document.decisions.filter(({ isFormer }) => !isFormer).at(-1);
  return {
    importId: document.id,
    database: document.database,
    createdAtMs: document.createdAtMs,
    decision: own?.id ?? beginningOf(document),
    epoch: own?.epoch ?? 0,
    primary,
    replica,
    writtenAtMs: Date.now(),
    state: JSON.stringify({
      ...markedStateSchema.strip().parse(document),
      phase: restingPhase(document),
      sourceServer: document.sourceFacts.serverUuid,
    }),
  };
}

/** Without what was under way: a verification of another state is worth nothing. */
function restingPhase({ phase, error }: ImportDocument): ImportDocument['phase'] {
  const effective = error?.fromPhase ?? phase;
  return effective === 'verifying_data' || effective === 'verified_data' ? 'running' : effective;
}

/** Of every import that left one. */
export async function readMarkers(connection: ServerConnection): Promise<RouteMarker[]> {
  try {
    const rows = await connection.select<Record<string, string>>(
      `SELECT import_id, database_name, created_at_ms, decision, epoch, primary_side, replica_side, written_at_ms, state FROM ${ROUTE_MARKER}`,
    );
    return rows.map((row) => ({
      importId: row['import_id'] ?? '',
      database: row['database_name'] ?? '',
      createdAtMs: Number(row['created_at_ms']),
      decision: row['decision'] ?? '',
      epoch: Number(row['epoch']),
      primary: row['primary_side'] === 'target' ? 'target' : 'source',
      replica: row['replica_side'] === 'target' ? 'target' : 'source',
      writtenAtMs: Number(row['written_at_ms']),
      state: row['state'] ?? '',
    }));
  } catch (error) {
    if (NOTHING_TOLD.includes(errnoOf(error) ?? 0)) return [];
    throw error;
  }
}

/** In a transaction that touches `_switchyard` alone, so that every stream and watch takes it for ours (I7). */
export async function writeMarker(connection: ServerConnection, marker: RouteMarker): Promise<void> {
  try {
    await replaceMarker(connection, marker);
  } catch (error) {
    if (!NO_TABLE.includes(errnoOf(error) ?? 0)) throw error;
    await createSidecar(connection);
    await replaceMarker(connection, marker);
  }
}

/** A write that was given up may still wait on the server: it must not come over a later one. */
async function replaceMarker(connection: ServerConnection, marker: RouteMarker): Promise<void> {
  const { importId, database, createdAtMs, decision, epoch, primary, replica, writtenAtMs, state } = marker;
  const values = [
    quoteText(importId),
    quoteText(database),
    createdAtMs,
    quoteText(decision),
    epoch,
    quoteText(primary),
    quoteText(replica),
    writtenAtMs,
    quoteText(state),
  ];
  await connection.write('BEGIN');
  try {
    await connection.write(
      `DELETE FROM ${ROUTE_MARKER} WHERE import_id=${quoteText(importId)} AND (created_at_ms<>${createdAtMs} OR epoch<=${epoch})`,
    );
    await connection.write(`INSERT IGNORE INTO ${ROUTE_MARKER} VALUES (${values.join(', ')})`);
    await connection.write('COMMIT');
  } catch (error) {
    if (!connection.broken) await connection.write('ROLLBACK').catch(() => {});
    throw error;
  }
}
