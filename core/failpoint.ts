/**
 * Named places where a test stops or kills the real process: SWITCHYARD_FAILPOINTS=`name=kill:FILE,name=wait:FILE`.
 * `kill` happens once: FILE, which it makes, remembers it. `wait` goes on when FILE is gone, and makes FILE.reached where
 * it has to wait. Without the variable a failpoint costs one map look-up.
 */
import { existsSync, watch, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export const FAILPOINTS = [
  'switch.intent',
  'switch.hold',
  'switch.sealed',
  'switch.fenced',
  'switch.caught_up',
  'switch.reverse_ready',
  'switch.decided',
  'switch.opened',
  'switch.released',
  'switch.claimed',
  'switch.unfenced',
  'switch.undone',
  'copy.position_stored',
  'copy.tables_recorded',
  'copy.started',
  'copy.chunk_written',
  'copy.chunk_landed',
  'copy.indexes_added',
  'copy.finished',
  'copy.recorded',
  'apply.before_commit',
  'apply.after_commit',
  'lanes.written',
  'lanes.committed',
  'lanes.ended',
  'ddl.executed',
  'verify.chunk',
  'verify.drain',
  'verify.recheck',
  'verify.paired_anew',
  'write_back.before_commit',
  'write_back.after_commit',
  'import.failed',
  'marker.noted',
  'marker.route_taken_over',
] as const;
export type Failpoint = (typeof FAILPOINTS)[number];

const armed = parse(process.env['SWITCHYARD_FAILPOINTS'] ?? '');

export async function failpoint(name: Failpoint): Promise<void> {
  const action = armed.get(name);
  if (action === undefined) return;
  const file = action.slice(action.indexOf(':') + 1);
  if (action.startsWith('kill:') && !existsSync(file)) {
    writeFileSync(file, name);
    process.kill(process.pid, 'SIGKILL');
  }
  if (action.startsWith('wait:') && existsSync(file)) {
    writeFileSync(`${file}.reached`, name);
    await fileGone(file);
  }
}

function parse(text: string): Map<string, string> {
  const pairs = text.split(',').filter((pair) => pair.includes('='));
  return new Map(
    pairs.map((pair): [string, string] => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}

async function fileGone(file: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const watcher = watch(dirname(file), () => {
    if (!existsSync(file)) resolve();
  });
  if (!existsSync(file)) resolve();
  await promise;
  watcher.close();
}
