import { h } from './dom.js';
import { phaseName } from './format.js';
import { isUnderWay, STATIONS } from './phases.js';

/** The phases as stations of a line: where the import was, where it is, what may be skipped. */
export function stepper({ phase, fromPhase, verified, switchedReplicas }) {
  const stopped = phase === 'error' || phase === 'cancelled';
  const at = STATIONS.findIndex(({ phases }) => phases.includes(phase === 'error' ? fromPhase : phase));
  const reached = { Verified: verified, 'Replicas switched': switchedReplicas };
  const items = STATIONS.map(({ label, optional }, index) => {
    let state = index < at ? 'done' : index === at ? 'now' : 'ahead';
    if (state === 'done' && optional && !reached[label]) state = 'skipped';
    if (state === 'now' && phase === 'error') state = 'failed';
    if (state === 'now' && phase === 'completed') state = 'done';
    const now = index === at && !stopped;
    const note =
      now && isUnderWay(phase) && phase !== 'copying'
        ? phaseName(phase)
        : state === 'skipped'
          ? 'skipped'
          : optional && state === 'ahead'
            ? 'optional'
            : '';
    return h(
      'li',
      { class: `station ${state}${now && isUnderWay(phase) ? ' busy' : ''}`, 'aria-current': now ? 'step' : null },
      h('span', { class: 'station-dot', 'aria-hidden': 'true' }),
      h('span', { class: 'station-label' }, label),
      h('span', { class: 'station-note' }, note),
      h('span', { class: 'visually-hidden' }, { done: 'done', failed: 'failed here', ahead: 'to come' }[state] ?? ''),
    );
  });
  return h('ol', { class: `stepper${phase === 'cancelled' ? ' cancelled' : ''}` }, items);
}
