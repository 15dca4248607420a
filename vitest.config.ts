import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'vitest/config';
import { COMPILE_CACHE } from './test/support/compiled-modules.ts';

const servers = ['test/**/*.mysql.test.ts'];
const long = ['test/**/*.long.test.ts'];
/** Matrices of which `npm test` runs a selection. */
const selected = globSync(servers, { cwd: import.meta.dirname }).filter((file) =>
  readFileSync(path.join(import.meta.dirname, file), 'utf8').includes('support/selection.ts'),
);

/**
 * `unit` are pure or nearly so; `servers` start real databases and processes, so few at once and with patience; `long` are
 * whole matrices and large models, run by `npm run test:long` alone. Forks, not threads: a crashed or killed worker takes its servers with it (servers/watchdog.ts).
 *
 * The first two are one queue, the small files of `unit` at its end, so that all workers have something to do until then: one more
 * than the two cores that we have, since most tests wait more than they compute. Each worker goes on with its modules from file to
 * file: a process and all modules for every file were a tenth of the work.
 */
export default defineConfig({
  test: {
    pool: 'forks',
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, SWITCHYARD_SERVERS_LIGHT: 'yes' },
    // A condition that is waited for is not a measurement: a loaded machine may take its time.
    expect: { poll: { timeout: 10_000 } },
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['node_modules/**', '.cache/**', ...servers, ...long],
          testTimeout: 120_000,
          isolate: false,
          maxWorkers: 3,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: servers,
          globalSetup: './test/support/compiled-modules.ts',
          testTimeout: 300_000,
          hookTimeout: 180_000,
          isolate: false,
          maxWorkers: 3,
        },
      },
      {
        extends: true,
        test: {
          name: 'long',
          include: [...long, ...selected],
          env: { SWITCHYARD_TESTS: 'whole' },
          testTimeout: 3_600_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          fileParallelism: false,
        },
      },
    ],
  },
});
