import { expect, test } from 'vitest';
import { mergeMetrics } from './metrics.ts';

const proxy = `# HELP queries_total Queries.
# TYPE queries_total counter
queries_total{side="source"} 7
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_sum 0.5
wait_seconds_count 2
`;
const engine = `# HELP queries_total Queries, told otherwise.
# TYPE queries_total counter
queries_total 1

# HELP lag_ms Lag.
# TYPE lag_ms gauge
lag_ms{process="mine"} 4 1700000000000
`;

test('one HELP and TYPE for each family, samples grouped, labels added', () => {
  const parts = [
    { labels: { process: 'proxy', instance: 'p1' }, text: proxy },
    { labels: { process: 'engine' }, text: engine },
  ];
  expect(mergeMetrics(parts)).toBe(`# HELP queries_total Queries.
# TYPE queries_total counter
queries_total{side="source",process="proxy",instance="p1"} 7
queries_total{process="engine"} 1
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="+Inf",process="proxy",instance="p1"} 2
wait_seconds_sum{process="proxy",instance="p1"} 0.5
wait_seconds_count{process="proxy",instance="p1"} 2
# HELP lag_ms Lag.
# TYPE lag_ms gauge
lag_ms{process="mine"} 4 1700000000000
`);
});

test('label values are escaped, braces and commas inside values survive', () => {
  const text = 'x{q="a,b}\\" c"} 1';
  expect(mergeMetrics([{ labels: { instance: 'a"b\\c\nd' }, text }])).toBe(
    'x{q="a,b}\\" c",instance="a\\"b\\\\c\\nd"} 1\n',
  );
});

test('a counter whose name ends like a part of a histogram stays its own family', () => {
  const text = '# TYPE rows_count counter\nrows_count 3\n';
  expect(mergeMetrics([{ labels: {}, text }])).toBe(text);
});

test('nothing of nothing', () => {
  expect(mergeMetrics([])).toBe('');
});
