/** Writes the pages that are made from tables in the code: `npm run docs`; `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { ERROR_TABLE } from '../core/error-table.ts';
import { PHASES } from '../core/phase.ts';
import { TRANSITIONS } from '../engine/phase.ts';
import { compatibilityPage } from '../test/conformance/compatibility.ts';
import { SYMPTOM_TABLE } from '../engine/doctor/symptom-table.ts';
import { limitsPage } from '../test/fidelity/limits-table.ts';
import { FINDINGS } from '../engine/preflight/finding-table.ts';
import { REFUSAL_TABLE } from '../engine/switch/refusal-table.ts';

const pages = {
  'docs/compatibility.md': compatibilityPage(),
  'docs/doctor.md': doctorPage(),
  'docs/errors.md': errorsPage(),
  'docs/limits.md': limitsPage(),
  'docs/phases.md': phasesPage(),
  'docs/switch-refusals.md': refusalsPage(),
  'docs/troubleshooting.md': findingsPage(),
};
const check = process.argv.includes('--check');
for (const [file, text] of Object.entries(pages)) {
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is not up to date: run npm run docs`);
    process.exitCode = 1;
  }
}

function errorsPage(): string {
  const rows = Object.entries(ERROR_TABLE)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([code, { kind, meaning, remedy }]) => `## ${code}\n\n${meaning} (*${kind}*)\n\n${remedy}\n`);
  return `# Error codes

Made from \`core/error-table.ts\` by \`npm run docs\`. *refused*: nothing was changed. *retryable*: trying again may help.
*fatal*: the run stops until the remedy is done. *ambiguous*: look before anything else. *usage*: the request is wrong.

${rows.join('\n')}`;
}

function doctorPage(): string {
  const rows = Object.entries(SYMPTOM_TABLE).map(
    ([code, { severity, meaning, remedy, repair }]) =>
      `## ${code}\n\n*${severity}.* ${meaning}\n\n${remedy}${repair === null ? '' : `\n\n\`--repair\`: ${repair}.`}\n`,
  );
  return `# switchyard doctor

Made from \`engine/doctor/symptom-table.ts\` by \`npm run docs\`. \`switchyard doctor ID\` shows the phase, the route, a switch under way,
fences as they are found on both servers, streams, stray writes and what each proxy has confirmed, and names what is wrong.
\`--repair\` does what needs no decision. Exit code 0: nothing is wrong, or all of it was repaired; 1: an error is left. Over HTTP:
\`GET /api/v1/imports/{id}/doctor\` and \`POST /api/v1/imports/{id}/doctor/repair\`.

${rows.join('\n')}`;
}

function findingsPage(): string {
  const entries = Object.entries(FINDINGS).map(
    ([code, { severity, skippable, meaning, fix }]) =>
      `## ${code}\n\n*${severity}${skippable && severity === 'error' ? ', can be skipped' : ''}.* ${meaning}\n\n${fix}\n`,
  );
  return `# Troubleshooting: findings of the validation

Made from \`engine/preflight/finding-table.ts\` by \`npm run docs\`. The finding itself names the table, user or variable and the
statement to run. Errors stop the import; those that can be skipped pass with \`skipValidationErrors\`. Codes of failed requests
and stopped imports are in [errors.md](errors.md).

${entries.join('\n')}`;
}

function phasesPage(): string {
  const rows = PHASES.map((phase) => {
    const moves = Object.entries(TRANSITIONS[phase]).map(
      ([event, next]) => `${event.replaceAll('_', ' ')} → \`${next}\``,
    );
    return `| \`${phase}\` | ${moves.length === 0 ? 'final' : moves.join('; ')} |`;
  });
  return `# Phases

Made from \`engine/phase.ts\` by \`npm run docs\`. Any phase that is not final can become \`error\`; \`resume\` goes back to the
phase it came from. After an error or a crash traffic stays on the last committed route.

| phase | what can follow |
| --- | --- |
${rows.join('\n')}

| phase | primary traffic | replica traffic | streams |
| --- | --- | --- | --- |
| pending, copying | source | source (its replica host if set) | source → target, after the copy |
| running, verifying_data, verified_data | source | source (its replica host if set) | source → target |
| switching_replicas | source | held for a moment | source → target |
| switched_replicas | source | target | source → target |
| switching_primaries | held for a moment | held too, where it follows or shares the server that primary traffic leaves | draining |
| switched_primaries | target | target | target → source |
| completed | target | target | none |

Where primary and replica traffic are on different sides, writes over the replica endpoint are refused ([ADR 26](adr/0026-replica-traffic-does-not-write.md)).

While replica traffic or all traffic is on the target a verification has no phase of its own: it runs in \`switched_replicas\` and \`switched_primaries\` (\`verify.state\`, [ADR 30](adr/0030-verified-while-the-target-is-primary.md)). In the latter it is refused with \`reverse: off\`.

With \`reverse: always\` target → source runs as well whenever source → target does, and the source wins; with \`reverse: off\` never.

From \`error\` an import is resumed into the phase that it was in, and is cancelled or completed where that phase allows it.
`;
}

function refusalsPage(): string {
  const rows = Object.entries(REFUSAL_TABLE).map(
    ([code, { forceable, meaning, remedy }]) =>
      `| \`${code}\` | ${forceable ? 'force' : ''} | ${meaning} | ${remedy} |`,
  );
  return `# Why a switch is refused

Made from \`engine/switch/refusal-table.ts\` by \`npm run docs\`. A refused switch is the error \`SWITCH_REFUSED\`; its details list every reason at once, as does a dry run. Those marked *force*
are passed with \`--force\`; the event log has who asked, and each reason that was passed. Nothing has been held or changed.

| code | force | meaning | what to do |
| --- | --- | --- | --- |
${rows.join('\n')}

While another request runs, \`OPERATION_IN_PROGRESS\`; while the engine does not answer, \`ENGINE_UNAVAILABLE\`: the request is then
not handed to it. Younger transactions, and statements that run on their own, which do not end within \`drainBudgetMs\` do not refuse a switch but undo it after
three attempts (\`SWITCH_ROLLED_BACK\`, each session is named); \`switch … --drain-budget-ms\` waits longer for them, once; with \`drainPolicy: close-sessions\`, or \`switch … --policy close-sessions\`, the sessions are ended in the last attempt,
with an error that says so.

Behind the fence the rows that were written last are compared as well, where the import is verified: a difference undoes the switch
(\`SWITCH_ROLLED_BACK\`, because \`VERIFY_DIFFERENT\`), and so does DDL that came in the last moment, unless its table is compared anew within the same time.

Warnings refuse nothing: writes over the replica endpoint are refused from this switch on (\`REPLICA_WRITES\`, [ADR 26](adr/0026-replica-traffic-does-not-write.md)), accounts that the other side lacks or has otherwise (\`USER_ABSENT\`, \`USER_DIFFERENT\`), a stale verification, obstacles to stronger fences, limits of the one taken, sessions through the
proxy in schemas that do not move, a fence of triggers on so many tables that it may outlast the pause deadline (\`FENCE_SLOW\`: \`switch … --pause-deadline-ms\` gives this switch a longer one), and \`FENCE_PASSED_BY\`: an account with administrative privileges that the fence does not stop and that has
grants or a direct session in the schema.
`;
}
