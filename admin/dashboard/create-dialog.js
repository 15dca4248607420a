import { send } from './api.js';
import { field, openDialog } from './dialog.js';
import { h } from './dom.js';
import { findings } from './facts.js';
import { bytes, count } from './format.js';

const TLS_MODES = ['disabled', 'preferred', 'required', 'verify_ca', 'verify_identity'];
const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/** The form of a new import: check first, then create. */
export function openCreateDialog(onView) {
  const check = h('button', { type: 'submit', class: 'button', value: 'check' }, 'Check');
  const create = h('button', { type: 'submit', class: 'button primary', value: 'create' }, 'Create import');
  openDialog({
    title: 'New import',
    wide: true,
    body: (dialog) =>
      h(
        'form',
        {
          onsubmit: async (event) => {
            event.preventDefault();
            const request = requestOf(new FormData(event.target));
            if (event.submitter?.value === 'check') {
              const report = await dialog.run(check, () => send('POST', '/validate', request));
              if (report !== undefined) dialog.show(reportNodes(report));
              return;
            }
            const view = await dialog.run(create, () => send('POST', '/imports', request));
            if (view === undefined) return;
            onView(view);
            dialog.close();
          },
        },
        h(
          'div',
          { class: 'field-row' },
          field(
            'Name of the import',
            h('input', {
              name: 'id',
              required: true,
              pattern: '[a-z0-9][a-z0-9\\-]{0,62}',
              placeholder: 'shop',
              autocomplete: 'off',
            }),
            'lower-case letters, digits, dashes',
          ),
          field(
            'Database',
            h('input', { name: 'database', required: true, maxlength: 64, placeholder: 'shop', autocomplete: 'off' }),
          ),
          field(
            'Tables',
            h('input', { name: 'tables', placeholder: 'all', autocomplete: 'off' }),
            'separated by commas; empty: all',
          ),
        ),
        h('fieldset', {}, h('legend', {}, 'Source'), serverFields('source', true)),
        h('details', {}, h('summary', {}, 'Another target than the configured one'), serverFields('target', false)),
        h('details', {}, h('summary', {}, 'Advanced'), advancedFields()),
        h('div', { class: 'dialog-actions' }, check, create),
      ),
  });
}

function serverFields(side, required) {
  const name = (key) => `${side}.${key}`;
  return [
    h(
      'div',
      { class: 'field-row' },
      field(
        'Host',
        h('input', {
          name: name('host'),
          required,
          autocomplete: 'off',
          spellcheck: 'false',
          placeholder: 'db.example',
        }),
      ),
      field('Port', h('input', { name: name('port'), type: 'number', min: 1, max: 65535, value: 3306 })),
      field('User', h('input', { name: name('user'), required, autocomplete: 'off', spellcheck: 'false' })),
      field('Password', h('input', { name: name('password'), type: 'password', autocomplete: 'new-password' })),
    ),
    h(
      'details',
      { class: 'inner' },
      h('summary', {}, 'TLS'),
      h(
        'div',
        { class: 'field-row' },
        field('Mode', select(name('tls.mode'), TLS_MODES, 'preferred')),
        field('Lowest version', select(name('tls.minVersion'), TLS_VERSIONS, 'TLSv1.2')),
        field(
          'Server name',
          h('input', { name: name('tls.serverName'), autocomplete: 'off' }),
          'where it is not the host',
        ),
      ),
      h(
        'div',
        { class: 'field-row' },
        ['ca', 'cert', 'key'].map((key) =>
          field(
            { ca: 'CA certificates', cert: 'Client certificate', key: 'Client key' }[key],
            h('textarea', { name: name(`tls.${key}`), rows: 2, spellcheck: 'false', placeholder: 'PEM' }),
          ),
        ),
      ),
    ),
  ];
}

