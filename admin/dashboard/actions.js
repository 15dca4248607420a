import {
  openCancelDialog,
  openCompleteDialog,
  openRepairDialog,
  openReplicaHostDialog,
  openResumeDialog,
} from './action-dialogs.js';
import { send } from './api.js';
import { h } from './dom.js';
import { allows } from './phases.js';
import { openSwitchDialog } from './switch-dialog.js';

/** The buttons; those that the phase does not allow are there, disabled, so that the way ahead can be seen. */
export function actions(view, { onView, onProblem }) {
  const button = (action, label, onclick, kind = '') =>
    h(
      'button',
      { type: 'button', id: `action-${action}`, class: `button ${kind}`, disabled: !allows(view, action), onclick },
      label,
    );
  const next = nextAction(view);
  const emphasis = (action) => (action === next ? 'primary' : '');
  const verify = (action) => async (event) => {
    event.currentTarget.disabled = true;
    try {
      onView(await send('POST', `/imports/${encodeURIComponent(view.id)}/verify${action}`));
    } catch (error) {
      onProblem(error);
    }
  };
  const hasStopped = view.verify?.state === 'paused' || view.verify?.state === 'failed';
  const back = view.phase === 'switched_primaries' ? 'primaries' : 'replicas';
  const backAction = back === 'primaries' ? 'switchBackPrimaries' : 'switchBackReplicas';
  return [
    button('verify', hasStopped ? 'Verify anew' : 'Verify data', verify(''), emphasis('verify')),
    view.verify?.state === 'running' ? button('pauseVerification', 'Pause', verify('/pause')) : null,
    hasStopped && view.verify.position !== null
      ? button('resumeVerification', 'Go on verifying', verify('/resume'), 'primary')
      : null,
    view.verify?.state === 'different'
      ? button('repairDifferences', 'Repair rows…', () => openRepairDialog(view, onView))
      : null,
    button('switchReplicas', 'Switch replicas…', () =>
      openSwitchDialog(view, { kind: 'replicas', back: false }, onView),
    ),
    button(
      'switchPrimaries',
      'Switch primaries…',
      () => openSwitchDialog(view, { kind: 'primaries', back: false }, onView),
      emphasis('switchPrimaries'),
    ),
    button(backAction, 'Switch back…', () => openSwitchDialog(view, { kind: back, back: true }, onView)),
    button('complete', 'Complete…', () => openCompleteDialog(view, onView), emphasis('complete')),
    h('span', { class: 'spacer' }),
    view.phase === 'error' ? button('resume', 'Resume…', () => openResumeDialog(view, onView), 'primary') : null,
    button('replicaHost', 'Replica host…', () => openReplicaHostDialog(view, onView), 'quiet'),
    button('cancel', 'Cancel import…', () => openCancelDialog(view, onView), 'quiet danger-text'),
  ];
}

/** What most people do next. */
function nextAction({ phase, verify }) {
  // What differs, or has stopped on its way, is for people to judge.
  if ((phase === 'running' || phase === 'switched_replicas') && verify?.state !== 'equal')
    return verify === null || verify.state === 'stale' ? 'verify' : '';
  if (phase === 'running' || phase === 'verified_data' || phase === 'switched_replicas') return 'switchPrimaries';
  return phase === 'switched_primaries' ? 'complete' : '';
}
