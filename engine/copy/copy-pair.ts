import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition, ServerFacts } from '../api.ts';
import { isHarmlessWarning } from '../schema/harmless-warning.ts';
import type { Table } from '../schema/table.ts';
import { ServerConnection, type Bytes, type OpenOptions } from '../server/connection.ts';
import type { Chunk } from './chunk.ts';
import type { CopyRun } from './copy-run.ts';
import { insertMarker, landedChunk, type LandedChunk } from './copy-chunks-table.ts';
import { selectRows } from './select-rows.ts';
import { stamped } from './source-stamp.ts';
import type { TablePlan } from './table-plan.ts';
import { typedJsonStatements } from './typed-json.ts';

const READER_SESSION: Record<ServerFacts['flavor'], Bytes> = {
  mysql: 'SET SESSION max_execution_time = 0',
  mariadb: 'SET SESSION max_statement_time = 0',
};

/** Counts of LOAD DATA are read from its message; impossible dates that the source holds are kept as they are. */
const LOADER_SESSION: Bytes =
  "SET SESSION autocommit = 0, foreign_key_checks = 0, unique_checks = 1, lc_messages = 'en_US', sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

export interface ChunkCopy {
  plan: TablePlan;
  chunk: Chunk;
  run: CopyRun;
  /** It was tried before. */
  again: boolean;
}

/** A connection that reads from the source and one that writes to the target: what one worker of the copy needs. */
export class CopyPair {
  readonly reader: ServerConnection;
  readonly loader: ServerConnection;
  readonly #flavor: ServerFacts['flavor'];

  private constructor(reader: ServerConnection, loader: ServerConnection, flavor: ServerFacts['flavor']) {
    this.reader = reader;
    this.loader = loader;
    this.#flavor = flavor;
  }

  static async open(
    source: ServerDefinition,
    target: ServerDefinition,
    flavor: ServerFacts['flavor'],
    options: Pick<OpenOptions, 'silenceMs'> = {},
  ): Promise<CopyPair> {
    const reader = await ServerConnection.open(source, { ...options, session: [READER_SESSION[flavor]] });
    try {
      return new CopyPair(
        reader,
        await ServerConnection.open(target, { ...options, session: [LOADER_SESSION] }),
        flavor,
      );
    } catch (error) {
      reader.destroy();
      throw error;
    }
  }

  /**
   * Reads the chunk and lands its rows and its marker in one transaction. `again`: it was tried before, and may have
   * landed although the answer to COMMIT was lost, so its marker is looked for first. After a rejection the pair is of
   * no use any more.
   */
  async copy(importId: string, table: Table, { plan, chunk, run, again }: ChunkCopy): Promise<LandedChunk> {
    await run.hold(this.loader);
    if (again) {
      const landed = await landedChunk(this.loader, importId, table.name, chunk.seq);
      if (landed !== undefined) {
        await this.loader.write('COMMIT');
        return landed;
      }
    }
    const load = plan.load(this.loader, this.reader);
    try {
      await load.opened();
      const stamp = await stamped(this.reader, this.#flavor, async () => {
        await Promise.race([selectRows(this.reader, plan.select(chunk), load), load.failed]);
      });
      const landed = { ...chunk, ...(await load.finish()) };
      await this.#restoreTypes(table, chunk);
      await this.loader.write(insertMarker(importId, table.name, landed, stamp));
      await failpoint('copy.chunk_written');
      await this.loader.write('COMMIT');
      return landed;
    } finally {
      load.abandon();
    }
  }

  /** What JSON documents hold that their text does not say. */
  async #restoreTypes(table: Table, chunk: Chunk): Promise<void> {
    for (const statement of await typedJsonStatements(this.reader, table, chunk)) {
      const { warnings } = await this.loader.write(statement);
      const texts = warnings === 0 ? [] : await this.loader.warnings(warnings);
      const serious = texts.filter((text) => !isHarmlessWarning(text));
      if (serious.length > 0)
        throw new AppError(
          'COPY_VALUE_REFUSED',
          `${table.schema}.${table.name}: the target warned: ${serious.join('; ')}`,
        );
    }
  }

  destroy(): void {
    this.reader.destroy();
    this.loader.destroy();
  }
}
