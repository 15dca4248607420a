import { Accounts } from './accounts.js';
import { actions } from './actions.js';
import { askForToken } from './action-dialogs.js';
import { follow, get, Problem, readiness, setToken } from './api.js';
import { copyProgress, rowsCopied, rowsLeft } from './copy-progress.js';
import { openCreateDialog } from './create-dialog.js';
import { byId, h, renderInto } from './dom.js';
import { findings, sessions, switches } from './facts.js';
import { dateTime } from './format.js';
import { LogView } from './log-view.js';
import { Pace } from './pace.js';
import { importError, problemPanel } from './problem-panel.js';
import { isFinal } from './phases.js';
import { replication } from './replication.js';
import { sides } from './sides.js';
import { stepper } from './stepper.js';
import { strayWrites } from './stray-writes.js';
import { conflicts } from './conflicts.js';
import { setUpTheme } from './theme.js';
import { verification } from './verification.js';

const POLL_MS = 3000;
const LAG_SAMPLES_MAX = 900;
/** Without a view for this long while something runs, the lamps of the servers say "unknown". */
const SILENCE_MS = 15_000;
/** An engine with nothing to tell is asked after this long. */
const ASK_AFTER_MS = 5000;

const state = {
  views: new Map(),
  chosen: null,
  live: false,
  ready: { ready: true, reasons: [] },
  lag: [],
  pace: new Pace(),
  sessions: { list: [], proxies: [] },
  allTables: false,
  lastNewsMs: 0,
  listed: false,
};
const log = new LogView(byId('log-lines'));
const accounts = new Accounts(byId('accounts'));

function chosenView() {
  return state.views.get(state.chosen) ?? null;
}

/** The import that is under way, else the newest one. */
function defaultChoice() {
  const views = [...state.views.values()].toSorted((left, right) => right.createdAtMs - left.createdAtMs);
  return (views.find(({ phase }) => !isFinal(phase)) ?? views[0])?.id ?? null;
}

async function choose(id) {
  state.chosen = id;
  state.lag = [];
  state.pace = new Pace();
  state.allTables = false;
  log.reset([]);
  render();
  if (id === null) return;
  const [entries, samples] = await Promise.all([
    get(`/imports/${encodeURIComponent(id)}/logs?limit=500`).catch(() => []),
    get(`/imports/${encodeURIComponent(id)}/lag`).catch(() => []),
  ]);
  if (state.chosen !== id) return;
  log.reset(entries);
  state.lag = samples.map(({ ageMs, ...lag }) => ({ atMs: Date.now() - ageMs, ...lag }));
  render();
}

function takeView(view) {
  const isNew = !state.views.has(view.id);
  // An answer to a request may arrive after a newer event.
  if ((state.views.get(view.id)?.updatedAtMs ?? 0) > view.updatedAtMs) return;
  state.views.set(view.id, view);
  state.lastNewsMs = Date.now();
  if (view.id === state.chosen) {
    sampleLag(view);
    state.pace.add(rowsCopied(view));
  }
  const current = chosenView();
  if (state.chosen === null || (isNew && (current === null || isFinal(current.phase)))) void choose(view.id);
  else render();
}

/** With our own clock, like the ages that the server tells: its own may differ. */
function sampleLag({ streams }) {
  const atMs = Date.now();
  if (atMs - (state.lag.at(-1)?.atMs ?? 0) < 900) return;
  const lagOf = (direction) => streams.find((stream) => stream.direction === direction)?.lagMs ?? null;
  if (lagOf('forward') === null && lagOf('reverse') === null) return;
  state.lag.push({ atMs, forwardMs: lagOf('forward'), reverseMs: lagOf('reverse') });
  if (state.lag.length > LAG_SAMPLES_MAX) state.lag.shift();
}

/** After the creation of an import, also when the newest import is not the chosen one. */
function takeCreated(view) {
  takeView(view);
  void choose(view.id);
}

function notice(problem) {
  const panel = problemPanel(problem, {
    extra: h('button', { type: 'button', class: 'button quiet', onclick: () => panel.remove() }, 'Dismiss'),
  });
  byId('notices').replaceChildren(panel);
}

function render() {
  const view = chosenView();
  renderConnection();
  const ids = [...state.views.values()]
    .toSorted((left, right) => right.createdAtMs - left.createdAtMs)
    .map(({ id }) => id);
  byId('import-choice').hidden = ids.length < 2;
  renderInto(byId('import-select'), [ids, state.chosen], () =>
    ids.map((id) => h('option', { value: id, selected: id === state.chosen }, id)),
  );
  byId('new-import').disabled = [...state.views.values()].some(({ phase }) => !isFinal(phase));
  byId('empty').hidden = view !== null || !state.live || !state.listed;
  byId('import').hidden = view === null;
  document.title = view === null ? 'Switchyard' : `${view.id}: ${view.phase} – Switchyard`;
  if (view !== null) renderImport(view);
}

