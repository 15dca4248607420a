/** What `switchyard doctor` finds. `meaning` and `remedy` are for people; a symptom with `repair` can be repaired safely. */
export interface SymptomEntry {
  severity: 'error' | 'warning';
  meaning: string;
  remedy: string;
  /** What `--repair` does; null where only a person can decide. */
  repair: string | null;
}

export const SYMPTOM_TABLE = {
  SERVER_AWAY: {
    severity: 'error',
    meaning: 'A database server does not answer, so what is on it was not looked at.',
    remedy: 'Bring the server or the network back; Switchyard connects again by itself.',
    repair: null,
  },
  CREDENTIALS_REFUSED: {
    severity: 'error',
    meaning: 'A server refuses the login of the Switchyard user: its password, its account or its grants were changed.',
    remedy: 'Give the account back as the import was created with it.',
    repair: null,
  },
  IMPORT_FAILED: {
    severity: 'error',
    meaning: 'The import stopped with an error; traffic stays where it was.',
    remedy: 'Remove the reason, then `switchyard resume`.',
    repair: null,
  },
  STATE_OUTDATED: {
    severity: 'error',
    meaning:
      'The servers tell of a decision about traffic that this Switchyard does not know: its data directory is an old copy, or was restored from an old backup. Traffic is held, nothing else is judged or repaired.',
    remedy:
      'First make sure that no other Switchyard runs this import: if one does, end this one. Put the newest data directory back if there is one. Otherwise repair: route, phase and fence become what the servers tell, and everything goes on from there; verify anew.',
    repair: 'take over route, phase and fence from the servers, where they tell one thing',
  },
  SWITCH_INTERRUPTED: {
    severity: 'error',
    meaning: 'A switch was begun and not brought to an end, and none is running now.',
    remedy: 'Repair: what was decided is finished, what was not is undone, as the route says.',
    repair: 'finish the switch where the route shows its decision, undo it where it does not',
  },
  TRAFFIC_HELD: {
    severity: 'error',
    meaning: 'The route holds traffic although no switch is under way.',
    remedy: 'Repair: traffic goes on on the side that the route names.',
    repair: 'end the hold, on the side that the route names',
  },
  ROUTE_AND_PHASE_DIFFER: {
    severity: 'error',
    meaning: 'The route sends primary traffic to another side than the phase of the import says.',
    remedy: 'The route is what counts. Look at the log of the import, and ask for help before switching again.',
    repair: null,
  },
  PRIMARY_FENCED: {
    severity: 'error',
    meaning: 'A fence of Switchyard stands on the server that is primary: application writes are refused.',
    remedy: 'Repair: it is taken away.',
    repair: 'take the fence away, once both servers have told that it is not of a later switch',
  },
  PRIMARY_READ_ONLY: {
    severity: 'error',
    meaning: 'The server that is primary is read_only, and not by a fence that Switchyard knows of.',
    remedy: 'Find out who set it; `SET GLOBAL read_only=OFF` when that was a mistake.',
    repair: null,
  },
  FENCE_MISSING: {
    severity: 'error',
    meaning: 'The old primary is not fenced, although the last switch put a fence there: writes past the proxy get in.',
    remedy: 'Repair: it is put back. Then look at `switchyard stray list`.',
    repair: 'put the fence back',
  },
  EVENTS_LEFT: {
    severity: 'error',
    meaning:
      'The last switch could not enable the events on the new primary, or disable them on the old one, since that server did not answer: scheduled jobs do not run, or would on the wrong side.',
    remedy: 'Switchyard goes on trying by itself; repair: at once. The log says what the server answers.',
    repair: 'enable them on the primary, disable them on the other side',
  },
  FENCE_LEFT: {
    severity: 'error',
    meaning:
      'A fence that should be gone could not be taken away, since its server did not answer, or a transaction there holds a table of it.',
    remedy: 'Repair, or wait: it is tried again while the server is away.',
    repair: 'take the fence away',
  },
  READ_ONLY_PERSISTED: {
    severity: 'error',
    meaning: 'read_only is persisted on the server that is primary: after a restart it would refuse writes.',
    remedy: 'Repair: what is persisted is removed.',
    repair: 'remove the persisted read_only, once both servers have told that it is not of a later switch',
  },
  LEFTOVER_TRIGGERS: {
    severity: 'warning',
    meaning: 'Triggers of a fence are on a server where no such fence stands.',
    remedy: 'Repair: they are dropped.',
    repair: 'drop them, once both servers have told that they are not of a later switch',
  },
  STREAM_STOPPED: {
    severity: 'error',
    meaning: 'The replication that this phase needs does not run.',
    remedy: 'Repair: it is started from its durable position.',
    repair: 'start it from its durable position',
  },
  PROGRESS_MISSING: {
    severity: 'error',
    meaning: 'The row that says how far replication has come is gone, or its schema: it cannot go on.',
    remedy: 'Somebody removed it. Before a switch: cancel the import and create it anew.',
    repair: null,
  },
  STRAY_WATCH_FAILED: {
    severity: 'warning',
    meaning: 'The log of the old primary cannot be read: stray writes there go unnoticed.',
    remedy: 'See the log of the import; it is tried again by itself.',
    repair: null,
  },
  STRAY_WRITES_UNAPPLIED: {
    severity: 'warning',
    meaning: 'Writes reached the old primary past the fence and are not on the new one.',
    remedy: '`switchyard stray list` shows them, `switchyard stray apply` applies them.',
    repair: null,
  },
  PROXIES_MISSING: {
    severity: 'error',
    meaning: 'No proxy is connected: nobody can be told where to go.',
    remedy: 'See the log of `switchyard serve`.',
    repair: null,
  },
  PROXY_BEHIND: {
    severity: 'warning',
    meaning: 'A proxy has not confirmed the newest route.',
    remedy: 'Look again in a moment; one that stays behind should be restarted.',
    repair: null,
  },
} as const satisfies Record<string, SymptomEntry>;

export type SymptomCode = keyof typeof SYMPTOM_TABLE;
