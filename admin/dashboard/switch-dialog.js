import { send } from './api.js';
import { openDialog } from './dialog.js';
import { h } from './dom.js';
import { duration } from './format.js';
import { refusalList } from './problem-panel.js';

const WHAT = { replicas: 'replica traffic', primaries: 'primary traffic' };

/** A switch is checked before it is offered: the dialog opens with a dry run, and says what stands against it. */
export function openSwitchDialog(view, { kind, back }, onView) {
  const to = back ? 'source' : 'target';
  const path = `/imports/${encodeURIComponent(view.id)}/switch`;
  const force = h('input', { type: 'checkbox', id: 'force' });
  const check = h('button', { type: 'button', class: 'button' }, 'Dry run');
  const go = h('button', { type: 'button', class: 'button primary', disabled: true }, `Switch to the ${to}`);
  const forceLine = h('label', { class: 'inline force', hidden: true }, force, ' go on in spite of these reasons');
  let refusals = [];

  const update = () => {
    const forceable = refusals.length > 0 && refusals.every((refusal) => refusal.forceable);
    forceLine.hidden = !forceable;
    go.disabled = refusals.length > 0 && !(forceable && force.checked);
  };

  const dialog = openDialog({
    title: `Switch ${WHAT[kind]} to the ${to}`,
    body: () => [h('p', {}, explanation(kind, back)), forceLine, h('div', { class: 'dialog-actions' }, check, go)],
  });

  const dryRun = async () => {
    go.disabled = true;
    dialog.show(h('p', { class: 'muted' }, 'Checking…'));
    const report = await dialog.run(check, () => send('POST', path, { kind, back, dryRun: true }));
    if (report === undefined) return;
    refusals = report.refusals;
    update();
    dialog.show(
      refusals.length === 0
        ? h('p', { class: 'lamp ok' }, `Nothing stands against it. Fence: ${report.fence}.`)
        : [h('p', { class: 'lamp bad' }, 'It would be refused:'), refusalList(refusals)],
      report.warnings.map((warning) => h('p', { class: 'lamp warn' }, warning)),
    );
  };

  check.addEventListener('click', dryRun);
  force.addEventListener('change', update);
  go.addEventListener('click', async () => {
    dialog.show(h('p', { class: 'muted' }, 'Switching…'));
    check.disabled = true;
    const report = await dialog.run(go, () => send('POST', path, { kind, back, force: force.checked }));
    check.disabled = false;
    if (report === undefined) return;
    onView(report.view);
    go.hidden = true;
    check.hidden = true;
    forceLine.hidden = true;
    dialog.show(
      h('p', { class: 'lamp ok' }, `Done: ${WHAT[kind]} is served by the ${to}.`),
      report.pauseMs === null
        ? null
        : h('p', { class: 'pause' }, duration(report.pauseMs), h('span', { class: 'muted small' }, ' pause')),
      report.warnings.map((warning) => h('p', { class: 'lamp warn' }, warning)),
      h(
        'div',
        { class: 'dialog-actions' },
        h('button', { type: 'button', class: 'button', onclick: dialog.close }, 'Close'),
      ),
    );
  });
  void dryRun();
}

function explanation(kind, back) {
  if (kind === 'replicas')
    return back
      ? 'Replica reads go back to the source.'
      : 'Replica reads move to the target; writes stay on the source.';
  return back
    ? 'Writes are held for a moment, the source catches up with the target, then all traffic goes to the source again.'
    : 'Writes are held for a moment, the source refuses further writes, the target catches up, then all traffic goes to the target. The source is kept up to date, so that you can switch back.';
}
