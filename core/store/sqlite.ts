import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../errors.ts';
import type { StateStore, Versioned } from './state-store.ts';

interface Row {
  key: string;
  value: string;
  revision: number;
}

/**
 * The embedded store: one file in the data directory, opened by the supervisor alone. `synchronous=FULL`, since the
 * decision of a switch is a row here and must survive a power cut.
 */
export class SqliteStore implements StateStore, Disposable {
  readonly #db: DatabaseSync;
  readonly #onChange: (key: string, value: unknown) => void;

  constructor(file: string, onChange: (key: string, value: unknown) => void = () => {}) {
    // The supervisor that this one takes over from may be closing it at this moment.
    this.#db = new DatabaseSync(file, { timeout: 5000 });
    this.#onChange = onChange;
    this.#db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA secure_delete = ON;
      CREATE TABLE IF NOT EXISTS document (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL) STRICT;
      INSERT OR IGNORE INTO revision VALUES (1, 0);
    `);
  }

  async get(key: string): Promise<Versioned | undefined> {
    const row = this.#db.prepare('SELECT key, value, revision FROM document WHERE key = ?').get(key);
    return row === undefined ? undefined : versioned(row as unknown as Row);
  }

  async list(prefix: string): Promise<Versioned[]> {
    const rows = this.#db
      .prepare('SELECT key, value, revision FROM document WHERE substr(key, 1, length(?)) = ? ORDER BY key')
      .all(prefix, prefix);
    return rows.map((row) => versioned(row as unknown as Row));
  }

  async compareAndSet(key: string, expected: number | null, value: unknown): Promise<number> {
    const text = JSON.stringify(value);
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const next = Number(this.#db.prepare('UPDATE revision SET last = last + 1 RETURNING last').get()?.['last']);
      const result =
        expected === null
          ? this.#db.prepare('INSERT OR IGNORE INTO document VALUES (?, ?, ?)').run(key, text, next)
          : this.#db
              .prepare('UPDATE document SET value = ?, revision = ? WHERE key = ? AND revision = ?')
              .run(text, next, key, expected);
      if (result.changes !== 1) {
        throw new AppError('STORE_CONFLICT', `${key} was changed by somebody else in the meantime`, {
          details: { key },
        });
      }
      this.#db.exec('COMMIT');
      this.#onChange(key, value);
      return next;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      if (error instanceof AppError) throw error;
      throw new AppError('DATA_DIR_UNUSABLE', `the state cannot be stored: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  async delete(key: string): Promise<void> {
    this.#db.prepare('DELETE FROM document WHERE key = ?').run(key);
    // A deleted secret must not stay readable in the write-ahead log (I10).
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    this.#onChange(key, undefined);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

function versioned({ key, value, revision }: Row): Versioned {
  return { key, value: JSON.parse(value), revision };
}
