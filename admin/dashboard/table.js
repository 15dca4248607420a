import { h } from './dom.js';
import { count } from './format.js';

/** `rows`: lists of cells, text or nodes. Of many only the first `shown` are there, and how many more. */
export function table(titles, rows, { shown = Number.POSITIVE_INFINITY } = {}) {
  const left = rows.length - shown;
  return h(
    'table',
    {},
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        titles.map((title) => h('th', { scope: 'col' }, title)),
      ),
    ),
    h(
      'tbody',
      {},
      rows.slice(0, shown).map((cells) =>
        h(
          'tr',
          {},
          cells.map((cell) => h('td', {}, cell)),
        ),
      ),
      left > 0 ? h('tr', {}, h('td', { colspan: titles.length }, `and ${count(left)} more`)) : null,
    ),
  );
}
