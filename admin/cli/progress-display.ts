import type { ImportView } from '../../engine/api.ts';
import { Pace } from './pace.ts';
import { progressFrame, progressLine } from './progress.ts';

/** How often a line is written where nobody watches a terminal; a new phase is told at once. */
const LINE_EVERY_MS = 5000;

/** Shows progress on stderr: bars redrawn in place on a terminal, else a line now and then; nothing with `silent`. */
export class ProgressDisplay {
  readonly #silent: boolean;
  readonly #pace = new Pace();
  #linesDrawn = 0;
  #lastPhase = '';
  #lastLineMs = -Infinity;

  constructor({ silent }: { silent: boolean }) {
    this.#silent = silent;
  }

  show(view: ImportView): void {
    if (this.#silent) return;
    this.#pace.add(view.tables.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0));
    if (process.stderr.isTTY) this.#draw(view);
    else this.#line(view);
  }

  #draw(view: ImportView): void {
    const { columns, rows } = process.stderr;
    // A terminal that does not tell its size says 0.
    const lines = progressFrame(view, { columns: columns || 80, rows: rows || 24, etaMs: this.#etaMs(view) });
    const up = this.#linesDrawn === 0 ? '' : `\u001b[${this.#linesDrawn}A`;
    process.stderr.write(`${up}\r\u001b[J${lines.join('\n')}\n`);
    this.#linesDrawn = lines.length;
  }

  #line(view: ImportView): void {
    const nowMs = performance.now();
    if (view.phase === this.#lastPhase && nowMs - this.#lastLineMs < LINE_EVERY_MS) return;
    this.#lastPhase = view.phase;
    this.#lastLineMs = nowMs;
    process.stderr.write(`${progressLine(view, this.#etaMs(view))}\n`);
  }

  /** The tables' own estimates do not add up, since they are copied side by side. */
  #etaMs({ tables }: ImportView): number | null {
    return this.#pace.etaMs(
      tables.reduce((sum, { rowsCopied, rowsTotal }) => sum + Math.max(0, rowsTotal - rowsCopied), 0),
    );
  }
}
