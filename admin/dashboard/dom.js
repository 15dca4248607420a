/**
 * An element. `props`: attributes; `on…` handlers; `class`; `style` as an object of CSS properties (set through the
 * CSSOM, since the content security policy forbids style attributes). Children are nodes or text, never markup: what
 * comes from a database stays text.
 */
export function h(name, props = {}, ...children) {
  return fill(document.createElement(name), props, children);
}

export function svg(name, props = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), props, children);
}

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'style')
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else if (key === 'value' || key === 'checked') element[key] = value;
    else element.setAttribute(key, value === true ? '' : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Our own prose: what stands between backticks is code. */
export function prose(text) {
  return text.split('`').map((part, at) => (at % 2 === 1 ? h('code', {}, part) : part));
}

export const byId = (id) => document.getElementById(id);

const shown = new WeakMap();

/** Draws `render()` into `parent` when `input` differs from the last time: keeps focus, selection and scrolling. */
export function renderInto(parent, input, render) {
  const key = JSON.stringify(input);
  if (shown.get(parent) === key) return;
  shown.set(parent, key);
  const focused = parent.contains(document.activeElement) ? document.activeElement.id : '';
  parent.replaceChildren(...[render()].flat(3).filter(Boolean));
  if (focused !== '') byId(focused)?.focus();
}
