import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { PHASES } from '../core/phase.ts';
import type { ImportView } from './api.ts';

/** The engine's Prometheus metrics, filled from the public views when they are asked for. */
export class EngineMetrics {
  readonly #registry = new Registry();
  readonly #phase = this.#gauge('switchyard_import_phase', '1 for the current phase of the import', [
    'import',
    'phase',
  ]);
  readonly #rows = this.#gauge('switchyard_copy_rows', 'Rows copied', ['import', 'table']);
  readonly #lag = this.#gauge(
    'switchyard_replication_lag_seconds',
    'From commit at the origin to now, of the oldest transaction not applied',
    ['import', 'direction'],
  );
  readonly #transactions = this.#gauge('switchyard_replication_transactions_applied', 'Since the engine started', [
    'import',
    'direction',
  ]);
  readonly #changes = this.#gauge('switchyard_replication_row_changes_applied', 'Since the engine started', [
    'import',
    'direction',
  ]);
  readonly #strays = new Counter({
    name: 'switchyard_stray_writes_total',
    help: 'Row changes that reached the old primary after a switch',
    labelNames: ['import'],
    registers: [this.#registry],
  });
  readonly #straysLeft = this.#gauge('switchyard_stray_writes_unapplied', 'Of them, not applied to the new primary', [
    'import',
  ]);
  readonly #conflicts = new Counter({
    name: 'switchyard_conflicts_total',
    help: 'Row changes on the target that lost against the source',
    labelNames: ['import'],
    registers: [this.#registry],
  });

  readonly #waiting = this.#gauge(
    'switchyard_verification_rows_waiting',
    'Rows written since they were compared, and not compared again yet',
    ['import'],
  );
  readonly #differing = this.#gauge('switchyard_verification_differing_rows', 'Found by the last verification', [
    'import',
  ]);

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  async text(views: ImportView[]): Promise<string> {
    for (const gauge of [
      this.#phase,
      this.#rows,
      this.#lag,
      this.#transactions,
      this.#changes,
      this.#strays,
      this.#straysLeft,
      this.#waiting,
      this.#differing,
      this.#conflicts,
    ])
      gauge.reset();
    for (const view of views) {
      const labels = { import: view.id };
      for (const phase of PHASES) this.#phase.set({ ...labels, phase }, phase === view.phase ? 1 : 0);
      for (const { name, rowsCopied } of view.tables) this.#rows.set({ ...labels, table: name }, rowsCopied);
      if (view.strayWrites !== null) {
        this.#strays.inc(labels, view.strayWrites.count);
        this.#straysLeft.set(labels, view.strayWrites.unapplied);
      }
      if (view.verify !== null) {
        this.#differing.set(
          labels,
          view.verify.tables.reduce((sum, { differencesTotal }) => sum + differencesTotal, 0),
        );
        if (view.verify.recheck !== null) this.#waiting.set(labels, view.verify.recheck.keys);
      }
      if (view.conflicts !== null) this.#conflicts.inc(labels, view.conflicts.count);
      for (const { direction, lagMs, transactionsApplied, rowChangesApplied } of view.streams) {
        if (lagMs !== null) this.#lag.set({ ...labels, direction }, lagMs / 1000);
        this.#transactions.set({ ...labels, direction }, transactionsApplied);
        this.#changes.set({ ...labels, direction }, rowChangesApplied);
      }
    }
    return await this.#registry.metrics();
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }
}
