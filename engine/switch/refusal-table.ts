import type { SwitchRefusal } from '../api.ts';

interface RefusalEntry {
  /** Whether `--force` passes it. */
  forceable: boolean;
  meaning: string;
  /** What the operator does; for one that may be forced also what that means. */
  remedy: string;
}

/** Reasons against a switch, each in one place. `docs/switch-refusals.md` is generated from it. */
export const REFUSAL_TABLE = {
  SERVER_NOT_ASKED: {
    forceable: false,
    meaning:
      "A server does not answer, or refuses what it is asked; the message has its words, and what is not known for that reason. The switch needs both servers: there is no going over to one while the other's last writes cannot be had.",
    remedy: 'Bring the server back, or give what it refuses; then try again.',
  },
  STREAM_NOT_RUNNING: {
    forceable: false,
    meaning: 'Replication to the new primary does not run; with `reverse: always` also the write-back to the source.',
    remedy: 'See the error of the import (`switchyard import show ID`), remove it and `switchyard resume ID`.',
  },
  LAG_TOO_HIGH: {
    forceable: false,
    meaning:
      'The new primary was not caught up within `maxLagMs`; with `reverse: always` also: what testers wrote on the target was not judged within it.',
    remedy: 'Wait until the lag is gone, or find what loads the servers, or holds locks on the new primary.',
  },
  REVERSE_OFF: {
    forceable: false,
    meaning: 'The import has `reverse: off`: the source does not have what was written on the target.',
    remedy: 'None: there is no way back; the switch to the target warned of it.',
  },
  VERIFICATION_NOT_EQUAL: {
    forceable: true,
    meaning: 'The last verification found differing rows, or did not finish.',
    remedy:
      '`switchyard import show ID` lists the rows; `switchyard verify ID --repair` writes them as they are on the primary, `switchyard verify ID` (`--resume`) compares all. Forced, rows stay as they are.',
  },
  VERIFICATION_RUNNING: {
    forceable: true,
    meaning: 'A verification runs, begun while replica traffic or all traffic was on the target.',
    remedy:
      'Wait for its verdict, or `switchyard verify ID --pause`. Forced, it is paused, does not go on behind the switch, and nobody has compared all rows.',
  },
  VERIFICATION_NEEDED: {
    forceable: true,
    meaning:
      'The source does not log what its foreign keys change, and the import was not verified ([ADR 22](adr/0022-cascades-that-are-not-logged.md)).',
    remedy:
      '`switchyard verify ID`. Forced, nobody has compared what foreign keys did during the copy, and the next switch to the target asks again.',
  },
  VERIFICATION_BEHIND: {
    forceable: true,
    meaning:
      '(There and back) rows were written since the verification faster than they could be compared again, or tables that DDL has changed are still compared anew (the state `rechecking`): what that takes is waited for 10 s long, forced 1 s.',
    remedy:
      'Wait (`switchyard import show ID` names rows and tables), or switch when less is written. Forced, the verification is stale where not all is compared at the decision.',
  },
  DIRECT_CONNECTIONS: {
    forceable: true,
    meaning:
      'Sessions on the old primary bypass the proxy and use the schema or may write to it; each is named with user, address, program and default schema. Or they could not be looked for, since a proxy or the server did not answer.',
    remedy: 'Point those programs at the proxy. Forced, the fence refuses their writes from the switch on.',
  },
  FENCE_IMPOSSIBLE: {
    forceable: false,
    meaning: 'No form of the fence is possible; every obstacle is named.',
    remedy: 'Give the grants ([grants.md](grants.md)), or create the import with `fence: none`.',
  },
  FENCE_LEFT: {
    forceable: false,
    meaning:
      'The fence of an earlier switch could not be taken away: its server does not answer, or a transaction there holds a table whose triggers it is (the message says `Lock wait timeout`).',
    remedy: 'Bring the server back, or end that transaction; `switchyard doctor ID` shows it.',
  },
  XA_PREPARED: {
    forceable: false,
    meaning:
      'XA transactions are prepared on the old primary: their clients could commit them there alone. Or on the new one: with `reverse: always` by testers on the target, where the end of the write-back would wait for them; or where a fence of triggers stands, which cannot be taken from tables that they hold. Asked again behind the fence: one that was prepared meanwhile undoes the switch (`SWITCH_ROLLED_BACK`, because `XA_PREPARED`).',
    remedy: 'Commit them or roll them back; `XA RECOVER` shows them.',
  },
  DESTINATION_READ_ONLY: {
    forceable: false,
    meaning: 'The new primary is `read_only`, and not by Switchyard.',
    remedy: 'Find out why it is, then `SET GLOBAL read_only = OFF` there.',
  },
  STRAY_WATCH_BEHIND: {
    forceable: true,
    meaning:
      'Whether writes reached the old primary past the fence is not known: its log was not read to its end in time.',
    remedy:
      'Try again; the log of the import says why where its log cannot be read: then `switchyard verify ID` finds the rows themselves, and `--repair` puts those of the target in their place. Forced, the rest of the log is looked through behind the switch: what is found stays on the source alone and is kept (`switchyard stray list ID`); where the log is gone, nobody tells of it but a verification.',
  },
  STRAY_WRITES_UNAPPLIED: {
    forceable: true,
    meaning: 'Writes reached the old primary past the fence, and are not on the new one.',
    remedy:
      '`switchyard stray list ID` shows them, `switchyard stray apply ID` applies them. Forced, they stay on the source alone.',
  },
  TABLES_LEFT_BEHIND: {
    forceable: true,
    meaning:
      'Tables of the database are on the old primary alone: created since the import began and left out by the DDL policy or the operator, never part of it, or imported and dropped on the other side past Switchyard. They are not replicated.',
    remedy:
      'Drop them, or create and fill them on the other side by hand; an import made anew takes them along. One that was imported is only created there by hand (`resume` where the import has stopped for it): its fence lets nobody fill it but `switchyard verify ID` and `switchyard verify ID --repair`. Forced, applications do not find them, and one that was imported is not replicated from then on.',
  },
  SESSION_CANNOT_MOVE: {
    forceable: true,
    meaning:
      "A session of the proxy could not log in, or be restored, on the other side; the message has the server's own words.",
    remedy: 'Create the user there (`switchyard users ID --apply`). Forced, such a session is closed with an error.',
  },
  SESSION_PINNED: {
    forceable: true,
    meaning:
      'A session of the proxy has had something that only its server has (a user lock, a temporary table, LOCK TABLES …) for as long as a drain lasts; with `drainPolicy: close-sessions` a warning, and it is ended.',
    remedy:
      'Let its program end it, or KILL it, or `--policy close-sessions`. Forced, traffic is held for it `drainBudgetMs` long, three times at most, and the switch is undone where it does not let go.',
  },
  TRANSACTIONS_OPEN: {
    forceable: true,
    meaning:
      'Sessions of the proxy have had a transaction open for longer than 10 s and five times `drainBudgetMs`: it will hardly end while traffic is held for it. Each is named with user, address and age, the oldest first; with `drainPolicy: close-sessions` a warning, and they are ended.',
    remedy:
      'Let their programs end them, KILL them, or `--policy close-sessions`; `switchyard sessions` shows the age of each. Forced, as SESSION_PINNED.',
  },
} as const satisfies Record<string, RefusalEntry>;

export type RefusalCode = keyof typeof REFUSAL_TABLE;

export function refusal(code: RefusalCode, message: string): SwitchRefusal {
  const { forceable, remedy } = REFUSAL_TABLE[code];
  // Links are for the page.
  return { code, message, forceable, remedy: remedy.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1') };
}