function advancedFields() {
  const number = (name, value, min, max) => h('input', { name: `options.${name}`, type: 'number', value, min, max });
  return [
    h(
      'div',
      { class: 'field-row' },
      field('Replica host', h('input', { name: 'replicaHost.host', autocomplete: 'off' })),
      field('Replica port', h('input', { name: 'replicaHost.port', type: 'number', value: 3306, min: 1, max: 65535 })),
      field('Import connections', number('connections', 4, 1, 100)),
      field('DDL while replicating', select('options.ddl', ['STOP', 'IGNORE', 'EXEC', 'EXEC_IGNORE'], 'STOP')),
      field(
        'Fence',
        select('options.fence', ['auto', 'read_only', 'triggers', 'accounts', 'lock_tables', 'none'], 'auto'),
      ),
      field(
        'Writes of the target to the source',
        select('options.reverse', ['off', 'from_switch', 'always'], 'from_switch'),
      ),
      field('Accounts that the target lacks', select('options.users', ['ignore', 'report', 'create'], 'report')),
      field('Largest lag at a switch, ms', number('maxLagMs', 10_000, 100, 600_000)),
      field('Longest pause, ms', number('pauseDeadlineMs', 5000, 500, 120_000)),
      field('Longest wait for transactions, ms', number('drainBudgetMs', 2000, 100, 60_000)),
    ),
    h(
      'label',
      { class: 'inline' },
      h('input', { type: 'checkbox', name: 'options.deferIndexes', checked: true }),
      ' add secondary indexes after the rows',
    ),
    h(
      'label',
      { class: 'inline' },
      h('input', { type: 'checkbox', name: 'options.skipValidationErrors' }),
      ' skip errors that can be skipped; all tables are imported then',
    ),
  ];
}

function select(name, values, chosen) {
  return h(
    'select',
    { name },
    values.map((value) => h('option', { value, selected: value === chosen }, value)),
  );
}

function requestOf(form) {
  const text = (name) => String(form.get(name) ?? '').trim();
  const number = (name) => Number(text(name));
  const tables = text('tables')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return {
    id: text('id'),
    database: text('database'),
    tables: tables.length === 0 ? 'all' : tables,
    source: serverOf('source', form, text),
    ...(text('target.host') === '' ? {} : { target: serverOf('target', form, text) }),
    replicaHost:
      text('replicaHost.host') === '' ? null : { host: text('replicaHost.host'), port: number('replicaHost.port') },
    options: {
      deferIndexes: form.has('options.deferIndexes'),
      skipValidationErrors: form.has('options.skipValidationErrors'),
      ddl: text('options.ddl'),
      fence: text('options.fence'),
      reverse: text('options.reverse'),
      users: text('options.users'),
      connections: number('options.connections'),
      maxLagMs: number('options.maxLagMs'),
      pauseDeadlineMs: number('options.pauseDeadlineMs'),
      drainBudgetMs: number('options.drainBudgetMs'),
    },
  };
}

function serverOf(side, form, text) {
  const tls = Object.fromEntries(
    ['mode', 'minVersion', 'serverName', 'ca', 'cert', 'key']
      .map((key) => [key, text(`${side}.tls.${key}`)])
      .filter(([, value]) => value !== ''),
  );
  return {
    host: text(`${side}.host`),
    port: Number(text(`${side}.port`)),
    user: text(`${side}.user`),
    password: String(form.get(`${side}.password`) ?? ''),
    tls,
  };
}

function reportNodes({ ok, source, target, findings: list, tables }) {
  const server = (facts) => (facts === null ? 'not reached' : `${facts.flavor} ${facts.version}`);
  const rows = tables.reduce((sum, { rowsEstimate }) => sum + rowsEstimate, 0);
  const size = tables.reduce((sum, table) => sum + table.bytes, 0);
  return [
    h(
      'p',
      { class: `lamp ${ok ? 'ok' : 'bad'}` },
      ok ? 'The import can be created.' : 'The import cannot be created yet.',
    ),
    h(
      'p',
      { class: 'muted' },
      `Source ${server(source)} · target ${server(target)} · ${tables.length} tables, about ${count(rows)} rows, ${bytes(size)}`,
    ),
    findings(list, { heading: false }),
  ];
}
