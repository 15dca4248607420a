import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { LogEntry } from './backend.ts';
import { redact } from '../core/redact.ts';

/** Rows of no import are kept under the empty name, which no import can have. */
const NO_IMPORT = '';
/** How many lines over the limit may pile up before the oldest are deleted: a delete for every line would be slow. */
const SLACK = 500;

/**
 * The last log lines of every import, in a file of their own so that they are there after a restart and that losing
 * the file loses nothing else. `synchronous=OFF`: a power cut may cost the last lines, and must not slow anything.
 */
export class LogStore implements Disposable {
  readonly #db: DatabaseSync;
  readonly #linesMax: number;
  readonly #insert: StatementSync;
  readonly #newest: StatementSync;
  readonly #trim: StatementSync;
  readonly #sinceTrim = new Map<string, number>();

  /** `:memory:` as the file keeps nothing. */
  constructor(file: string, { linesMax = 5000 }: { linesMax?: number } = {}) {
    this.#linesMax = linesMax;
    this.#db = new DatabaseSync(file, { timeout: 5000 });
    this.#db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS log (
        seq INTEGER PRIMARY KEY,
        import_id TEXT NOT NULL,
        entry TEXT NOT NULL
      ) STRICT;
      CREATE INDEX IF NOT EXISTS log_by_import ON log (import_id, seq);
    `);
    this.#insert = this.#db.prepare('INSERT INTO log (import_id, entry) VALUES (?, ?)');
    this.#newest = this.#db.prepare('SELECT entry FROM log WHERE import_id = ? ORDER BY seq DESC LIMIT ?');
    this.#trim = this.#db.prepare(`
      DELETE FROM log WHERE import_id = ?1 AND seq <=
        (SELECT seq FROM log WHERE import_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)
    `);
  }

  append(entry: LogEntry): void {
    const importId = entry.importId ?? NO_IMPORT;
    this.#insert.run(importId, JSON.stringify(redact(entry)));
    const since = (this.#sinceTrim.get(importId) ?? SLACK) + 1;
    if (since > SLACK) this.#trim.run(importId, this.#linesMax);
    this.#sinceTrim.set(importId, since > SLACK ? 0 : since);
  }

  /** The newest `limit` lines, oldest first. */
  read(importId: string | null, { limit }: { limit: number }): LogEntry[] {
    const rows = this.#newest.all(importId ?? NO_IMPORT, Math.min(limit, this.#linesMax));
    return rows.map((row) => JSON.parse(String(row['entry'])) as LogEntry).reverse();
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
