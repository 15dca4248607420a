import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition } from '../api.ts';
import { ServerConnection, type Bytes } from '../server/connection.ts';
import { takenOver, type ClaimedProgress, type DurablePosition, type ProgressRow } from '../sidecar.ts';
import { openDestination } from './destination-connection.ts';
import { sharesOf } from './lane-split.ts';
import { Lanes } from './lanes.ts';
import { LargeTransaction } from './large-transaction.ts';
import type { ApplyMode } from './table-statements.ts';
import type { ApplyWindow } from './window.ts';
import { isDeadlock, isLocked, lockedOut, nextWay, writeShares, type WriteWay } from './window-writer.ts';

const RETRIES_MAX = 10;
const RETRY_JITTER_MS = 50;
/** So many windows go the way that one had to go before the fast one is tried again. */
const WAY_KEPT_WINDOWS = 20;

export interface ApplierOptions {
  origin: ServerDefinition;
  destination: ServerDefinition;
  progress: ProgressRow;
  /** See `OpenOptions`. */
  silenceMs?: number | undefined;
  /** Testers write on the destination: a row in the way may come after those in the way were looked for. */
  othersWrite?: boolean;
}

/** The position becomes durable with the window. */
export interface ApplyOptions extends DurablePosition {
  mode: ApplyMode;
  /** Side by side on several connections, while nobody is told that the destination is consistent. */
  inLanes?: boolean;
}

/**
 * Writes windows to the destination: one transaction each, or one in each lane, with the progress row in it (I3). The
 * progress row comes first: from then on no other engine writes, and a stream in the other direction knows before any row
 * that the transaction is ours (I7). A window is idempotent (full images by key), so one whose COMMIT had no answer may
 * be applied again from the durable position.
 */
export class Applier implements AsyncDisposable {
  readonly #connection: ServerConnection;
  readonly #options: ApplierOptions;
  readonly #owner: string;
  /** Where the durable progress stood when this applier took over. */
  readonly start: DurablePosition;
  /** Where lanes stood then: see `ClaimedProgress`. */
  readonly lanePositions: readonly string[];
  #lanes: Lanes | undefined;
  #way: WriteWay = 'fast';
  #wayKeptWindows = 0;

  private constructor(
    connection: ServerConnection,
    options: ApplierOptions,
    { owner, lanePositions, ...start }: ClaimedProgress,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#owner = owner;
    this.start = start;
    this.lanePositions = lanePositions;
  }

  static async open(options: ApplierOptions): Promise<Applier> {
    const connection = await openDestination(options.destination, options.silenceMs);
    try {
      return new Applier(connection, options, await options.progress.claim(connection));
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /**
   * Rejects with STREAM_TAKEN_OVER, SERVER_GONE, or with an APPLY_… error that names the row; nothing of the window is
   * on the destination then, unless the connection was lost.
   */
  async apply(window: ApplyWindow, options: ApplyOptions): Promise<void> {
    if (options.inLanes === true && (await this.#applyInLanes(window, options))) return;
    await this.#applyAlone(window, options);
  }

  /** Makes a position durable together with what `statements` say about it. */
  async note(durable: DurablePosition, committedAtMs: number, statements: Bytes[]): Promise<void> {
    const progress = this.#options.progress.updateStatement(this.#owner, durable, committedAtMs);
    const results = await this.#connection.batch(['BEGIN', progress, ...statements]);
    if (results[1]?.affectedRows !== 1) throw takenOver();
    await this.#connection.write('COMMIT');
  }

  /** Repeats `work` in one transaction until it has changed no row. */
  async repeat(durable: DurablePosition, work: (connection: ServerConnection) => Promise<number>): Promise<void> {
    const progress = this.#options.progress.updateStatement(this.#owner, durable, Date.now());
    const begun = await this.#connection.batch(['BEGIN', progress]);
    if (begun.at(-1)?.affectedRows !== 1) throw takenOver();
    for (let changed = 1; changed > 0;) changed = await work(this.#connection);
    await this.#connection.write('COMMIT');
  }

  /** Begins the transaction that takes the parts of a large one of the origin; the position becomes durable with its end. */
  async beginLarge(durable: DurablePosition, committedAtMs: number, mode: ApplyMode): Promise<LargeTransaction> {
    return await LargeTransaction.begin({
      connection: this.#connection,
      progress: this.#options.progress.updateStatement(this.#owner, durable, committedAtMs),
      mode,
      origin: this.#openOrigin,
    });
  }

  /** Closes the connections of the lanes, which are only needed while catching up. */
  async endLanes(): Promise<void> {
    await this.#lanes?.close();
    this.#lanes = undefined;
  }

  /** False where something was refused or locked, and all of it was undone: the window is to be applied alone. */
  async #applyInLanes(window: ApplyWindow, { mode, ...durable }: ApplyOptions): Promise<boolean> {
    if (this.#way !== 'fast') return false;
    const { destination, progress } = this.#options;
    this.#lanes ??= await Lanes.open({ destination, progress, first: this.#connection, owner: this.#owner });
    return await this.#lanes.apply({
      shares: sharesOf(window),
      lost: lostStatements(window),
      mode,
      durable,
      committedAtMs: window.lastCommittedAtMs,
      origin: this.#openOrigin,
    });
  }

  async #applyAlone(window: ApplyWindow, { mode, ...durable }: ApplyOptions): Promise<void> {
    const shares = sharesOf(window);
    const progress = this.#options.progress.updateStatement(this.#owner, durable, window.lastCommittedAtMs);
    const connection = this.#connection;
    // The progress row is the last of them: its count tells whether we own the stream.
    const begin = ['BEGIN', ...lostStatements(window), progress];
    let way = this.#way;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await writeShares({ connection, begin, isClaimed: true, shares, mode, way, origin: this.#openOrigin });
        await failpoint('apply.before_commit');
        await connection.write('COMMIT');
        await failpoint('apply.after_commit');
        this.#keepWay(way);
        return;
      } catch (error) {
        if (connection.broken) throw error;
        await connection.write('ROLLBACK');
        const next = nextWay(error, way, mode);
        if (next !== null) way = next;
        else if ((isDeadlock(error) || this.#isOvertaken(error, way)) && attempt < RETRIES_MAX)
          await delay(Math.random() * RETRY_JITTER_MS);
        // A backup, say: in a session of its own it is tried again for as long as it takes, and people hear of it.
        else throw isLocked(error) ? lockedOut(error) : error;
      }
    }
  }

  /** Looked for again, the row that came is found. Nobody else writes where this could hide a row of ours. */
  #isOvertaken(error: unknown, way: WriteWay): boolean {
    const isConflict = error instanceof AppError && error.code === 'APPLY_ROW_CONFLICT';
    return this.#options.othersWrite === true && way === 'resolve' && isConflict;
  }

  /** What one window needed, the next ones probably need too. */
  #keepWay(way: WriteWay): void {
    if (way !== this.#way) this.#wayKeptWindows = WAY_KEPT_WINDOWS;
    else this.#wayKeptWindows -= 1;
    this.#way = this.#wayKeptWindows > 0 ? way : 'fast';
  }

  readonly #openOrigin = async (): Promise<ServerConnection> => await ServerConnection.open(this.#options.origin);

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endLanes();
    await this.#connection.close();
  }
}

function lostStatements({ lost }: ApplyWindow): Bytes[] {
  return lost.flatMap(({ statements }) => statements);
}
