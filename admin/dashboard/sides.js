import { h, svg } from './dom.js';
import { isFinal, isUnderWay } from './phases.js';

/** Source on the left, target on the right, the points between them: which side serves which traffic. */
export function sides(view, link) {
  return [sideCard(view, 'source', link), trafficCard(view), sideCard(view, 'target', link)];
}

/** How the connections are doing, as far as the streams tell: each reads one side and writes the other, so one that runs proves both. */
export function connectionOf(view) {
  if (isFinal(view.phase)) return { state: 'off', text: 'closed' };
  if (view.phase === 'pending' || view.phase === 'copying')
    return { state: 'ok', text: view.phase === 'copying' ? 'connected, copying' : 'connecting' };
  const has = (state) => view.streams.some((stream) => stream.state === state);
  if (has('running')) return { state: 'ok', text: 'connected' };
  if (has('catching_up')) return { state: 'warn', text: 'connected, catching up' };
  if (has('failed')) return { state: 'bad', text: 'replication failed' };
  return { state: 'off', text: 'not connected' };
}

function sideCard(view, side, link) {
  const { host, port, user, facts } = view[side];
  const connection = link ? connectionOf(view) : { state: 'off', text: 'unknown: no news from the engine' };
  const serving = ['primary', 'replica'].filter((role) => view.traffic[role] === side);
  return h(
    'article',
    { class: `card side ${serving.length > 0 ? 'serving' : ''}`, 'aria-label': side },
    h(
      'div',
      { class: 'side-head' },
      h('h2', {}, side === 'source' ? 'Source' : 'Target'),
      h('span', { class: `lamp ${connection.state}` }, connection.text),
    ),
    h('p', { class: 'host' }, `${host}:${port}`),
    h(
      'p',
      { class: 'muted' },
      [
        facts === null ? 'version unknown' : `${facts.flavor === 'mariadb' ? 'MariaDB' : 'MySQL'} ${facts.version}`,
        `database ${view.database}`,
        user === null ? 'credentials erased' : `user ${user}`,
      ].join(' · '),
    ),
    side === 'source' && view.replicaHost !== null
      ? h('p', { class: 'muted' }, `replica host ${view.replicaHost.host}:${view.replicaHost.port}`)
      : null,
    h(
      'p',
      { class: 'chips' },
      serving.length === 0
        ? h('span', { class: 'chip' }, 'serves no traffic')
        : serving.map((role) => h('span', { class: 'chip on' }, `serves ${role} traffic`)),
    ),
  );
}

function trafficCard(view) {
  const { primary, replica } = view.traffic;
  const holding =
    view.phase === 'switching_primaries' ? 'primary' : view.phase === 'switching_replicas' ? 'replica' : null;
  return h(
    'article',
    { class: 'card traffic', 'aria-label': 'Traffic' },
    h('h2', { class: 'visually-hidden' }, 'Traffic'),
    points(view),
    h(
      'dl',
      { class: 'traffic-rows' },
      [
        ['primary', primary],
        ['replica', replica],
      ].flatMap(([role, side]) => [
        h('dt', {}, h('span', { class: `swatch ${role}`, 'aria-hidden': 'true' }), role),
        h('dd', {}, holding === role && isUnderWay(view.phase) ? 'held for a moment' : `→ ${side}`),
      ]),
    ),
    h('p', { class: 'muted small' }, `route epoch ${view.traffic.epoch}`),
  );
}

function points(view) {
  const curve = { source: 'M120 92 C120 60 60 62 6 34', target: 'M120 92 C120 60 180 62 234 34' };
  const shifted = { source: 'M120 92 C116 70 62 76 6 52', target: 'M120 92 C124 70 178 76 234 52' };
  const rails = (role, paths) =>
    ['source', 'target'].map((side) =>
      svg('path', { class: `rail ${role}${view.traffic[role] === side ? ' on' : ''}`, d: paths[side] }),
    );
  return svg(
    'svg',
    {
      class: 'points',
      viewBox: '0 0 240 112',
      role: 'img',
      'aria-label': `primary traffic goes to the ${view.traffic.primary}, replica traffic to the ${view.traffic.replica}`,
    },
    rails('replica', shifted),
    rails('primary', curve),
    svg('circle', { class: 'hub', cx: 120, cy: 92, r: 9 }),
    svg('text', { class: 'hub-label', x: 120, y: 110, 'text-anchor': 'middle' }, 'proxy'),
  );
}
