import { h } from './dom.js';
import { clock } from './format.js';

const LINES_MAX = 1000;
const RANK = { debug: 0, info: 1, warn: 2, error: 3 };

/** The log of the chosen import; follows the newest line unless the reader scrolled up. */
export class LogView {
  #element;
  #entries = [];
  #level = 'info';

  constructor(element) {
    this.#element = element;
  }

  reset(entries) {
    this.#entries = entries.slice(-LINES_MAX);
    this.#redraw();
  }

  setLevel(level) {
    this.#level = level;
    this.#redraw();
  }

  add(entry) {
    this.#entries.push(entry);
    if (this.#entries.length > LINES_MAX) this.#entries.shift();
    if (!this.#visible(entry)) return;
    const atEnd = this.#element.scrollHeight - this.#element.scrollTop - this.#element.clientHeight < 24;
    if (this.#element.querySelector('.log-empty') !== null) this.#element.replaceChildren();
    this.#element.append(line(entry));
    while (this.#element.childElementCount > LINES_MAX) this.#element.firstElementChild.remove();
    if (atEnd) this.#element.scrollTop = this.#element.scrollHeight;
  }

  #redraw() {
    const lines = this.#entries.filter((entry) => this.#visible(entry)).map(line);
    this.#element.replaceChildren(
      ...(lines.length === 0 ? [h('p', { class: 'log-empty muted' }, 'Nothing yet.')] : lines),
    );
    this.#element.scrollTop = this.#element.scrollHeight;
  }

  #visible({ level }) {
    return RANK[level] >= RANK[this.#level];
  }
}

function line({ atMs, level, message, details }) {
  const more = details === undefined || Object.keys(details).length === 0 ? '' : ` ${JSON.stringify(details)}`;
  return h(
    'p',
    { class: `log-line ${level}` },
    h('time', { datetime: new Date(atMs).toISOString() }, clock(atMs)),
    h('span', { class: 'log-level' }, level),
    h('span', { class: 'log-text' }, message, h('span', { class: 'muted' }, more)),
  );
}
