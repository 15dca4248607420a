import { randomInt } from 'node:crypto';
import type { ImportView } from '../../engine/api.ts';
import type { StandInBackend } from './stand-in-backend.ts';
import { finishTable } from './stand-in-import.ts';

/** Moves every import of the stand-in on by `elapsedMs`: copies, replicates, verifies. */
export function play(backend: StandInBackend, elapsedMs: number): void {
  for (const view of backend.engine.imports.values()) {
    if (view.phase === 'completed' || view.phase === 'cancelled' || view.phase === 'error') continue;
    if (view.phase === 'copying') copySome(backend, view, elapsedMs);
    if (view.verify?.state === 'running') verifySome(backend, view, elapsedMs);
    replicate(view);
    backend.engine.changed(view);
  }
}

function copySome(backend: StandInBackend, view: ImportView, elapsedMs: number): void {
  view.copy.startedAtMs ??= Date.now();
  const open = view.tables.filter(({ state }) => state !== 'copied');
  for (const table of open.slice(0, 3)) {
    const rows = Math.round((220 * elapsedMs) / Math.min(3, open.length));
    table.state = 'copying';
    table.rowsCopied = Math.min(table.rowsTotal, table.rowsCopied + rows);
    table.etaMs = ((table.rowsTotal - table.rowsCopied) / rows) * elapsedMs;
    if (table.rowsCopied < table.rowsTotal) continue;
    finishTable(table);
    backend.log(view.id, `copied ${table.name}: ${table.rowsTotal} rows`);
  }
  view.copy.rows = view.tables.reduce((sum, table) => sum + table.rowsCopied, 0);
  view.copy.bytes = view.copy.rows * 180;
  if (view.tables.some(({ state }) => state !== 'copied')) return;
  backend.engine.move(view, 'running');
  backend.log(view.id, 'copy finished; replicating both ways');
}

function verifySome(backend: StandInBackend, view: ImportView, elapsedMs: number): void {
  const { verify } = view;
  if (verify === null) return;
  let chunks = Math.max(1, Math.round(elapsedMs / 8));
  for (const table of verify.tables) {
    const step = Math.min(chunks, table.chunksTotal - table.chunksDone);
    if (step === 0) continue;
    chunks -= step;
    table.chunksDone += step;
    table.rows = Math.round(((rowsOf(view, table.name) ?? 0) * table.chunksDone) / table.chunksTotal);
    table.state = table.chunksDone === table.chunksTotal ? 'equal' : 'verifying';
  }
  verify.rows = verify.tables.reduce((sum, { rows }) => sum + rows, 0);
  if (verify.tables.some(({ state }) => state !== 'equal')) return;
  verify.state = 'equal';
  verify.finishedAtMs = Date.now();
  if (view.phase === 'verifying_data') backend.engine.move(view, 'verified_data');
  backend.log(view.id, `verified ${verify.rows} rows: equal`);
}

function rowsOf(view: ImportView, name: string): number | undefined {
  return view.tables.find((table) => table.name === name)?.rowsTotal;
}

function replicate(view: ImportView): void {
  for (const stream of view.streams) {
    if (stream.state !== 'running') continue;
    const busy = stream.direction === (view.traffic.primary === 'source' ? 'forward' : 'reverse');
    stream.lagMs = busy ? randomInt(6, 40) + (randomInt(20) === 0 ? 180 : 0) : randomInt(1, 6);
    if (!busy) continue;
    stream.transactionsApplied += randomInt(40, 90);
    stream.rowChangesApplied += randomInt(120, 300);
    stream.position = `0-1-${4711 + stream.transactionsApplied}`;
  }
}
