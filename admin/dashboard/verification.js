import { bar, figure } from './copy-progress.js';
import { h } from './dom.js';
import { count, dateTime, duration, percent } from './format.js';
import { table } from './table.js';

const HEADLINE = {
  running: ['info', 'Comparing…'],
  equal: ['ok', 'Equal'],
  different: ['bad', 'Different rows'],
  failed: ['bad', 'Not finished'],
  stale: ['warn', 'Stale'],
  paused: ['warn', 'Paused'],
  rechecking: ['info', 'Comparing anew…'],
};

export function verification(view) {
  const { verify } = view;
  const title = h('h2', { id: 'verification-title' }, 'Verification');
  if (verify === null)
    return [
      h('div', { class: 'card-head' }, title),
      h(
        'p',
        { class: 'muted' },
        'Not verified yet. It compares every row while writes go on, and may be run more than once.',
      ),
    ];
  const [lamp, headline] = HEADLINE[verify.state];
  const chunks = verify.tables.reduce((sum, { chunksTotal }) => sum + chunksTotal, 0);
  const done = verify.tables.reduce((sum, { chunksDone }) => sum + chunksDone, 0);
  const differing = verify.tables.filter(({ differencesTotal }) => differencesTotal > 0);
  return [
    h('div', { class: 'card-head' }, title, h('span', { class: `lamp ${lamp}` }, headline)),
    h(
      'div',
      { class: 'totals' },
      figure('rows compared', count(verify.rows)),
      figure(
        'tables equal',
        `${verify.tables.filter(({ state }) => state === 'equal').length}`,
        `of ${verify.tables.length}`,
      ),
      verify.finishedAtMs === null
        ? verify.etaMs === null
          ? figure('started', dateTime(verify.startedAtMs).slice(11))
          : figure('left, about', duration(verify.etaMs), `since ${dateTime(verify.startedAtMs).slice(11)}`)
        : figure('took', duration(verify.finishedAtMs - verify.startedAtMs), `at ${dateTime(verify.finishedAtMs)}`),
    ),
    verify.primary === 'target'
      ? h('p', { class: 'muted' }, 'The target is primary: the source is compared with it.')
      : null,
    verify.throttled === null ? null : h('p', { class: 'muted' }, `Nothing is compared for now: ${verify.throttled}`),
    verify.reason === null ? null : h('p', { class: 'muted' }, verify.reason),
    verify.recheck === null ? null : recheck(verify.recheck),
    verify.state === 'running' || verify.state === 'paused' ? bar(percent(done, chunks), 'Verification', true) : null,
    h(
      'ul',
      { class: 'tables scroll', tabindex: 0, 'aria-label': 'Verification by table' },
      verify.tables.toSorted(byInterest).map(tableRow),
    ),
    differing.map(differences),
  ];
}

/** Rows that were written since: what keeps the headline true. */
function recheck({ keys, tables, behindMs, compared }) {
  const whole = tables.length === 0 ? '' : ` and all of ${tables.join(', ')}`;
  const waits = keys === 0 && whole === '' ? 'none waits' : `${count(keys)}${whole} wait, for ${duration(behindMs)}`;
  return h(
    'p',
    { class: 'muted small', id: 'verification-recheck' },
    `Kept true: rows written since are compared again (${count(compared)} so far, ${waits}).`,
  );
}

const INTEREST = { different: 0, verifying: 1, waiting: 2, equal: 3 };
const byInterest = (left, right) => INTEREST[left.state] - INTEREST[right.state];

function tableRow({ name, state, rows, chunksDone, chunksTotal, differencesTotal }) {
  const note = {
    waiting: 'waiting',
    verifying: 'comparing',
    equal: 'equal',
    different: `${count(differencesTotal)} differ`,
  }[state];
  return h(
    'li',
    { class: `table-row ${state}` },
    h('span', { class: 'table-name', title: name }, name),
    h('span', { class: 'table-rows' }, count(rows)),
    bar(state === 'equal' ? 100 : percent(chunksDone, Math.max(1, chunksTotal)), name, state === 'verifying'),
    h('span', { class: 'table-note' }, note),
  );
}

/** A line for each column that differs, or one for a row that is on one side only. */
function differenceRows({ key, kind, columns, values }) {
  const side = (of) => values.map((value) => `${value.column}=${value[of] ?? ''}`).join(' ');
  const lines =
    kind === 'different' && values.length > 0
      ? values.map(({ column, source, target }) => [column, source ?? '', target ?? ''])
      : [[columns.join(', '), kind === 'missing' ? side('source') : '', kind === 'extra' ? side('target') : '']];
  return lines.map(([column, source, target]) => [
    h('code', {}, key),
    kind,
    column,
    h('code', {}, source),
    h('code', {}, target),
  ]);
}

function differences({ name, differences: list, differencesTotal }) {
  return h(
    'details',
    { open: true },
    h('summary', {}, `${name}: ${count(differencesTotal)} differing rows`),
    h(
      'div',
      { class: 'scroll-x' },
      table(['Key', 'On the target', 'Column', 'Source', 'Target'], list.flatMap(differenceRows)),
    ),
    differencesTotal > list.length
      ? h('p', { class: 'muted small' }, `and ${count(differencesTotal - list.length)} more`)
      : null,
  );
}
