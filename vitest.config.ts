import { defineConfig } from 'vitest/config';

const servers = ['test/**/*.mysql.test.ts'];

/**
 * Two kinds of tests: `unit` are pure or nearly so; `servers` start real databases and processes, so few at once and with
 * patience. Forks, not threads: a crashed or killed worker takes its servers with it (servers/watchdog.ts).
 */
export default defineConfig({
  test: {
    pool: 'forks',
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['node_modules/**', '.cache/**', ...servers],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: servers,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          fileParallelism: false,
        },
      },
    ],
  },
});
