import { AppError, assert } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition } from '../api.ts';
import { escapeBytes, textOf, ServerConnection, errnoOf, type Bytes, type Value } from '../server/connection.ts';
import type { ProgressRow } from '../sidecar.ts';
import type { Table } from '../schema/table.ts';
import type { ApplyWindow, FinalState, TableWindow } from './window.ts';
import { windowStatements } from './statements.ts';

const DEADLOCK = 1213;
const LOCK_WAIT_TIMEOUT = 1205;
const RETRIES_MAX = 10;

/** Statements sent together; below the smallest usual max_allowed_packet. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

export interface ApplierOptions {
  destination: ServerDefinition;
  progress: ProgressRow;
}

/**
 * Writes windows to the destination: one transaction each, with the progress row in it (I3). A window is idempotent
 * (full images by key), so one whose COMMIT had no answer may be applied again from the durable position.
 */
export class Applier implements AsyncDisposable {
  readonly #connection: ServerConnection;
  readonly #progress: ProgressRow;
  readonly #owner: string;
  /** Where the durable progress stood when this applier took over. */
  readonly startPosition: string;

  private constructor(connection: ServerConnection, progress: ProgressRow, owner: string, startPosition: string) {
    this.#connection = connection;
    this.#progress = progress;
    this.#owner = owner;
    this.startPosition = startPosition;
  }

  static async open({ destination, progress }: ApplierOptions): Promise<Applier> {
    const connection = await ServerConnection.open(destination, {
      multiStatements: true,
      session: [
        "SET SESSION foreign_key_checks=0, unique_checks=1, sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
      ],
    });
    try {
      const { owner, position } = await progress.claim(connection);
      return new Applier(connection, progress, owner, position);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Applies the window and makes `position` durable with it. */
  async apply(window: ApplyWindow, position: string): Promise<void> {
    const statements = windowStatements(window.tables.values());
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#transaction(statements, position, window);
        return;
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'SERVER_GONE') throw error;
        await this.#connection.write('ROLLBACK');
        const errno = errnoOf(error);
        if ((errno === DEADLOCK || errno === LOCK_WAIT_TIMEOUT) && attempt < RETRIES_MAX) continue;
        throw error;
      }
    }
  }

  async #transaction(statements: Bytes[], position: string, window: ApplyWindow): Promise<void> {
    const progress = this.#progress.updateStatement(this.#owner, position, window.lastCommittedAtMs);
    let batch: Bytes[] = ['BEGIN'];
    let bytes = 0;
    for (const statement of [...statements, progress]) {
      if (bytes > 0 && bytes + statement.length > BATCH_BYTES_MAX) {
        await this.#run(batch, window);
        batch = [];
        bytes = 0;
      }
      batch.push(statement);
      bytes += statement.length;
    }
    const results = await this.#run(batch, window);
    if (results.at(-1)?.affectedRows !== 1) {
      throw new AppError('STREAM_TAKEN_OVER', 'the progress row has another owner: another engine applies this stream');
    }
    await failpoint('apply.before_commit');
    await this.#connection.write('COMMIT');
    await failpoint('apply.after_commit');
  }

  async #run(batch: Bytes[], window: ApplyWindow) {
    const results = await this.#connection.batch(batch);
    // sql_mode is not strict, so that zero dates and ENUM index 0 pass: a warning is then the only sign of a value that
    // was changed on its way (I4).
    if (results.some(({ warnings }) => warnings > 0)) await this.#findRefusedRow(window);
    return results;
  }

  /** Applies the window row by row inside the open transaction, to name the row that the server warns about. */
  async #findRefusedRow(window: ApplyWindow): Promise<void> {
    for (const { table, rows } of window.tables.values()) {
      for (const state of rows.values()) {
        const one: TableWindow = { table, rows: new Map([['', state]]) };
        for (const statement of windowStatements([one])) {
          const { warnings } = await this.#connection.write(statement);
          if (warnings === 0) continue;
          const texts = (await this.#connection.warnings()).filter((text) => !isHarmless(text, table, state));
          if (texts.length === 0) continue;
          throw new AppError(
            'APPLY_VALUE_REFUSED',
            `${table.schema}.${table.name}, row ${describeKey(state.key)}: ${texts.join('; ')}`,
            {
              details: { table: table.name, key: describeKey(state.key), warnings: texts },
            },
          );
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}

/**
 * Notes that say nothing about the value (deprecated syntax, collation aliases), and 1265 for index 0 of an ENUM, which
 * some definitions take only as the bare number that draws it (see `literal`).
 */
function isHarmless(warning: string, { columns }: Table, { image }: FinalState): boolean {
  if (/^(1287|3719|3778|1681):/.test(warning)) return true;
  const name = /^1265: Data truncated for column '(.*)' at row/.exec(warning)?.[1];
  const index = columns.findIndex((column) => column.name === name);
  return columns[index]?.dataType === 'enum' && image?.[index] === '0';
}

/** A key for people: at most 64 bytes of each part. */
export function describeKey(values: Value[]): string {
  assert(values.length > 0, 'a key has parts');
  return `(${values.map((value) => (value === null ? 'NULL' : textOf(escapeBytes(value.slice(0, 64))))).join(', ')})`;
}
