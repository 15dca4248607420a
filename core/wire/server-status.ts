/** Status bits of OK and EOF packets. Source: MySQL internals, "SERVER_STATUS_flags_enum". */
export const SERVER_STATUS = {
  IN_TRANSACTION: 0x0001,
  AUTOCOMMIT: 0x0002,
  MORE_RESULTS: 0x0008,
  CURSOR_EXISTS: 0x0040,
  LAST_ROW_SENT: 0x0080,
  NO_BACKSLASH_ESCAPES: 0x0200,
  /** A prepared statement has other columns than when it was prepared. */
  METADATA_CHANGED: 0x0400,
  /** In the EOF packet after the columns of a procedure's OUT parameters. */
  PS_OUT_PARAMS: 0x1000,
  IN_READONLY_TRANSACTION: 0x2000,
  SESSION_STATE_CHANGED: 0x4000,
} as const;

/** Those of the session; the others are about one answer. */
export const SESSION_STATUS =
  SERVER_STATUS.IN_TRANSACTION |
  SERVER_STATUS.AUTOCOMMIT |
  SERVER_STATUS.NO_BACKSLASH_ESCAPES |
  SERVER_STATUS.IN_READONLY_TRANSACTION;
