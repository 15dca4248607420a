import { setTimeout as delay } from 'node:timers/promises';
import { assertNoError } from '../admin/cli/assert-no-error.ts';
import { followImport } from '../admin/cli/follow-import.ts';
import { waitsDuring } from '../bench/workload/pause-meter.ts';
import type { Workload } from '../bench/workload/workload.ts';
import { AppError } from '../core/errors.ts';
import type { ImportView, SwitchReport, SwitchRequest } from '../engine/api.ts';
import type { Stage } from './stage.ts';

/** One import on a stage, driven through the admin API as an operator would. */
export class ImportDriver {
  readonly #stage: Stage;
  readonly #onProgress: (message: string) => void;
  /** Forward lag in every view since replication began, ms. */
  readonly lagsMs: number[] = [];

  constructor(stage: Stage, onProgress: (message: string) => void = () => undefined) {
    this.#stage = stage;
    this.#onProgress = onProgress;
  }

  /** Validates and creates; resolves when the proxy has a route, so that applications may connect. */
  async create(): Promise<void> {
    const { client } = this.#stage.switchyard;
    const { importRequest } = this.#stage;
    const report = await client.validate(importRequest);
    for (const { severity, code, subject, message } of report.findings) {
      this.#onProgress(`${severity} ${code}${subject === null ? '' : ` (${subject})`}: ${message}`);
    }
    if (!report.ok) throw new AppError('PHASE_REFUSED', 'the validation found errors');
    this.#onProgress(`validated: ${report.tables.length} tables`);
    await client.createImport(importRequest);
    while ((await client.route()) === null) await delay(20);
  }

  /** Resolves when the copy is done and the stream has caught up. */
  async untilRunning(): Promise<ImportView> {
    return this.until(({ phase, streams }) => {
      const forward = streams.find(({ direction }) => direction === 'forward');
      return phase === 'running' && forward?.state === 'running';
    });
  }

  async verify(): Promise<ImportView> {
    const { client } = this.#stage.switchyard;
    const started = Date.now();
    await client.verify(this.id);
    const ended = ({ verify }: ImportView) =>
      verify !== null && verify.state !== 'running' && (verify.finishedAtMs ?? 0) >= started;
    return this.until((view) => ended(view) && view.phase !== 'verifying_data');
  }

  /**
   * Switches, and measures what the clients of `workload` saw of it: the waits of commands that were outstanding at any
   * moment of the hold, and all waits from before the switch until a moment after it.
   */
  async switchTraffic(
    workload: Workload,
    request: Partial<SwitchRequest> & Pick<SwitchRequest, 'kind'>,
  ): Promise<{ report: SwitchReport; heldMs: number[]; allMs: number[] }> {
    workload.meter.beginWindow();
    const report = await this.#stage.switchyard.client.switchTraffic(this.id, request);
    // The last of the moved sessions get their answers shortly after the switch itself is done.
    await delay(500);
    const { waits } = workload.meter.endWindow();
    const held = report.hold === null ? [] : waitsDuring(waits, report.hold);
    return { report, heldMs: held.map(({ waitedMs }) => waitedMs), allMs: waits.map(({ waitedMs }) => waitedMs) };
  }

  async complete(): Promise<ImportView> {
    return this.#stage.switchyard.client.complete(this.id, this.id);
  }

  /** Follows the import until `done`; rejects when it ends in an error. */
  async until(done: (view: ImportView) => boolean): Promise<ImportView> {
    let lastLine = '';
    let lastAtMs = 0;
    const view = await followImport(this.#stage.switchyard.client, this.id, {
      onView: (view) => {
        this.#noteLag(view);
        const line = progressLine(view);
        if (line === lastLine || (Date.now() - lastAtMs < 1000 && !done(view))) return;
        lastLine = line;
        lastAtMs = Date.now();
        this.#onProgress(line);
      },
      done: (view) => view.error !== null || done(view),
    });
    assertNoError(view);
    return view;
  }

  get id(): string {
    return this.#stage.importRequest.id;
  }

  #noteLag({ phase, streams }: ImportView): void {
    const lagMs = streams.find(({ direction }) => direction === 'forward')?.lagMs;
    if (phase !== 'copying' && lagMs !== null && lagMs !== undefined) this.lagsMs.push(lagMs);
  }
}

function progressLine({ phase, tables, streams, verify }: ImportView): string {
  const count = (value: number) => value.toLocaleString('en');
  if (phase === 'copying') {
    const copied = tables.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0);
    const total = tables.reduce((sum, { rowsTotal }) => sum + rowsTotal, 0);
    const waiting = tables.filter(({ state }) => state !== 'copied').map(({ name, state }) => `${name} ${state}`);
    return `copying: ${count(copied)} of about ${count(total)} rows (${waiting.join(', ')})`;
  }
  if (phase === 'verifying_data' && verify !== null) return `verifying: ${count(verify.rows)} rows compared`;
  const flows = streams.map(
    ({ direction, state, lagMs }) => `${direction} ${state}${lagMs === null ? '' : `, lag ${Math.round(lagMs)} ms`}`,
  );
  return [phase, ...flows].join('; ');
}
