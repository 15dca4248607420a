import { h } from './dom.js';
import { clock, count } from './format.js';

/** Somebody has written on the target what the source had otherwise. Nothing while nobody has. */
export function conflicts({ id, conflicts: found }) {
  if (found === null || found.count === 0) return [];
  return h(
    'div',
    { class: 'problem', role: 'alert' },
    h('p', { class: 'problem-head' }, h('strong', {}, 'Writes on the target lost'), h('code', {}, 'CONFLICTS')),
    h(
      'p',
      {},
      `${count(found.count)} row changes on the target met other rows on the source, which won; the last at ${clock(found.lastAtMs)}.`,
    ),
    h(
      'p',
      { class: 'remedy' },
      h('strong', {}, 'What to do: '),
      h('code', {}, `switchyard conflicts list ${id}`),
      ' shows what was lost; every row is kept.',
    ),
  );
}
