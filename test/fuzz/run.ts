/**
 * `npm run fuzz -- [--cases 1000000] [--seed N]`: prints the seed first, memory as it goes, and the report.
 * `npm run fuzz -- --state [--minutes N] [--seed N] [--source FLAVOR] [--target FLAVOR]`: state of sessions on real servers.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runStateFuzz } from '../session-state/run.ts';
import { fuzzProxy } from './fuzz-proxy.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    state: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '10' },
    target: { type: 'string' },
    source: { type: 'string', multiple: true, default: ['mysql-9.7', 'mariadb-11.8', 'mariadb-10.11'] },
  },
});
if (values.state) {
  const only = values.seed === undefined ? null : Number(values.seed);
  process.exit(
    await runStateFuzz({
      minutes: Number(values.minutes),
      seed: only,
      sources: values.source,
      target: values.target ?? null,
    }),
  );
}
const seed = Number(values.seed ?? randomInt(2 ** 31));
const cases = Number(values.cases);
console.log(`seed ${seed}, ${cases} cases`);
/** Memory in use after a garbage collection (`--expose-gc`), MB, at every tenth of the way. */
const heap: number[] = [];
const startedAtMs = performance.now();
const report = await fuzzProxy({
  seed,
  cases,
  onProgress: (done) => {
    if (done < ((heap.length + 1) * cases) / 10) return;
    globalThis.gc?.();
    heap.push(Math.round(process.memoryUsage().heapUsed / 2 ** 20));
    console.log(
      `${done} cases, heap ${heap.at(-1)} MB, resident ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`,
    );
  },
});
console.log(
  JSON.stringify({ seed, ...report, seconds: Math.round((performance.now() - startedAtMs) / 1000), heapMb: heap }),
);
const growthMb = (heap.at(-1) ?? 0) - (heap[1] ?? 0);
const isClean = report.sessionsLeft === 0 && report.connectionsLeft === 0 && growthMb < 30;
if (!isClean)
  console.error(
    `not clean: ${report.sessionsLeft} sessions, ${report.connectionsLeft} connections left, heap grew by ${growthMb} MB`,
  );
process.exit(isClean ? 0 : 1);
