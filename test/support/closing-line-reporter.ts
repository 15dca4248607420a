import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';

/** Ends the run with `N passed, N failed[, N skipped]` alone on a line, which CI reads. */
export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[], reason: TestRunEndReason): void {
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state === 'pending' ? 'failed' : state] += 1;
      }
      // A file that cannot be loaded has no tests to count, and yet the run has failed.
      if (module.errors().length > 0) count.failed += 1;
    }
    if (count.failed === 0 && (unhandled.length > 0 || reason === 'failed'))
      count.failed += Math.max(1, unhandled.length);
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    // After the summary of the default reporter, which prints in the same event.
    process.once('exit', () => process.stdout.write(`\n${count.passed} passed, ${count.failed} failed${skipped}\n`));
  }
}