function renderImport(view) {
  const switchedReplicas = view.switches.some(({ kind, to }) => kind === 'replicas' && to === 'target');
  const station = {
    phase: view.phase,
    fromPhase: view.error?.fromPhase,
    verified: view.verify?.state === 'equal',
    switchedReplicas,
  };
  const heard = state.live && (isFinal(view.phase) || Date.now() - state.lastNewsMs < SILENCE_MS);
  renderInto(byId('heading'), [view.id, view.phase, view.createdAtMs, view.createdBy], () => heading(view));
  renderInto(byId('stepper'), station, () => stepper(station));
  renderInto(byId('error'), view.error, () => importError(view.error));
  renderInto(byId('conflicts'), [view.id, view.conflicts], () => conflicts(view));
  renderInto(byId('stray-writes'), [view.id, view.strayWrites], () => strayWrites(view));
  const { source, target, traffic, streams, replicaHost, phase, verify, error } = view;
  renderInto(
    byId('sides'),
    [source, target, traffic, streams.map((stream) => stream.state), replicaHost, phase, heard],
    () => sides(view, heard),
  );
  // Dialogs work on the view of the moment in which they were opened.
  renderInto(byId('actions'), [view.id, phase, verify?.state, verify?.position == null, replicaHost, error], () =>
    actions(view, { onView: takeView, onProblem: notice }),
  );
  renderInto(byId('copy'), [view.tables, view.copy, phase, state.allTables], () =>
    copyProgress(view, { all: state.allTables, showAll, etaMs: state.pace.etaMs(rowsLeft(view)) }),
  );
  renderInto(byId('replication'), [streams, state.lag.at(-1), state.lag.length, traffic], () =>
    replication(view, state.lag),
  );
  renderInto(byId('verification'), verify, () => verification(view));
  renderInto(byId('switches'), view.switches, () => switches(view));
  renderInto(byId('findings'), view.findings, () => findings(view.findings));
  accounts.show(view);
  renderSessions();
}

function showAll() {
  state.allTables = true;
  render();
}

function heading(view) {
  return [
    h('h2', {}, view.id, h('span', { class: `phase ${view.phase}` }, view.phase.replaceAll('_', ' '))),
    h('p', { class: 'muted' }, `started ${dateTime(view.createdAtMs)} by ${view.createdBy}`),
  ];
}

function renderSessions() {
  const wasOpen = byId('session-details')?.open ?? false;
  renderInto(byId('sessions'), state.sessions, () => sessions(state.sessions));
  if (wasOpen && byId('session-details') !== null) byId('session-details').open = true;
}

function renderConnection() {
  const [kind, text] = !state.live
    ? ['bad', 'reconnecting…']
    : state.ready.ready
      ? ['ok', 'live']
      : ['warn', 'not ready'];
  const title = state.live ? state.ready.reasons.join('; ') : 'no connection to the admin server';
  const reasons = state.live && !state.ready.ready ? state.ready.reasons : [];
  renderInto(byId('readiness'), reasons, () =>
    reasons.length === 0 ? [] : h('p', { class: 'banner' }, h('strong', {}, 'Not ready: '), reasons.join('; ')),
  );
  renderInto(byId('connection'), [kind, text, title], () => h('span', { class: `lamp ${kind}`, title }, text));
}

function onEvent(name, data) {
  if (name === 'import') takeView(data);
  if (name === 'log' && data.importId === state.chosen) log.add(data);
}

async function followForever() {
  for (;;) {
    try {
      await follow('/events', { onOpen: onConnected, onEvent });
    } catch (error) {
      if (error.code === 'UNAUTHORIZED') setToken(await askForToken());
      else if (error instanceof Problem && error.code !== 'ADMIN_UNREACHABLE') notice(error);
    }
    state.live = false;
    render();
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function onConnected() {
  state.live = true;
  state.lastNewsMs = Date.now();
  render();
  // What was said while nobody listened.
  void listImports().then(() => choose(state.chosen ?? defaultChoice()));
}

/** Refused while the engine is away; then what was last heard stays. */
async function listImports() {
  const views = await get('/imports').catch(() => null);
  if (views === null) return;
  state.listed = true;
  state.lastNewsMs = Date.now();
  for (const view of views) takeView(view);
}

async function poll() {
  for (;;) {
    if (state.live && document.visibilityState === 'visible') {
      state.ready = await readiness().catch(() => state.ready);
      if (!state.listed || Date.now() - state.lastNewsMs > ASK_AFTER_MS) await listImports();
      const [list, fleet] = await Promise.all([
        get('/sessions').catch(() => []),
        get('/fleet').catch(() => ({ proxies: [] })),
      ]);
      state.sessions = { list, proxies: fleet.proxies };
      render();
    }
    // Thousands of sessions are not worth asking for every three seconds.
    await new Promise((resolve) => setTimeout(resolve, state.sessions.list.length > 1000 ? POLL_MS * 10 : POLL_MS));
  }
}

setUpTheme(byId('theme'));
byId('import-select').addEventListener('change', (event) => void choose(event.target.value));
byId('log-level').addEventListener('change', (event) => log.setLevel(event.target.value));
byId('new-import').addEventListener('click', () => openCreateDialog(takeCreated));
byId('first-import').addEventListener('click', () => openCreateDialog(takeCreated));
render();
void followForever();
void poll();
