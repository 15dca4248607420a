import { h } from './dom.js';
import { problemPanel } from './problem-panel.js';

/**
 * A modal dialog that is removed when closed. `body(dialog)` draws its content; `dialog.show(node)` puts an outcome
 * under it, `dialog.run(button, work)` runs `work` with the button busy and shows a refusal.
 */
export function openDialog({ title, wide = false, body }) {
  const outcome = h('div', { class: 'outcome', 'aria-live': 'polite' });
  const titleId = `dialog-${Math.random().toString(36).slice(2)}`;
  const element = h('dialog', { class: wide ? 'wide' : null, 'aria-labelledby': titleId });
  const dialog = {
    element,
    close: () => element.close(),
    show: (...nodes) => outcome.replaceChildren(...nodes.flat(3).filter(Boolean)),
    run: async (button, work) => {
      button.disabled = true;
      button.classList.add('working');
      try {
        return await work();
      } catch (error) {
        dialog.show(problemPanel(error));
        return undefined;
      } finally {
        button.classList.remove('working');
        button.disabled = false;
      }
    },
  };
  element.append(
    h(
      'div',
      { class: 'dialog-head' },
      h('h2', { id: titleId }, title),
      h('button', { type: 'button', class: 'button quiet', 'aria-label': 'Close', onclick: dialog.close }, '✕'),
    ),
    ...[body(dialog)].flat(3).filter(Boolean),
    outcome,
  );
  element.addEventListener('close', () => element.remove());
  document.body.append(element);
  element.showModal();
  return dialog;
}

let fields = 0;

/** A control with its label, and a hint that does not become part of the label. */
export function field(label, control, hint = '') {
  fields += 1;
  control.id = `field-${fields}`;
  if (hint !== '') control.setAttribute('aria-describedby', `${control.id}-hint`);
  return h(
    'div',
    { class: 'field' },
    h('label', { class: 'field-label', for: control.id }, label),
    control,
    hint === '' ? null : h('span', { class: 'hint', id: `${control.id}-hint` }, hint),
  );
}
