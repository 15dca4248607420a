import { AppError, assert } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition } from '../api.ts';
import { errnoOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { takenOver, type DurablePosition, type ProgressRow } from '../sidecar.ts';
import { openDestination } from './destination-connection.ts';
import { splitShares } from './lane-split.ts';
import type { ApplyMode, TableShare } from './table-statements.ts';
import { FastWriteRefused, isLocked, writeShares } from './window-writer.ts';

/** Connections that write one window side by side, the applier's own included. */
const LANES = 4;

export interface LanesOptions {
  destination: ServerDefinition;
  progress: ProgressRow;
  /** The applier's own connection: the lane that commits last. */
  first: ServerConnection;
  owner: string;
}

export interface LaneWindow {
  shares: readonly TableShare[];
  /** Written with the lane that commits last. */
  lost: readonly Bytes[];
  mode: ApplyMode;
  durable: DurablePosition;
  committedAtMs: number;
  origin: () => Promise<ServerConnection>;
}

/**
 * One window in several transactions, for catching up: readers may see a part of it, so nobody is told a position of it
 * before all of it is there.
 *
 * Every lane writes its share behind a progress row of its own. When all have written, all but the first commit, then the
 * first, and with it the position of the window in the progress row proper. So that row is never ahead of applied data
 * (I3), and is exact after every window. A crash between the commits leaves lanes ahead of it: their own rows say how
 * far. The window is then replayed, as a whole or in other windows, and until the stream is past what the lanes' rows say
 * nobody is told that anything is applied.
 *
 * A second engine takes over the rows of all lanes in one transaction (`ProgressRow.claim`), which waits for those that
 * have begun; whatever lane of ours begins later changes no row, and gives up.
 */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #others: readonly ServerConnection[];

  private constructor(options: LanesOptions, others: readonly ServerConnection[]) {
    this.#options = options;
    this.#others = others;
  }

  static async open(options: LanesOptions): Promise<Lanes> {
    const { progress, first, owner, destination } = options;
    const opened = await Promise.allSettled(Array.from({ length: LANES - 1 }, () => openDestination(destination)));
    const others = opened.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
    const failed = opened.find((result) => result.status === 'rejected');
    const lanes = new Lanes(options, others);
    try {
      if (failed !== undefined) throw failed.reason;
      const ids = others.map(({ threadId }) => threadId);
      await progress.makeLanes(first, owner, ids);
      return lanes;
    } catch (error) {
      await lanes.close();
      throw error;
    }
  }

  /** False: some lane was refused or locked out, and everything is undone. */
  async apply(window: LaneWindow): Promise<boolean> {
    const { progress, first, owner } = this.#options;
    const [own = [], ...rest] = splitShares(window.shares, LANES);
    const lanes = rest.flatMap((shares, index) => {
      const connection = this.#others[index];
      assert(connection !== undefined, 'there is a connection for each lane');
      return shares.length === 0 ? [] : [{ lane: index + 1, connection, shares }];
    });
    const { mode, durable, origin } = window;
    const common = { isClaimed: true, mode, way: 'fast', origin } as const;
    const written = await Promise.allSettled([
      writeShares({
        ...common,
        connection: first,
        begin: ['BEGIN', ...window.lost, progress.touchStatement(owner)],
        shares: own,
      }),
      ...lanes.map(({ lane, connection, shares }) =>
        writeShares({
          ...common,
          connection,
          begin: ['BEGIN', progress.laneStatement(owner, lane, durable.position)],
          shares,
        }),
      ),
    ]);
    const failed = written.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
    if (failed.length > 0) {
      await this.#rollBack(failed, [first, ...lanes.map(({ connection }) => connection)]);
      return false;
    }
    await failpoint('lanes.written');
    await Promise.all(lanes.map(({ connection }) => commit(connection)));
    await failpoint('lanes.committed');
    const { affectedRows } = await first.write(progress.updateStatement(owner, durable, window.committedAtMs));
    if (affectedRows !== 1) throw takenOver();
    await commit(first);
    await failpoint('lanes.ended');
    return true;
  }

  async close(): Promise<void> {
    await Promise.all(this.#others.map((connection) => connection.close()));
  }

  /** Nothing has been committed. What rows and locks refuse is undone; anything else is told as it is. */
  async #rollBack(failed: unknown[], connections: readonly ServerConnection[]): Promise<void> {
    const serious = failed.find((error) => !(error instanceof FastWriteRefused) && !isLocked(error));
    if (serious !== undefined) throw serious;
    await Promise.all(connections.map((connection) => connection.write('ROLLBACK')));
  }
}

/** A COMMIT that the server refuses may leave other lanes committed: as after a lost connection, only a new claim tells. */
async function commit(connection: ServerConnection): Promise<void> {
  try {
    await connection.write('COMMIT');
  } catch (error) {
    if (errnoOf(error) === 0) throw error;
    throw new AppError('SERVER_GONE', `a lane could not commit: ${(error as Error).message}`, { cause: error });
  }
}
