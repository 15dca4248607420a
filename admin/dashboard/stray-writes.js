import { h } from './dom.js';
import { clock, count } from './format.js';

/** Alarm: somebody still writes to the old primary. Nothing while nobody does. */
export function strayWrites({ id, strayWrites: stray }) {
  if (stray === null || (stray.count === 0 && stray.watch !== 'failed')) return [];
  const applied = stray.unapplied === 0;
  return h(
    'div',
    { class: 'problem', role: 'alert' },
    h(
      'p',
      { class: 'problem-head' },
      h('strong', {}, stray.count === 0 ? 'The old primary is not watched' : 'Writes reached the old primary'),
      h('code', {}, 'STRAY_WRITES'),
    ),
    stray.count === 0
      ? null
      : h(
          'p',
          {},
          `${count(stray.count)} row changes since the switch, the last at ${clock(stray.lastAtMs)}; `,
          applied ? 'all are applied to the new primary.' : `${count(stray.unapplied)} are not on the new primary.`,
        ),
    stray.watch === 'failed'
      ? h('p', {}, 'The log of the old primary cannot be read at the moment; the log says why.')
      : null,
    applied
      ? null
      : h(
          'p',
          { class: 'remedy' },
          h('strong', {}, 'What to do: '),
          'stop whoever writes there; nothing is lost, every row is kept. ',
          h('code', {}, `switchyard stray list ${id}`),
          ' shows them, ',
          h('code', {}, `switchyard stray apply ${id} --all`),
          ' applies those whose rows are still as they were.',
        ),
  );
}
