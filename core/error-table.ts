/**
 * Every code that Switchyard shows. `docs/errors.md` is generated from it.
 *
 * kind: `refused` nothing was changed; `retryable` trying again may help; `fatal` the run stops until the remedy is
 * done; `ambiguous` what happened is unknown: look before anything else; `usage` the request itself is wrong.
 */
export interface ErrorEntry {
  kind: 'refused' | 'retryable' | 'fatal' | 'ambiguous' | 'usage';
  meaning: string;
  remedy: string;
}

export const ERROR_TABLE = {
  // configuration and requests
  CONFIG_INVALID: {
    kind: 'usage',
    meaning: 'The configuration has a key with a wrong value.',
    remedy: 'Correct the key that the message names; config/example.yaml shows every key.',
  },
  REQUEST_INVALID: {
    kind: 'usage',
    meaning: 'The request body or a parameter is not of the expected form.',
    remedy: 'Correct what the message names; GET /openapi.json describes every request.',
  },
  UNAUTHORIZED: {
    kind: 'usage',
    meaning: 'The admin API needs a token and the request had none, or a wrong one.',
    remedy: 'Send `Authorization: Bearer TOKEN`, or give the CLI `--token` or SWITCHYARD_TOKEN.',
  },
  ORIGIN_REFUSED: {
    kind: 'usage',
    meaning: 'The request carries a Host or Origin header of another site than this admin API.',
    remedy: 'Use the address that the admin API listens on, or configure a token: then any host name is accepted.',
  },
  METHOD_NOT_ALLOWED: {
    kind: 'usage',
    meaning: 'The path exists, but not for that HTTP method.',
    remedy: 'Use a method of the Allow header; GET /openapi.json describes every request.',
  },
  CONTENT_TYPE_WRONG: {
    kind: 'usage',
    meaning: 'The body of a request is not declared as JSON.',
    remedy: 'Send `Content-Type: application/json` with every POST, PUT and DELETE, also with an empty body.',
  },
  BODY_TOO_LARGE: {
    kind: 'usage',
    meaning: 'The body of a request is larger than 1 MiB.',
    remedy: 'Send a smaller body.',
  },
  TOO_MANY_STREAMS: {
    kind: 'retryable',
    meaning: 'As many clients read event streams as the admin API allows.',
    remedy: 'Close dashboards or `--watch` commands that nobody looks at, then try again.',
  },
  NOT_FOUND: { kind: 'usage', meaning: 'There is nothing under that name.', remedy: '`switchyard import list` shows what there is.' },
  INTERNAL: {
    kind: 'fatal',
    meaning: 'A defect of Switchyard.',
    remedy: 'Report it with the log around it; traffic stays on the last committed route.',
  },
  // processes
  ENGINE_UNAVAILABLE: {
    kind: 'retryable',
    meaning: 'The engine process does not answer.',
    remedy: 'The supervisor restarts it and it resumes from its durable position; try again in a few seconds.',
  },
  ADMIN_UNREACHABLE: {
    kind: 'retryable',
    meaning: 'The CLI cannot reach the admin API.',
    remedy: 'Check that `switchyard serve` runs and that --url (or SWITCHYARD_URL) names its admin address.',
  },
  PORT_IN_USE: {
    kind: 'usage',
    meaning: 'Another process listens on an address that the configuration names.',
    remedy: 'Stop that process or choose another address.',
  },
  STORE_UNAVAILABLE: {
    kind: 'retryable',
    meaning: 'The state store does not answer.',
    remedy: 'Check that the supervisor (or etcd) runs; the route does not change meanwhile.',
  },
  STORE_CONFLICT: {
    kind: 'refused',
    meaning: 'The state changed between reading and writing it: somebody else was faster.',
    remedy: 'Look at the state now and repeat the request if it still makes sense.',
  },
  // servers
  SERVER_UNREACHABLE: {
    kind: 'retryable',
    meaning: 'No connection to a database server.',
    remedy: 'Check host, port, firewall and that the server runs.',
  },
  LOGIN_REFUSED: {
    kind: 'refused',
    meaning: 'A database server refused the login of the Switchyard user.',
    remedy: 'Check user, password, the host part of the account and its TLS requirements.',
  },
  SERVER_GONE: {
    kind: 'retryable',
    meaning: 'The connection to a database server was lost.',
    remedy: 'Nothing, where it comes back: Switchyard connects again and resumes from its durable position.',
  },
  SERVER_ERROR: {
    kind: 'fatal',
    meaning: 'A database server answered with an error that Switchyard has no better name for.',
    remedy: "Read the server's own message; resume when its cause is gone.",
  },
  // imports
  IMPORT_EXISTS: {
    kind: 'refused',
    meaning: 'There is an import that is neither completed nor cancelled, or one of the same name.',
    remedy: 'Complete or cancel it first, or choose another name.',
  },
  PHASE_REFUSED: {
    kind: 'refused',
    meaning: 'The request is not possible in the current phase.',
    remedy: 'The message names the phases in which it is; docs/phases.md shows the whole table.',
  },
  CONFIRMATION_REQUIRED: {
    kind: 'refused',
    meaning: 'This cannot be undone and needs the name of the import as confirmation.',
    remedy: 'Repeat the request with the name of the import as the confirmation.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_TABLE;
