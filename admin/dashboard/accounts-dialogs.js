import { send } from './api.js';
import { openDialog } from './dialog.js';
import { h } from './dom.js';

const pathOf = (id, action) => `/imports/${encodeURIComponent(id)}/users/${action}`;

export function openCreateAccountsDialog({ id, to, creatable }, onUsers) {
  const go = h('button', { type: 'button', class: 'button primary' }, `Create on the ${to}`);
  openDialog({
    title: 'Create absent accounts',
    body: (dialog) => {
      go.addEventListener('click', async () => {
        const report = await dialog.run(go, () => send('POST', pathOf(id, 'apply')));
        if (report === undefined) return;
        onUsers(report.view);
        go.disabled = true;
        dialog.show(outcome(report));
      });
      return [
        h(
          'p',
          {},
          `They are created on the ${to} with their password hashes and their privileges on the schema; what is there stays as it is.`,
        ),
        h(
          'p',
          { class: 'chips scroll' },
          creatable.map(({ account }) => h('code', { class: 'chip' }, account)),
        ),
        actions(dialog, go),
      ];
    },
  });
}

function outcome({ created, refused }) {
  return [
    h('p', { class: `lamp ${refused.length === 0 ? 'ok' : 'warn'}` }, `${created.length} created`),
    refused.length === 0
      ? null
      : h(
          'ul',
          { class: 'refusals' },
          refused.map(({ account, reason, statement }) =>
            h('li', {}, h('code', {}, account), ` ${reason}`, h('p', { class: 'fix' }, statement)),
          ),
        ),
  ];
}

/** The statements for what is absent or lacking. With blanks for passwords, unless somebody asks for the hashes. */
export function openScriptDialog(id, to) {
  const text = h('pre', { class: 'fix scroll', tabindex: 0, 'aria-label': 'Script' }, '…');
  const hashes = h('input', { type: 'checkbox' });
  const copy = h('button', { type: 'button', class: 'button primary' }, 'Copy');
  const dialog = openDialog({
    title: `Script for the ${to}`,
    wide: true,
    body: (opened) => [
      text,
      h('label', { class: 'inline' }, hashes, 'with password hashes: they are secrets, and asking for them is logged'),
      actions(opened, copy),
    ],
  });
  const load = () =>
    dialog.run(copy, async () => {
      const { script } = await send('POST', pathOf(id, 'script'), { hashes: hashes.checked });
      text.textContent = script === '' ? '-- nothing is absent or lacking' : script;
    });
  hashes.addEventListener('change', load);
  copy.addEventListener('click', () =>
    dialog.run(copy, async () => {
      await navigator.clipboard.writeText(text.textContent);
      dialog.show(h('p', { class: 'lamp ok' }, 'Copied.'));
    }),
  );
  void load();
}

function actions(dialog, go) {
  return h(
    'div',
    { class: 'dialog-actions' },
    h('button', { type: 'button', class: 'button', onclick: dialog.close }, 'Close'),
    go,
  );
}
