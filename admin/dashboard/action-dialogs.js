import { send } from './api.js';
import { field, openDialog } from './dialog.js';
import { h } from './dom.js';

const pathOf = (view, action) => `/imports/${encodeURIComponent(view.id)}/${action}`;

/** A dialog with one button that does `work`; closes when that succeeded. */
function ask({ title, text, button, danger = false, content = null, ready = () => true, work }, onView) {
  const go = h('button', { type: 'submit', class: `button ${danger ? 'danger' : 'primary'}` }, button);
  const update = () => (go.disabled = !ready());
  openDialog({
    title,
    body: (dialog) =>
      h(
        'form',
        {
          oninput: update,
          onsubmit: async (event) => {
            event.preventDefault();
            const view = await dialog.run(go, work);
            if (view === undefined) return;
            onView(view);
            dialog.close();
          },
        },
        h('p', {}, text),
        content,
        h(
          'div',
          { class: 'dialog-actions' },
          h('button', { type: 'button', class: 'button', onclick: dialog.close }, 'Not now'),
          go,
        ),
      ),
  });
  update();
}

export function openCompleteDialog(view, onView) {
  const typed = h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false' });
  ask(
    {
      title: 'Complete the import',
      text: 'Replication back to the source stops and the stored credentials are erased. There is no way back after this.',
      content: field(`Type ${view.id} to confirm`, typed),
      button: 'Complete for good',
      danger: true,
      ready: () => typed.value === view.id,
      work: () => send('POST', pathOf(view, 'complete'), { confirm: typed.value }),
    },
    onView,
  );
}

export function openRepairDialog(view, onView) {
  const rows = view.verify.tables.reduce((sum, { differencesTotal }) => sum + differencesTotal, 0);
  const { primary } = view.verify;
  const other = primary === 'source' ? 'target' : 'source';
  ask(
    {
      title: 'Repair differing rows',
      text: `${rows} rows of the ${other} are written anew as they are on the ${primary}, and compared again. What they were is kept in _switchyard.verify_repairs there; why they differed stays to be found.`,
      button: `Repair on the ${other}`,
      danger: true,
      work: async () => (await send('POST', pathOf(view, 'verify/repair'))).view,
    },
    onView,
  );
}

export function openCancelDialog(view, onView) {
  ask(
    {
      title: 'Cancel the import',
      text: `The tables that Switchyard created on the target are dropped. The source stays as it is, and traffic stays on it.`,
      button: 'Cancel the import',
      danger: true,
      work: () => send('POST', pathOf(view, 'cancel')),
    },
    onView,
  );
}

export function openResumeDialog(view, onView) {
  const ddl = (view.error?.code ?? '').startsWith('DDL_');
  const choice = h(
    'select',
    {},
    h('option', { value: 'skip' }, 'leave it out: I made the change on the target'),
    h('option', { value: 'apply' }, 'run it on the target'),
  );
  ask(
    {
      title: 'Resume the import',
      text: view.error === null ? 'Go on where it stopped.' : `Go on where it stopped. First do: ${view.error.remedy}`,
      content: ddl ? field('The DDL statement', choice) : null,
      button: 'Resume',
      work: () => send('POST', pathOf(view, 'resume'), ddl ? { ddl: choice.value } : {}),
    },
    onView,
  );
}

export function openReplicaHostDialog(view, onView) {
  const host = h('input', {
    type: 'text',
    value: view.replicaHost?.host ?? '',
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: 'replica.example',
  });
  const port = h('input', { type: 'number', min: 1, max: 65535, value: view.replicaHost?.port ?? 3306 });
  ask(
    {
      title: 'Replica host of the source',
      text: 'Replica traffic goes there while the source serves it. Leave the host empty to use the primary.',
      content: h('div', { class: 'field-row' }, field('Host', host), field('Port', port)),
      button: 'Save',
      work: () =>
        host.value.trim() === ''
          ? send('DELETE', pathOf(view, 'replica-host'))
          : send('PUT', pathOf(view, 'replica-host'), { host: host.value.trim(), port: Number(port.value) }),
    },
    onView,
  );
}

/** Asked for after a 401; resolves with what was typed. */
export function askForToken() {
  const { promise, resolve } = Promise.withResolvers();
  const token = h('input', { type: 'password', autocomplete: 'current-password', required: true });
  const dialog = openDialog({
    title: 'Token needed',
    body: ({ close }) =>
      h(
        'form',
        {
          onsubmit: (event) => {
            event.preventDefault();
            close();
          },
        },
        h(
          'p',
          {},
          'This admin API asks for its token (admin.token of the configuration). It is kept until this tab is closed.',
        ),
        field('Token', token),
        h('div', { class: 'dialog-actions' }, h('button', { type: 'submit', class: 'button primary' }, 'Continue')),
      ),
  });
  dialog.element.addEventListener('close', () => resolve(token.value.trim()));
  return promise;
}
