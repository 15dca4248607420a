import { h, prose } from './dom.js';
import { clock, phaseName } from './format.js';

/** What went wrong, its code and what to do; a refused switch with every reason. */
export function problemPanel(
  { code, message, remedy, details = {} },
  { title = 'That did not work', extra = null } = {},
) {
  const refusals = Array.isArray(details.refusals) ? details.refusals : [];
  const failed = Array.isArray(details.findings) ? details.findings.filter(({ severity }) => severity === 'error') : [];
  return h(
    'div',
    { class: 'problem', role: 'alert' },
    h('p', { class: 'problem-head' }, h('strong', {}, title), h('code', {}, code)),
    refusals.length + failed.length === 0 ? h('p', {}, message) : null,
    refusals.length > 0 ? refusalList(refusals) : null,
    failed.length > 0
      ? h(
          'ul',
          {},
          failed.map((finding) =>
            h(
              'li',
              {},
              h('code', {}, finding.code),
              ` ${finding.subject ?? ''} ${finding.message} `,
              h('span', { class: 'fix' }, finding.fix),
            ),
          ),
        )
      : null,
    remedy === '' ? null : h('p', { class: 'remedy' }, h('strong', {}, 'What to do: '), prose(remedy)),
    extra,
  );
}

/** What to do comes once for each code. */
export function refusalList(refusals) {
  return h(
    'ul',
    { class: 'refusals' },
    refusals.map(({ code, message, forceable, remedy }, at) =>
      h(
        'li',
        {},
        h('code', {}, code),
        ` ${message}`,
        forceable ? h('span', { class: 'chip' }, 'can be forced') : null,
        refusals.findLastIndex((other) => other.code === code) === at
          ? h('p', { class: 'muted small' }, prose(remedy))
          : null,
      ),
    ),
  );
}

export function importError(error) {
  if (error === null) return [];
  return problemPanel(error, { title: `Stopped in ${phaseName(error.fromPhase)} at ${clock(error.atMs)}` });
}
