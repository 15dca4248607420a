import { setTimeout as delay } from 'node:timers/promises';
import { assertNoError } from '../../admin/cli/assert-no-error.ts';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { SYSBENCH_DATABASE } from '../sysbench-tables.ts';
import { serverDefinition, type CopyPeer, type CopyStage } from './copy-stage.ts';

/**
 * `switchyard serve` with an import through its API. Timed by the engine's own clock from the moment the import exists
 * until the rows and indexes are there: sidecar, tables, chunks with their markers, indexes. Validation comes before it,
 * the stream after it.
 */
export class SwitchyardCopy implements CopyPeer, AsyncDisposable {
  readonly name = 'switchyard';
  readonly version = 'this commit';
  readonly #stage: CopyStage;
  readonly #switchyard: SwitchyardProcess;
  #imports = 0;

  private constructor(stage: CopyStage, switchyard: SwitchyardProcess) {
    this.#stage = stage;
    this.#switchyard = switchyard;
  }

  static async start(stage: CopyStage): Promise<SwitchyardCopy> {
    return new SwitchyardCopy(stage, await SwitchyardProcess.start());
  }

  async copy(): Promise<number> {
    const { client } = this.#switchyard;
    this.#imports += 1;
    const id = `copy-${this.#imports}`;
    await client.createImport({
      id,
      database: SYSBENCH_DATABASE,
      source: serverDefinition(this.#stage.source),
      target: serverDefinition(this.#stage.target),
    });
    for (;;) {
      const view = await client.getImport(id);
      assertNoError(view);
      if (view.copy.finishedAtMs !== null) return view.copy.finishedAtMs - view.createdAtMs;
      await delay(100);
    }
  }

  /** Cancels the import: its tables are gone, and it no longer follows the source. */
  async forget(): Promise<void> {
    await this.#switchyard.client.cancelImport(`copy-${this.#imports}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#switchyard[Symbol.asyncDispose]();
  }
}
