import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Workload } from '../bench/workload/workload.ts';
import { ImportDriver } from './drive-import.ts';
import type { Stage } from './stage.ts';

/** The import is created and traffic runs; everything after the copy is left to the person who watches. */
export async function runInteractive(
  stage: Stage,
  traffic: { sessions: number; operationsPerSecond: number },
  onProgress: (message: string) => void,
): Promise<void> {
  const driver = new ImportDriver(stage, onProgress);
  await driver.create();
  const { primary, replica, shop } = stage;
  const workload = Workload.start({ primary, replica, shop, ...traffic });
  const ended = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  const requestFile = path.join(stage.switchyard.dataDir, 'import.json');
  await writeFile(requestFile, JSON.stringify(stage.importRequest, undefined, 2), { mode: 0o600 });
  console.log(introduction(stage, requestFile));
  const stop = new AbortController();
  const statistics = printStatistics(workload, stop.signal);
  await ended;
  stop.abort();
  await Promise.all([statistics, workload.stop()]);
}

function introduction(
  { switchyard, source, target, primary, replica, importRequest: { id } }: Stage,
  requestFile: string,
): string {
  const dsn = ({ user, password, host, port, database }: typeof primary) =>
    `mysql://${user}:${password}@${host}:${port}/${database}`;
  return `
  dashboard    ${switchyard.adminUrl}
  application  ${dsn(primary)}   (primary traffic, through the proxy)
               ${dsn(replica)}   (replica traffic)
  source       ${source.dsn}
  target       ${target.dsn}
  request      ${requestFile}   (what was imported)

  The import "${id}" has been created and the shop is being copied, with live traffic on it. Go on in the dashboard, or:

    export SWITCHYARD_URL=${switchyard.adminUrl}
    bin/switchyard import show ${id}
    bin/switchyard verify ${id}
    bin/switchyard switch replicas ${id}
    bin/switchyard switch primaries ${id} --dry-run
    bin/switchyard switch primaries ${id}
    bin/switchyard switch primaries ${id} --back
    bin/switchyard complete ${id}

  Ctrl-C ends everything.
`;
}

async function printStatistics(workload: Workload, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    workload.meter.beginWindow();
    await delay(5000, undefined, { signal }).catch(() => undefined);
    const { operations, acknowledgedWrites, clientErrors } = workload.stats;
    const longestMs = Math.round(Math.max(...workload.meter.endWindow().longestMs));
    console.log(
      `traffic: ${operations} operations, ${acknowledgedWrites} acknowledged writes, ${clientErrors} client errors, longest wait of late ${longestMs} ms`,
    );
  }
}
