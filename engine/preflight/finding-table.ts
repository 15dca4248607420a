import type { Finding } from '../api.ts';

/** What a finding means and what to do; docs/troubleshooting.md is made from it. Codes never change their meaning. */
export interface FindingEntry {
  severity: Finding['severity'];
  /** An error that an import may be started with all the same (`skipValidationErrors`). */
  skippable: boolean;
  meaning: string;
  fix: string;
}

export const FINDINGS = {
  // the servers
  SERVER_UNREACHABLE: {
    severity: 'error',
    skippable: false,
    meaning: 'There is no connection to the server.',
    fix: 'Check host, port, firewall and that the server runs.',
  },
  LOGIN_REFUSED: {
    severity: 'error',
    skippable: false,
    meaning: 'The server refused the login of the Switchyard user.',
    fix: 'Check user, password, the host part of the account and its TLS requirements.',
  },
  SERVER_CHECK_FAILED: {
    severity: 'error',
    skippable: false,
    meaning: 'The server answered a question of the validation with an error.',
    fix: "Read the server's own message; most often a grant is missing.",
  },
  REPLICA_HOST_UNREACHABLE: {
    severity: 'error',
    skippable: false,
    meaning: 'The replica host does not accept the Switchyard user, or no connection at all.',
    fix: 'Check the address; the user and password are those of the source. Or leave the replica host out.',
  },
  SAME_SERVER: {
    severity: 'error',
    skippable: false,
    meaning: 'Source and target are the same server.',
    fix: 'Name another server as the target.',
  },
  SOURCE_WRITTEN_BY_SWITCHYARD: {
    severity: 'error',
    skippable: false,
    meaning:
      'A stream of another import writes to the source. What it writes is brought to the target like the writes of applications, but the fence of a switch of primaries would stop it, or not hold it; and what an import of the same name writes would be taken for our own and left out, from the first switch on or, with `reverse: always`, from the beginning.',
    fix: 'Complete or cancel the other import first; where it is no more, delete its row in `_switchyard.progress` on the source.',
  },
  TARGET_NOT_MYSQL: {
    severity: 'error',
    skippable: false,
    meaning: 'The target is no MySQL server; Switchyard imports into MySQL only.',
    fix: 'Name a MySQL server, 8.0 or later, as the target.',
  },
  VERSION_UNSUPPORTED: {
    severity: 'error',
    skippable: true,
    meaning: 'The version is older than those that Switchyard is tested with (MySQL 5.7, target 8.0; MariaDB 10.5).',
    fix: 'Upgrade the server, or skip this after a rehearsal with a copy of it.',
  },
  VERSION_TOO_OLD: {
    severity: 'error',
    skippable: false,
    meaning:
      'A MySQL server before 5.7 does not tell clients what changed in their session (session tracking), so the proxy could not move sessions to the other server without losing some of their state.',
    fix: 'Upgrade the server to MySQL 5.7 or later first.',
  },
  VERSION_DOWNGRADE: {
    severity: 'warning',
    skippable: true,
    meaning: 'The target is an older version than the source; definitions and functions may be missing there.',
    fix: 'Rehearse with a copy, above all generated columns, defaults and collations.',
  },
  LOWER_CASE_TABLE_NAMES: {
    severity: 'error',
    skippable: false,
    meaning: 'The servers treat upper and lower case in table names differently.',
    fix: 'Initialise the target with the same lower_case_table_names as the source; it cannot be changed later.',
  },
  TIME_ZONE_DIFFERENT: {
    severity: 'warning',
    skippable: true,
    meaning:
      'The default time zones differ: applications that set none of their own will see other local times after the switch.',
    fix: 'Set the same default_time_zone on the target. The data itself is copied in UTC and is not affected.',
  },
  SQL_MODE_DIFFERENT: {
    severity: 'warning',
    skippable: true,
    meaning:
      'The default sql_mode differs: statements of applications may be refused or accepted otherwise after the switch.',
    fix: 'Set the same sql_mode on the target, or have the applications set it.',
  },
  SESSION_DEFAULTS_DIFFERENT: {
    severity: 'warning',
    skippable: true,
    meaning:
      'What a session begins with differs (isolation, timeouts, the length of GROUP_CONCAT, init_connect …): applications that rely on it without saying so behave otherwise after the switch.',
    fix: 'Set the variables that the finding names to the same on the target, also in its configuration file, or have the applications set them.',
  },
  MAX_ALLOWED_PACKET: {
    severity: 'warning',
    skippable: true,
    meaning:
      'max_allowed_packet of the target is smaller: a row or statement that the source takes may be refused there.',
    fix: 'Raise max_allowed_packet on the target to that of the source.',
  },
  LOCAL_INFILE_OFF: {
    severity: 'info',
    skippable: true,
    meaning: 'The target does not allow LOAD DATA LOCAL; rows are copied with statements, which is slower.',
    fix: 'SET GLOBAL local_infile = ON on the target for the time of the copy.',
  },
  STORAGE_NEEDED: {
    severity: 'info',
    skippable: true,
    meaning:
      'How much the tables occupy on the source; the target needs about as much, and its binary log of the copy as much again.',
    fix: 'Check the free space of the target.',
  },
  // grants
  GRANT_MISSING: {
    severity: 'error',
    skippable: false,
    meaning: 'The Switchyard user lacks a privilege that the import needs.',
    fix: 'Run the GRANT statement that the finding shows.',
  },
  GRANT_FENCE_MISSING: {
    severity: 'warning',
    skippable: true,
    meaning: 'No fence can be put up: after a switch nothing but the proxy keeps writes away from the old primary.',
    fix: 'Run one of the GRANT statements that the finding shows.',
  },
  GRANT_ALTER_MISSING: {
    severity: 'warning',
    skippable: true,
    meaning:
      'Before switching back AUTO_INCREMENT cannot be raised on the source: a number that was given out on the target, and whose row is gone, may be given out again.',
    fix: 'Run the GRANT statement that the finding shows.',
  },
  GRANT_PROCESS_MISSING: {
    severity: 'warning',
    skippable: true,
    meaning: 'Without PROCESS, connections that bypass the proxy cannot be found and named before a switch.',
    fix: 'Run the GRANT statement that the finding shows.',
  },
  GRANT_USERS_MISSING: {
    severity: 'error',
    skippable: true,
    meaning:
      'The import is to create the accounts that the target lacks (`users: create`), and the Switchyard user may not.',
    fix: 'Run the GRANT statement that the finding shows, or create the import with users: report.',
  },
  // the binary log
  BINLOG_OFF: {
    severity: 'error',
    skippable: false,
    meaning: 'The server writes no binary log, so changes cannot be followed.',
    fix: 'Start it with --log-bin and a --server-id; on managed services, switch automated backups on.',
  },
  GTID_MODE_OFF: {
    severity: 'error',
    skippable: false,
    meaning: 'The server gives transactions no global identifiers, which positions are kept in.',
    fix: 'Set enforce_gtid_consistency=ON, then gtid_mode step by step: OFF_PERMISSIVE, ON_PERMISSIVE, ON (no restart needed).',
  },
  BINLOG_FORMAT: {
    severity: 'error',
    skippable: false,
    meaning: 'binlog_format is not ROW: the log may hold statements instead of rows.',
    fix: "SET GLOBAL binlog_format = 'ROW', and let the applications connect again.",
  },
  BINLOG_ROW_IMAGE: {
    severity: 'error',
    skippable: false,
    meaning: 'binlog_row_image is not FULL: the log does not hold whole rows.',
    fix: "SET GLOBAL binlog_row_image = 'FULL', and let the applications connect again.",
  },
  BINLOG_PARTIAL_JSON: {
    severity: 'error',
    skippable: false,
    meaning: 'binlog_row_value_options=PARTIAL_JSON: the log holds differences of JSON documents, not documents.',
    fix: "SET GLOBAL binlog_row_value_options = '', and let the applications connect again.",
  },
  XA_PREPARED: {
    severity: 'warning',
    skippable: true,
    meaning:
      'XA transactions are prepared: their rows are in the log before the place where reading begins, so the import stops when one of them is committed.',
    fix: 'XA RECOVER shows them; commit them or roll them back before the import is created.',
  },
  BINLOG_RETENTION: {
    severity: 'error',
    skippable: true,
    meaning:
      'The binary log is kept two days or less: an import that is interrupted for longer would have to begin again.',
    fix: 'SET GLOBAL binlog_expire_logs_seconds = 604800 (before MySQL 8.0 and MariaDB 10.6: expire_logs_days = 7).',
  },
  BINLOG_FILTERED: {
    severity: 'error',
    skippable: false,
    meaning: 'binlog-do-db or binlog-ignore-db leaves the database out of the binary log.',
    fix: 'Remove the filter from the configuration and restart the server.',
  },
  BINLOG_NOT_DURABLE: {
    severity: 'warning',
    skippable: true,
    meaning:
      'A server whose log is followed (the source; with `reverse: always` the target too; with `from_switch` the target when it is to be primary: a warning of the switch) does not write its logs to disk at each commit. After a crash of its machine it may come back without its last transactions, which the other side has by then, and new ones under the same GTIDs would be taken for those; or with rows that its log no longer has, and that the other side never gets.',
    fix: 'Set sync_binlog = 1 and innodb_flush_log_at_trx_commit = 1 for the time of the import. After a crash of that server verify again, or begin anew.',
  },
  REPLICATED_FROM_ELSEWHERE: {
    severity: 'warning',
    skippable: true,
    meaning:
      'The server is a replica of another one. What it receives from there no fence keeps out (read_only lets it pass): behind a switch of primaries it goes on arriving on the old primary, as stray writes that are recorded and not on the new one. Also a warning of the switch while it is applied.',
    fix: 'Where applications write to the tables there, import from that server instead, or let them write over the proxy and stop the replica (STOP REPLICA; before MySQL 8.0.22 and on MariaDB STOP SLAVE) before the switch of primaries.',
  },
  REPLICATED_NOT_LOGGED: {
    severity: 'error',
    skippable: false,
    meaning:
      'The server is a replica that does not write what it receives to its own binary log, so these changes cannot be followed.',
    fix: 'Restart it with log_replica_updates=ON (log_slave_updates before MySQL 8.0.26 and on MariaDB), or import from its source.',
  },
  BINLOG_COMPRESSED: {
    severity: 'info',
    skippable: true,
    meaning:
      'Transactions are compressed in the binary log; they are read all the same, at some cost of processor time.',
    fix: 'Nothing has to be done.',
  },
  // the schema
  SCHEMA_UNKNOWN: {
    severity: 'error',
    skippable: false,
    meaning: 'The database to be imported does not exist on the source, or is not visible to the Switchyard user.',
    fix: 'Check the name and the grants on it.',
  },
  NO_TABLES: {
    severity: 'error',
    skippable: false,
    meaning: 'The database has no tables that could be imported.',
    fix: 'Check the name of the database.',
  },
  TABLE_UNKNOWN: {
    severity: 'error',
    skippable: false,
    meaning: 'A requested table does not exist, or is no base table.',
    fix: 'Correct the name; views, sequences and system-versioned tables are not imported.',
  },
  TABLE_WITHOUT_KEY: {
    severity: 'error',
    skippable: false,
    meaning:
      'The table has neither a primary key nor a unique key of NOT NULL columns, so its rows cannot be told apart.',
    fix: 'Add a primary key; on MySQL 8.0.23 and later it may be invisible to applications.',
  },
  ENGINE_NOT_INNODB: {
    severity: 'warning',
    skippable: true,
    meaning:
      'The table is in a storage engine other than InnoDB. It becomes InnoDB on the target; on the source its changes are not transactional.',
    fix: 'ALTER TABLE … ENGINE = InnoDB on the source beforehand shows whether anything depends on the old engine.',
  },
  ENGINE_NOT_TRANSACTIONAL: {
    severity: 'error',
    skippable: false,
    meaning:
      'The table is in a storage engine without transactions (MyISAM, Aria, MEMORY). After a switch the writes of the target would go back to it: what was written in part could not be undone there, and would be taken for writes of somebody else. So switching back is not possible with such a table.',
    fix: 'ALTER TABLE … ENGINE = InnoDB on the source, or the import option reverse: off: there is no way back then.',
  },
  REVERSE_ALWAYS_IMPOSSIBLE: {
    severity: 'error',
    skippable: false,
    meaning:
      'With `reverse: always` what testers write on the target goes to the source while applications write there. A transaction must be undone as a whole there where it meets other rows, and must change no row but its own: not so with tables in other engines than InnoDB, and with foreign keys that cascade or set NULL.',
    fix: 'Create the import with `reverse: from_switch`, or change what is named.',
  },
  ENGINE_REMOTE: {
    severity: 'error',
    skippable: false,
    meaning: 'The table is kept by an engine whose rows are elsewhere, or are not in the binary log.',
    fix: 'Leave the table out of the import, or convert it to InnoDB.',
  },
  DDL_UNSUPPORTED: {
    severity: 'error',
    skippable: false,
    meaning: 'The definition of the table uses something that the target lacks and that has no counterpart there.',
    fix: 'Change the definition on the source, or leave the table out of the import.',
  },
  TYPE_TRANSLATED: {
    severity: 'warning',
    skippable: true,
    meaning: 'A column has a type that MySQL lacks; it becomes text there, with the same values.',
    fix: 'Check that the applications do not use functions of the old type.',
  },
  COLLATION_TRANSLATED: {
    severity: 'warning',
    skippable: true,
    meaning:
      'The target lacks a collation; the nearest one is taken. Sorting and comparison of rare characters, and of trailing spaces, may differ.',
    fix: 'Check unique keys and sorted lists, or convert the table on the source to a collation that both servers have.',
  },
  COLLATION_MERGES_KEYS: {
    severity: 'error',
    skippable: true,
    meaning:
      'A unique key has values that differ under the collation of the source, and may be equal under the nearest one of the target: of two such rows one would replace the other.',
    fix: 'Convert the column on the source to a collation that both servers have, or make the values differ.',
  },
  DEFINITION_REDUCED: {
    severity: 'info',
    skippable: true,
    meaning:
      'Something of the definition that MySQL lacks and that does not change the rows is left out on the target.',
    fix: 'Nothing has to be done.',
  },
  NAME_NOT_ASCII: {
    severity: 'warning',
    skippable: true,
    meaning: 'A name has characters outside ASCII, which some client tools cannot handle.',
    fix: 'Nothing has to be done for the import.',
  },
  COLUMNS_GENERATED: {
    severity: 'info',
    skippable: true,
    meaning: 'The table has generated columns; the target computes them itself.',
    fix: 'Check that their expressions do not depend on the version or the sql_mode.',
  },
  GENERATED_FROM_TIMESTAMP: {
    severity: 'warning',
    skippable: true,
    meaning:
      'A stored generated column is computed from a TIMESTAMP. Its value is one of the time zone of the session that wrote the row; on the target it is computed in UTC, until applications write there.',
    fix: 'Nothing where all sessions are in UTC; a verification tells rows that differ. Otherwise make it a column of DATETIME or VIRTUAL, or compute it in the applications.',
  },
  COLUMNS_INVISIBLE: {
    severity: 'info',
    skippable: true,
    meaning: 'The table has invisible columns; they are copied like the others.',
    fix: 'Nothing has to be done; the target must know invisible columns (MySQL 8.0.23).',
  },
  PARTITIONED: {
    severity: 'info',
    skippable: true,
    meaning:
      'The table is partitioned; the target gets the same partitions, and jobs that manage them have to move as well.',
    fix: 'Move jobs that add or drop partitions at the switch; during the import they count as DDL.',
  },
  PARTITIONED_BY_PADDED_TEXT: {
    severity: 'error',
    skippable: true,
    meaning:
      'The table is partitioned by KEY over text in a collation that takes more than spaces at the end of a text for spaces (such as a no-break space, U+00A0). The server puts rows of such equal texts into different partitions, and does not always find all of them by a range of keys: some could be left out of the copy, and of the verification as well.',
    fix: 'Make sure that no value ends with such a character, and skip this; or partition the table by other columns or remove the partitions (ALTER TABLE … REMOVE PARTITIONING).',
  },
  ROWS_REPAIRED: {
    severity: 'warning',
    skippable: true,
    meaning: 'Rows of one side differed from the primary, and were repaired because somebody asked for it.',
    fix: 'Find out what had changed them: `_switchyard.verify_repairs` on that side has each row, with its values (cut) on both sides.',
  },
  FOREIGN_KEYS: {
    severity: 'info',
    skippable: true,
    meaning: 'Foreign keys are added on the target after the rows.',
    fix: 'Nothing has to be done.',
  },
  FOREIGN_KEY_CASCADES: {
    severity: 'warning',
    skippable: false,
    meaning:
      'Foreign keys change rows of other tables (CASCADE, SET NULL), and this server does not write those changes to its binary log (MySQL before 9.6, MariaDB). The foreign keys of the other side do the same there (ADR 22).',
    fix: 'Nothing; a verification is needed before the switch of primaries. Changes of referenced keys during the copy stop it.',
  },
  FOREIGN_KEY_TO_ITSELF: {
    severity: 'warning',
    skippable: true,
    meaning:
      'A foreign key of a table to itself deletes with ON DELETE CASCADE. MySQL since 9.6 refuses a DELETE that comes to some eight rows by such a key (error 6575, "exceeds max tables limit of 30"; tried on 9.7.4), which the source takes: replication stops at it with APPLY_VALUE_REFUSED, and behind the switch the application gets the error.',
    fix: 'Start the target with `innodb_native_foreign_keys=ON`, with which it does as the source does; or let the application delete from the leaves on.',
  },
  FOREIGN_KEY_OUTSIDE: {
    severity: 'error',
    skippable: false,
    meaning: 'A foreign key joins an imported table with one that is not imported.',
    fix: 'Import all tables of the database, or drop the foreign key.',
  },
  OUTSIDE_OBJECTS: {
    severity: 'warning',
    skippable: true,
    meaning:
      'Triggers, views or routines of other databases name imported tables. They stay on the source: behind a switch of primaries what they write there is refused by the fence, or is a stray write. And what a session with another `binlog_format` than ROW changes through them stops the import (STREAM_STATEMENT_DML).',
    fix: 'Move what they do to the applications, or to the imported database, before the switch of primaries; let no session on the source set `binlog_format`.',
  },
  VIEWS: {
    severity: 'info',
    skippable: true,
    meaning: 'Views are created on the target when its tables are there.',
    fix: 'Nothing, unless one is refused then (OBJECT_NOT_CREATED).',
  },
  TRIGGERS: {
    severity: 'info',
    skippable: true,
    meaning:
      'Triggers go to the target when it becomes the primary, and back with it: their effects arrive as rows, and a trigger on the other side would repeat them.',
    fix: 'Nothing; do not create them on the target. Our user needs TRIGGER on the schema, and SET_ANY_DEFINER for those of others.',
  },
  ROUTINES: {
    severity: 'info',
    skippable: true,
    meaning: 'Stored procedures and functions are created on the target when its tables are there.',
    fix: 'Nothing, unless one is refused then (OBJECT_NOT_CREATED).',
  },
  EVENTS: {
    severity: 'info',
    skippable: true,
    meaning:
      'Events are created on the target without being enabled. The switch enables them there and disables them on the source: they run on one side only.',
    fix: 'Nothing. Our user needs EVENT on the schema, and SET_ANY_DEFINER for those of others.',
  },
  OBJECT_NOT_CREATED: {
    severity: 'warning',
    skippable: true,
    meaning: 'The target refused a view or a routine of the source. The import goes on without it.',
    fix: 'Remove the reason, then run the statements that the finding has (with the mysql client).',
  },
  USER_ABSENT: {
    severity: 'warning',
    skippable: true,
    meaning:
      'An account or role with privileges on the schema is not on the other server: whoever uses it could not log in after the switch.',
    fix: 'switchyard users ID --apply creates those that can come along with their passwords; --script has the statements for the others.',
  },
  USER_DIFFERENT: {
    severity: 'warning',
    skippable: true,
    meaning:
      'An account or role is on both servers, with other privileges on the schema, other roles, another password or another requirement. Switchyard changes nothing in it.',
    fix: 'switchyard users ID --script has the statements for what it lacks; what it has more is for you to judge.',
  },
  USER_NOT_CREATED: {
    severity: 'warning',
    skippable: true,
    meaning: 'The other server refused an account, a privilege or a role, or the Switchyard user may not create any.',
    fix: 'Give what the message names, then switchyard users ID --apply; or run the statements of --script as an administrator.',
  },
  USERS_SERVER_WIDE: {
    severity: 'info',
    skippable: true,
    meaning:
      'Accounts reach the schema by privileges on the whole server only. They run the server rather than use the schema, and are not brought.',
    fix: 'Where an application uses one, create it on the other server by hand, with privileges on the schema alone.',
  },
  USERS_UNREADABLE: {
    severity: 'warning',
    skippable: true,
    meaning:
      'The accounts of a server could not be read, so it is not known whether applications can log in after the switch.',
    fix: 'Run the GRANT that the finding shows, or compare the accounts by hand.',
  },
  NOT_IMPORTABLE: {
    severity: 'warning',
    skippable: true,
    meaning: 'Sequences and system-versioned tables of MariaDB have no counterpart in MySQL and are not imported.',
    fix: 'Replace a sequence by an AUTO_INCREMENT column, drop system versioning, or do without them on the target.',
  },
  // the target's tables
  TARGET_TABLE_EXISTS: {
    severity: 'error',
    skippable: false,
    meaning: 'The target has a table of that name already.',
    fix: 'Drop or rename it on the target, if its rows are not needed.',
  },
} as const satisfies Record<string, FindingEntry>;

export type FindingCode = keyof typeof FINDINGS;
