import { h, svg } from './dom.js';
import { count, duration } from './format.js';

const WIDTH = 560;
const HEIGHT = 132;
const LEFT = 46;
const BOTTOM = 18;
const WINDOW_MS_MAX = 5 * 60_000;
const WINDOW_MS_MIN = 60_000;

/** Lag now, its last five minutes, and both streams. */
export function replication(view, samples) {
  const direction = view.traffic.primary === 'source' ? 'forward' : 'reverse';
  const stream = view.streams.find((candidate) => candidate.direction === direction);
  const lagMs = stream?.lagMs ?? null;
  const tooFar = lagMs !== null && lagMs > view.options.maxLagMs;
  return [
    h(
      'div',
      { class: 'card-head' },
      h('h2', { id: 'replication-title' }, 'Replication'),
      h(
        'span',
        { class: `big ${tooFar ? 'bad-text' : ''}` },
        lagMs === null ? '–' : duration(lagMs),
        h('span', { class: 'muted small' }, ' lag now'),
      ),
    ),
    graph(samples, direction),
    view.streams.length === 0 ? h('p', { class: 'muted' }, 'No replication at the moment.') : streamTable(view.streams),
    view.streams
      .filter(({ position }) => position !== null)
      .map(({ direction: name, position }) =>
        h('p', { class: 'muted small position' }, `${name} position: `, h('code', { title: position }, position)),
      ),
  ];
}

function streamTable(streams) {
  return h(
    'div',
    { class: 'scroll-x' },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ['Stream', 'State', 'Lag', 'Transactions', 'Row changes'].map((title, at) =>
            h('th', { scope: 'col', class: at > 1 ? 'number' : null }, title),
          ),
        ),
      ),
      h('tbody', {}, streams.map(streamRow)),
    ),
  );
}

function streamRow({ direction, state, lagMs, transactionsApplied, rowChangesApplied }) {
  const lamp = { running: 'ok', catching_up: 'warn', failed: 'bad', stopped: 'off' }[state];
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, direction === 'forward' ? 'source → target' : 'target → source'),
    h('td', {}, h('span', { class: `lamp ${lamp}` }, state.replace('_', ' '))),
    h('td', { class: 'number' }, duration(lagMs)),
    h('td', { class: 'number' }, count(transactionsApplied)),
    h('td', { class: 'number' }, count(rowChangesApplied)),
  );
}

function graph(samples, direction) {
  const key = `${direction}Ms`;
  const endMs = samples.at(-1)?.atMs ?? 0;
  const points = samples.filter((sample) => sample.atMs > endMs - WINDOW_MS_MAX && sample[key] !== null);
  if (points.length < 2) return h('p', { class: 'graph-empty muted' }, 'The graph begins with replication.');
  const top = niceCeiling(Math.max(...points.map((sample) => sample[key]), 20));
  const windowMs = Math.max(WINDOW_MS_MIN, endMs - points[0].atMs);
  const x = (atMs) => LEFT + ((atMs - (endMs - windowMs)) / windowMs) * (WIDTH - LEFT - 4);
  const y = (lagMs) => 6 + (1 - lagMs / top) * (HEIGHT - BOTTOM - 6);
  const line = points
    .map((sample, at) => `${at === 0 ? 'M' : 'L'}${x(sample.atMs).toFixed(1)} ${y(sample[key]).toFixed(1)}`)
    .join('');
  const first = points[0];
  const area = `${line}L${x(endMs).toFixed(1)} ${y(0)}L${x(first.atMs).toFixed(1)} ${y(0)}Z`;
  const peak = Math.max(...points.map((sample) => sample[key]));
  return svg(
    'svg',
    {
      class: 'graph',
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: 'img',
      'aria-label': `lag of the last ${duration(windowMs)}, at most ${duration(peak)}`,
    },
    [0, top / 2, top].map((value) => [
      svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - 4, y1: y(value), y2: y(value) }),
      svg('text', { class: 'tick', x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, duration(value)),
    ]),
    svg('path', { class: 'area', d: area }),
    svg('path', { class: 'line', d: line }),
    svg('text', { class: 'tick', x: LEFT, y: HEIGHT - 3 }, `${duration(windowMs)} ago`),
    svg('text', { class: 'tick', x: WIDTH - 4, y: HEIGHT - 3, 'text-anchor': 'end' }, 'now'),
  );
}

/** 1, 2 or 5 times a power of ten: labels that can be halved in the head. */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
}
