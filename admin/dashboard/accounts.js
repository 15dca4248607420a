import { openCreateAccountsDialog, openScriptDialog } from './accounts-dialogs.js';
import { get } from './api.js';
import { h, renderInto } from './dom.js';
import { count, clock } from './format.js';
import { isFinal } from './phases.js';
import { problemPanel } from './problem-panel.js';
import { table } from './table.js';

const SHOWN = 100;
const LAMP = { absent: 'bad', different: 'warn', same: 'ok' };
const INTEREST = { absent: 0, different: 1, same: 2 };

/** Accounts with privileges on the schema. The servers are asked when an import is chosen, behind a switch, and on request only. */
export class Accounts {
  #parent;
  #import = null;
  #asked = null;
  #answer = { users: null, problem: null, atMs: null, busy: false };

  constructor(parent) {
    this.#parent = parent;
  }

  show(view) {
    const { id, phase, traffic } = view;
    this.#import = view;
    this.#parent.hidden = isFinal(phase);
    const asked = `${id} ${traffic.primary} ${isFinal(phase)}`;
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#answer = { users: null, problem: null, atMs: null, busy: false };
      if (!isFinal(phase)) void this.#look();
    }
    this.#render();
  }

  async #look() {
    const asked = this.#asked;
    this.#answer = { ...this.#answer, busy: true };
    this.#render();
    const path = `/imports/${encodeURIComponent(this.#import.id)}/users`;
    const answer = await get(path).then(
      (users) => ({ users, problem: null }),
      (problem) => ({ users: null, problem }),
    );
    if (asked === this.#asked) this.#take(answer);
  }

  #take({ users, problem }) {
    this.#answer = { users, problem, atMs: Date.now(), busy: false };
    this.#render();
  }

  #render() {
    const { users, problem, atMs, busy } = this.#answer;
    renderInto(this.#parent, [this.#asked, users, problem?.message, atMs, busy], () => [
      h(
        'div',
        { class: 'card-head' },
        h('h2', { id: 'accounts-title' }, 'Accounts'),
        h('span', { class: 'muted', role: 'status' }, busy ? 'asking both servers…' : summary(users)),
      ),
      problem === null ? null : problemPanel(problem),
      users === null ? null : list(users),
      h(
        'div',
        { class: 'card-actions' },
        h(
          'button',
          { type: 'button', id: 'accounts-look', class: 'button quiet', disabled: busy, onclick: () => this.#look() },
          'Look again',
        ),
        users === null ? null : this.#remedies(users),
        atMs === null ? null : h('span', { class: 'muted small' }, `as of ${clock(atMs)}`),
      ),
    ]);
  }

  #remedies({ to, users }) {
    const creatable = users.filter(({ state, obstacle }) => state === 'absent' && obstacle === null);
    if (users.every(({ state }) => state === 'same')) return null;
    const { id } = this.#import;
    return [
      h(
        'button',
        { type: 'button', id: 'accounts-script', class: 'button', onclick: () => openScriptDialog(id, to) },
        'Script…',
      ),
      h(
        'button',
        {
          type: 'button',
          id: 'accounts-create',
          class: 'button',
          disabled: creatable.length === 0,
          onclick: () =>
            openCreateAccountsDialog({ id, to, creatable }, (view) => this.#take({ users: view, problem: null })),
        },
        'Create the absent…',
      ),
    ];
  }
}

function summary(users) {
  if (users === null) return '';
  const same = users.users.filter(({ state }) => state === 'same').length;
  return users.users.length === 0
    ? ''
    : `${count(same)} of ${count(users.users.length)} are the same on the ${users.to}`;
}

function list({ from, to, users, serverWide }) {
  const sorted = users.toSorted((left, right) => INTEREST[left.state] - INTEREST[right.state]);
  return [
    users.length === 0
      ? h('p', { class: 'muted' }, `No account of the ${from} has privileges on the schema.`)
      : h(
          'div',
          { class: 'scroll scroll-x', tabindex: 0, 'aria-label': 'Accounts' },
          table(['Account', `On the ${to}`, 'What is to know'], sorted.map(cells), { shown: SHOWN }),
        ),
    serverWide.length === 0
      ? null
      : h(
          'p',
          { class: 'muted small' },
          `By privileges on the whole server only, not brought: ${serverWide.join(', ')}`,
        ),
  ];
}

function cells({ account, isRole, state, obstacle, differences, left, otherHosts }) {
  const notes = [
    ...(obstacle === null ? [] : [obstacle]),
    ...differences,
    ...otherHosts.map((other) => `there is ${other}`),
    ...left.map((what) => `not brought: ${what}`),
  ];
  return [
    [h('code', {}, account), isRole ? h('span', { class: 'chip' }, 'role') : null],
    h('span', { class: `lamp ${LAMP[state]}` }, state),
    notes.length === 0
      ? '–'
      : h(
          'div',
          { class: 'wraps' },
          notes.map((note) => h('p', {}, note)),
        ),
  ];
}
