import type { ConflictsView } from '../api.ts';
import type { ApplyWindow } from '../apply/window.ts';
import type { ImportWorld } from '../import-world.ts';
import { createSidecar } from '../sidecar.ts';
import { CONFLICTS_DDL, countConflicts, type ConflictCounts } from './conflicts.ts';

const WINDOW_MS = 1000;
const LINES_MAX = 3;

/** Counts what testers have lost, and says so: a few lines a second at most. */
export class ConflictWatch {
  readonly #world: Pick<ImportWorld, 'connect' | 'record' | 'log' | 'changed'>;
  #counts: ConflictCounts = { count: 0, lastAtMs: null };
  #windowFromMs = 0;
  #lines = 0;

  constructor(world: Pick<ImportWorld, 'connect' | 'record' | 'log' | 'changed'>) {
    this.#world = world;
  }

  view(): ConflictsView {
    return this.#counts;
  }

  /** Before anything is applied: the table is there, and what it holds is counted. */
  async prepare(): Promise<void> {
    await using target = await this.#world.connect('target');
    await createSidecar(target, [CONFLICTS_DDL]);
    this.#counts = await countConflicts(target, this.#world.record.document.id);
  }

  raise(lost: ApplyWindow['lost']): void {
    const now = Date.now();
    const rows = lost.reduce((sum, { statements }) => sum + statements.length, 0);
    this.#counts = { count: this.#counts.count + rows, lastAtMs: now };
    if (now - this.#windowFromMs > WINDOW_MS) {
      this.#windowFromMs = now;
      this.#lines = 0;
    }
    for (const { gtid, reason, statements } of lost) {
      this.#lines += 1;
      if (this.#lines > LINES_MAX) break;
      this.#world.log(
        'error',
        `a write on the target lost against the source: ${reason}; kept in _switchyard.conflicts on the target`,
        { gtid, changes: statements.length },
      );
    }
    this.#world.changed();
  }
}
