import type { Phase } from '../../core/phase.ts';
import {
  importOptionsSchema,
  type Finding,
  type ImportRequest,
  type ImportView,
  type TableView,
} from '../../engine/api.ts';

export const STAND_IN_TABLES: [name: string, rows: number][] = [
  ['addresses', 184_220],
  ['cart_items', 96_410],
  ['customers', 122_600],
  ['order_lines', 2_410_733],
  ['orders', 801_944],
  ['payments', 799_120],
  ['products', 24_310],
  ['stock_movements', 1_610_402],
];

const FINDINGS: Finding[] = [
  {
    code: 'TABLE_WITHOUT_KEY',
    severity: 'warning',
    skippable: true,
    side: 'source',
    subject: 'stock_movements',
    message: 'The table has no primary key; its rows are compared as a whole, which is slower.',
    fix: 'ALTER TABLE `shop`.`stock_movements` ADD COLUMN id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY;',
  },
  {
    code: 'EVENT_PRESENT',
    severity: 'info',
    skippable: true,
    side: 'source',
    subject: 'purge_carts',
    message: 'A scheduled event is copied but stays disabled on the target until primary traffic is switched.',
    fix: 'Nothing to do.',
  },
];

const STAND_IN_FACTS = {
  source: { flavor: 'mariadb', version: '10.11.14-MariaDB-log', serverUuid: '0-1-0' },
  target: { flavor: 'mysql', version: '9.7.4', serverUuid: '3f1b6a3e-9f0e-11f0-8b55-0242ac110002' },
} as const;

export function standInImport(
  request: Pick<ImportRequest, 'id'> & Partial<ImportRequest> & { actor?: string },
): ImportView {
  const nowMs = Date.now();
  const { host = 'db1.old.example', port = 3306, user = 'switchyard' } = request.source ?? {};
  return {
    id: request.id,
    phase: 'pending',
    database: request.database ?? 'shop',
    source: { host, port, user, facts: STAND_IN_FACTS.source },
    target: { host: 'mysql.new.example', port: 3306, user: 'switchyard', facts: STAND_IN_FACTS.target },
    replicaHost: request.replicaHost ?? null,
    tables: STAND_IN_TABLES.map(([name, rowsTotal]) => ({
      name,
      rowsTotal,
      rowsCopied: 0,
      state: 'waiting',
      etaMs: null,
    })),
    streams: [
      {
        direction: 'forward',
        state: 'stopped',
        lagMs: null,
        position: null,
        transactionsApplied: 0,
        rowChangesApplied: 0,
      },
      {
        direction: 'reverse',
        state: 'stopped',
        lagMs: null,
        position: null,
        transactionsApplied: 0,
        rowChangesApplied: 0,
      },
    ],
    verify: null,
    strayWrites: null,
    conflicts: null,
    traffic: { primary: 'source', replica: 'source', epoch: 1 },
    switches: [],
    findings: FINDINGS,
    options: request.options ?? importOptionsSchema.parse({}),
    error: null,
    createdAtMs: nowMs,
    createdBy: request.actor ?? 'api',
    updatedAtMs: nowMs,
    copy: { rows: 0, bytes: 0, startedAtMs: null, finishedAtMs: null },
  };
}

/** Puts an import into a phase at once, with everything that the phase implies. */
export function moveTo(view: ImportView, phase: Phase): void {
  view.phase = phase;
  const copying = phase === 'pending' || phase === 'copying';
  if (!copying) finishCopy(view);
  const nowMs = Date.now();
  if (phase === 'copying') view.copy.startedAtMs ??= nowMs;
  const ended = phase === 'completed' || phase === 'cancelled';
  const forward = !copying && !ended && phase !== 'switched_primaries';
  setStream(view, 'forward', forward);
  setStream(view, 'reverse', !copying && !ended);
  if (phase === 'switched_replicas') view.traffic = { ...view.traffic, replica: 'target' };
  if (phase === 'switched_primaries' || phase === 'completed')
    view.traffic = { ...view.traffic, primary: 'target', replica: 'target' };
}

function setStream(view: ImportView, direction: 'forward' | 'reverse', running: boolean): void {
  const stream = view.streams.find((candidate) => candidate.direction === direction);
  if (stream === undefined) return;
  stream.state = running ? 'running' : 'stopped';
  stream.lagMs = running ? 12 : null;
  stream.position = running ? '0-1-4711' : null;
}

function finishCopy(view: ImportView): void {
  for (const table of view.tables) finishTable(table);
  view.copy.rows = view.tables.reduce((sum, table) => sum + table.rowsTotal, 0);
  view.copy.bytes = view.copy.rows * 180;
  view.copy.startedAtMs ??= view.createdAtMs;
  view.copy.finishedAtMs ??= Date.now();
}

export function finishTable(table: TableView): void {
  table.state = 'copied';
  table.rowsCopied = table.rowsTotal;
  table.etaMs = null;
}
