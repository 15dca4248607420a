import { ERROR_TABLE } from '../core/error-table.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import type { ConflictsView, ImportView, StrayWritesView, StreamView, TableView, VerifyView } from './api.ts';
import type { ImportDocument } from './import-document.ts';

export interface LiveState {
  tables: TableView[];
  streams: StreamView[];
  verify: VerifyView | null;
  strayWrites: StrayWritesView | null;
  conflicts: ConflictsView | null;
  route: RoutingRecord | undefined;
}

/** What people see: the stored document with what only the running engine knows. */
export function importView(document: ImportDocument, live: LiveState): ImportView {
  const {
    id,
    phase,
    database,
    source,
    target,
    sourceFacts,
    targetFacts,
    replicaHost,
    switches,
    findings,
    options,
    error,
    copy,
  } = document;
  const { primary, replica, epoch } = live.route ?? { primary: 'source', replica: 'source', epoch: 0 };
  return {
    id,
    phase,
    database,
    source: { host: source.host, port: source.port, user: source.user, facts: sourceFacts },
    target: { host: target.host, port: target.port, user: target.user, facts: targetFacts },
    replicaHost,
    tables: live.tables,
    streams: live.streams,
    verify: live.verify,
    strayWrites: live.strayWrites,
    conflicts: live.conflicts,
    traffic: { primary, replica, epoch },
    switches,
    findings,
    options,
    error: error === null ? null : { ...error, remedy: ERROR_TABLE[error.code].remedy },
    createdAtMs: document.createdAtMs,
    createdBy: document.createdBy,
    updatedAtMs: document.updatedAtMs,
    copy: { rows: copy.rows, bytes: copy.bytes, startedAtMs: copy.startedAtMs, finishedAtMs: copy.finishedAtMs },
  };
}
