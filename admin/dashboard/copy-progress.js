import { h } from './dom.js';
import { bytes, count, duration, percent } from './format.js';

const TABLES_SHOWN = 60;
const ORDER = { copying: 0, indexing: 1, waiting: 2, copied: 3 };

export function copyProgress(view, { all, showAll, etaMs }) {
  // An engine that was restarted remembers the sum, not the rows of each table.
  const total = Math.max(sum(view.tables, 'rowsTotal'), view.copy.rows);
  const done = Math.max(rowsCopied(view), view.copy.rows);
  const copied = view.tables.filter(({ state }) => state === 'copied').length;
  const rows = view.tables.toSorted((left, right) => ORDER[left.state] - ORDER[right.state]);
  const shown = all ? rows : rows.slice(0, TABLES_SHOWN);
  return [
    h(
      'div',
      { class: 'card-head' },
      h('h2', { id: 'copy-title' }, 'Copy'),
      h('span', { class: 'muted' }, `${copied} of ${view.tables.length} tables`),
    ),
    h(
      'div',
      { class: 'totals' },
      figure('rows', count(done), `of ${count(total)}`),
      figure('data', bytes(view.copy.bytes)),
      figure(...timeOf(view, etaMs)),
    ),
    bar(copied === view.tables.length ? 100 : percent(done, total), 'All tables', view.phase === 'copying'),
    h(
      'ul',
      { class: 'tables scroll', tabindex: 0, 'aria-label': 'Progress by table' },
      shown.map(tableRow),
      shown.length < rows.length
        ? h(
            'li',
            {},
            h('button', { type: 'button', class: 'button quiet', onclick: showAll }, `Show all ${rows.length} tables`),
          )
        : null,
    ),
  ];
}

function tableRow({ name, state, rowsCopied, rowsTotal, etaMs }) {
  const share = state === 'copied' ? 100 : percent(rowsCopied, rowsTotal);
  const note = {
    waiting: 'waiting',
    copying: etaMs === null ? 'copying' : `${duration(etaMs)} left`,
    indexing: 'building indexes',
    copied: 'copied',
  }[state];
  return h(
    'li',
    { class: `table-row ${state}` },
    h('span', { class: 'table-name', title: name }, name),
    h(
      'span',
      { class: 'table-rows' },
      state === 'copied' ? count(rowsCopied) : `${count(rowsCopied)} / ${count(rowsTotal)}`,
    ),
    bar(state === 'waiting' ? 0 : share, name, state === 'copying'),
    h('span', { class: 'table-note' }, note),
  );
}

export function bar(share, label, busy = false) {
  return h(
    'div',
    {
      class: `meter${share >= 100 ? ' full' : ''}${busy ? ' busy' : ''}`,
      role: 'progressbar',
      'aria-label': label,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-valuenow': Math.round(share),
    },
    h('span', { style: { width: `${share}%` } }),
  );
}

export function figure(label, value, more = '') {
  return h(
    'div',
    { class: 'figure' },
    h('span', { class: 'figure-label' }, label),
    h('span', { class: 'figure-value' }, value),
    h('span', { class: 'figure-more' }, more),
  );
}

/** Time left while copying, time taken afterwards. */
function timeOf({ copy, phase }, etaMs) {
  if (copy.startedAtMs !== null && copy.finishedAtMs !== null)
    return ['took', duration(copy.finishedAtMs - copy.startedAtMs)];
  return ['time left', phase === 'copying' ? duration(etaMs) : '–'];
}

export const rowsCopied = (view) => sum(view.tables, 'rowsCopied');

export const rowsLeft = (view) =>
  view.tables.reduce((left, table) => left + Math.max(0, table.rowsTotal - table.rowsCopied), 0);

const sum = (items, key) => items.reduce((total, item) => total + item[key], 0);
