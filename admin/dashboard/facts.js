import { h } from './dom.js';
import { bytes, count, dateTime, duration } from './format.js';
import { table } from './table.js';

/** Switches, findings and sessions: short lists that are only looked at now and then. */
export function switches(view) {
  return [
    h('div', { class: 'card-head' }, h('h2', { id: 'switches-title' }, 'Switches')),
    view.switches.length === 0
      ? h('p', { class: 'muted' }, 'No traffic was switched yet.')
      : h(
          'ol',
          { class: 'switches' },
          view.switches
            .toReversed()
            .map(({ kind, to, atMs, pauseMs, fence, forced }) =>
              h(
                'li',
                {},
                h('span', { class: 'switch-what' }, `${kind} → ${to}`),
                h('span', { class: 'switch-pause' }, `${duration(pauseMs)} pause`),
                h(
                  'span',
                  { class: 'muted small' },
                  `${dateTime(atMs)} · fence ${fence}${forced.length === 0 ? '' : ` · forced over ${forced.join(', ')}`}`,
                ),
              ),
            ),
        ),
  ];
}

const SEVERITY_ORDER = { error: 0, warning: 1, info: 2 };

export function findings(list, { heading = true } = {}) {
  const sorted = list.toSorted((left, right) => SEVERITY_ORDER[left.severity] - SEVERITY_ORDER[right.severity]);
  return [
    heading
      ? h(
          'div',
          { class: 'card-head' },
          h('h2', { id: 'findings-title' }, 'Findings'),
          h('span', { class: 'muted' }, list.length === 0 ? '' : String(list.length)),
        )
      : null,
    list.length === 0
      ? h('p', { class: 'muted' }, 'Nothing was found.')
      : h('ul', { class: 'findings' }, sorted.map(findingItem)),
  ];
}

function findingItem({ severity, code, side, subject, message, fix, skippable }) {
  return h(
    'li',
    { class: `finding ${severity}` },
    h(
      'p',
      { class: 'finding-head' },
      h('span', { class: `tag ${severity}` }, severity),
      h('code', {}, code),
      h('span', { class: 'muted' }, subject === null ? side : `${side}: ${subject}`),
      severity === 'error' && skippable ? h('span', { class: 'chip' }, 'can be skipped') : null,
    ),
    h('p', {}, message),
    h('p', { class: 'fix' }, fix),
  );
}

const SESSIONS_SHOWN = 50;

export function sessions({ list, proxies }) {
  const byState = (state) => list.filter((session) => session.state === state).length;
  const pinned = list.filter(({ pins, inTransaction }) => inTransaction || pins.length > 0).length;
  return [
    h(
      'div',
      { class: 'card-head' },
      h('h2', { id: 'sessions-title' }, 'Sessions'),
      h('span', { class: 'muted' }, `${proxies.length} ${proxies.length === 1 ? 'proxy' : 'proxies'}`),
    ),
    h(
      'div',
      { class: 'totals' },
      [
        ['open', list.length],
        ['busy', byState('busy')],
        ['held', byState('held')],
        ['pinned', pinned],
      ].map(([label, value]) =>
        h(
          'div',
          { class: 'figure' },
          h('span', { class: 'figure-label' }, label),
          h('span', { class: 'figure-value' }, count(value)),
        ),
      ),
    ),
    proxies.length === 0
      ? h('p', { class: 'muted' }, 'No proxy is connected.')
      : h(
          'p',
          { class: 'chips' },
          proxies.map(({ instanceId, epoch, state }) =>
            h(
              'span',
              { class: 'chip' },
              epoch < 0 ? `${instanceId}: no route yet` : `${instanceId}: epoch ${epoch} ${state}`,
            ),
          ),
        ),
    list.length === 0
      ? null
      : h(
          'details',
          { id: 'session-details' },
          h('summary', {}, 'Each session'),
          h('div', { class: 'scroll scroll-x', tabindex: 0 }, sessionTable(list)),
        ),
  ];
}

function sessionTable(list) {
  const rows = list.map(({ user, address, role, side, state, pins, transactionAgeMs, bytesOut }) => [
    user,
    address,
    role,
    side ?? '–',
    state,
    [...openTransaction(transactionAgeMs), ...pins].join(', ') || '–',
    bytes(bytesOut),
  ]);
  return table(['User', 'Address', 'Role', 'Side', 'State', 'Pinned by', 'Out'], rows, { shown: SESSIONS_SHOWN });
}

function openTransaction(ageMs) {
  return ageMs === null ? [] : [`transaction (${duration(ageMs)})`];
}
