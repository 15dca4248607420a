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
    remedy: 'Send `Content-Type: application/json` with every POST and PUT, also without a body.',
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
  NOT_FOUND: {
    kind: 'usage',
    meaning: 'There is nothing under that name.',
    remedy: '`switchyard import list` shows what there is.',
  },
  INTERNAL: {
    kind: 'fatal',
    meaning: 'A defect of Switchyard.',
    remedy: 'Report it with the log around it; traffic stays on the last committed route.',
  },
  // processes
  ENGINE_UNAVAILABLE: {
    kind: 'retryable',
    meaning: 'The engine process does not answer.',
    remedy:
      'The supervisor restarts it and it resumes from its durable position; try again in a few seconds. Where it ends again and again, the log of `switchyard serve` says why.',
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
  DATA_DIR_UNUSABLE: {
    kind: 'fatal',
    meaning: 'The data directory (`dataDir`), or a file in it, cannot be used.',
    remedy:
      'The message says why: make room, give the directory to the user that `switchyard serve` runs as, or name another one (the path of a unix socket in it may have 107 bytes). Proxies that run serve on meanwhile. In place of a damaged `state.sqlite` put back the newest copy: whether it knows the last switch is asked of the servers; a damaged `logs.sqlite` can be deleted. Without the `secret.key` that credentials were stored with they cannot be read.',
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
  STATE_OUTDATED: {
    kind: 'fatal',
    meaning:
      'The servers tell of a decision about traffic (a switch) that the state of this Switchyard does not know: its data directory is an old copy, or was restored from an old backup. Traffic is held, nothing runs, and nothing is repaired.',
    remedy:
      'Make sure that no other Switchyard runs this import: if one does, end this one. Put the newest data directory back if there is one. Otherwise `switchyard doctor ID --repair` takes over what the servers tell. Where the servers are wrong, delete the row of the import from `_switchyard.route` on both, then `switchyard resume ID` (of an import that is half cancelled it leads back to CANCEL_UNFINISHED).',
  },
  STATE_UNREADABLE: {
    kind: 'fatal',
    meaning:
      'What is stored of an import, or told of it by a server, is not known to this version of Switchyard: a newer one has written it. The engine does not start, nothing replicates and no fence is watched; traffic goes where it was sent last.',
    remedy:
      'Start the newer version again (`switchyard serve --replace`): it goes on from where it was. A data directory does not go back to an older version.',
  },
  TARGET_SHARED: {
    kind: 'fatal',
    meaning:
      'Another import, begun later, fills the same tables of the target. Traffic goes on with the source; nothing more is written to the target, whose rows are worth nothing any more.',
    remedy:
      'Find out whose it is: `_switchyard.route` on the target has its row. Have it cancelled there, which drops the tables that it made; then cancel this import and begin anew, or `switchyard resume` and verify where the tables are still its own. Where the other import is the right one, leave the target to it: this one is not cancelled while those tables are not its own; end its Switchyard when the applications no longer use it.',
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
    remedy:
      'Check user, password, the host part of the account and its TLS requirements. An import keeps the password that it was created with: where the account has another one by now, give it the former one again (ALTER USER; MySQL also takes two at a time, RETAIN CURRENT PASSWORD), then resume.',
  },
  SERVER_GONE: {
    kind: 'retryable',
    meaning: 'The connection to a database server was lost.',
    remedy: 'Nothing, where it comes back: Switchyard connects again and resumes from its durable position.',
  },
  SERVER_FULL: {
    kind: 'fatal',
    meaning: 'A database server has no room for what is written to it: its disk or a tablespace is full.',
    remedy:
      'Make room on that server, see that it runs, then resume: nothing is lost, it goes on where the last commit left it.',
  },
  SERVER_READ_ONLY: {
    kind: 'retryable',
    meaning: 'A database server that is to be written to is read-only.',
    remedy:
      'Nothing, where it is a failover: it is tried again until the server takes writes. Otherwise SET GLOBAL read_only = OFF there, or find the server that is the primary now.',
  },
  STATEMENT_TOO_LARGE: {
    kind: 'fatal',
    meaning: 'A row is larger than what a database server accepts in one statement.',
    remedy:
      'Raise max_allowed_packet on the server that the message names, to at least twice the largest value (SET GLOBAL, and in its configuration file), then resume.',
  },
  SERVER_ERROR: {
    kind: 'fatal',
    meaning: 'A database server answered with an error that Switchyard has no better name for.',
    remedy: "Read the server's own message; resume when its cause is gone.",
  },
  // replication
  STREAM_PROGRESS_MISSING: {
    kind: 'fatal',
    meaning: 'The row that says how far a stream is applied is gone from the _switchyard schema.',
    remedy: 'Somebody dropped it. Nothing can say what is applied: cancel the import and start again.',
  },
  STREAM_TAKEN_OVER: {
    kind: 'fatal',
    meaning: 'Another engine applies this stream now.',
    remedy:
      'Nothing, where the supervisor replaced the engine. Otherwise two Switchyards run the same import: stop one. When one of them switches, the other one holds its traffic (STATE_OUTDATED).',
  },
  WRITE_BACK_DDL: {
    kind: 'fatal',
    meaning:
      'With reverse: always, somebody has run DDL on an imported table of the target. It cannot be brought to the source; TRUNCATE is DDL too.',
    remedy:
      'Undo it on the target by hand (CREATE, ALTER; emptied tables have to be imported again), then `switchyard resume --skip-ddl`. Verify afterwards.',
  },
  WRITE_BACK_TOO_LARGE: {
    kind: 'fatal',
    meaning:
      'With reverse: always, a transaction on the target has more rows than can be judged as a whole before they go to the source.',
    remedy: 'Cancel the import and begin it anew. Large tests belong on a target without reverse: always.',
  },
  APPLY_TRIGGERS: {
    kind: 'fatal',
    meaning:
      'There are triggers on imported tables of the side that replication is applied to. The rows that arrive have the effects of the triggers of the other side already.',
    remedy: 'Drop them there and resume. Switchyard creates them itself when the switch makes that side the primary.',
  },
  STREAM_PROGRESS_LOCKED: {
    kind: 'retryable',
    meaning: 'A transaction of an engine that is gone still holds the row that says how far a stream is applied.',
    remedy:
      'Nothing, where the destination is rolling that transaction back, which takes about as long as it had run. Where its session sleeps, because the host of that engine vanished: KILL it (SHOW PROCESSLIST; the user is that of Switchyard).',
  },
  APPLY_CASCADE_WHILE_COPYING: {
    kind: 'fatal',
    meaning:
      'A key that foreign keys refer to (ON UPDATE CASCADE or SET NULL) was changed during the copy, on a source that does not log what its foreign keys change: which children moved with it cannot be told.',
    remedy: 'Cancel the import and start it again; keep such changes away until it is in the phase running.',
  },
  APPLY_LOCKED_OUT: {
    kind: 'retryable',
    meaning:
      'Another session on the destination holds locks on rows or tables that replication has to change (an application, a backup, a long SELECT where a DDL statement waits). What was under way was rolled back.',
    remedy:
      'Nothing: it is tried again until the locks are gone. If it repeats, end what holds them there (SHOW PROCESSLIST).',
  },
  APPLY_VALUE_REFUSED: {
    kind: 'fatal',
    meaning: 'The destination could not take a replicated value as it is.',
    remedy:
      'The message names table, key, column and the beginning of the value: change the column (or the constraint) on the destination so that it takes the value, then resume. A column or table that is missing there (1054, 1146) is made again as the origin has it; what a table had before, `switchyard verify ID` and `--repair` bring behind the resume.',
  },
  APPLY_ROW_MISSING: {
    kind: 'fatal',
    meaning:
      'A row that was changed on the origin is not on the destination, which is no longer what the origin was: somebody else wrote there.',
    remedy:
      'Find out who writes to the destination and stop it; put the row there as it was on the origin, then resume. A verification shows what else differs.',
  },
  APPLY_ROW_CONFLICT: {
    kind: 'fatal',
    meaning:
      'A row of the origin cannot be written, because another row of the destination has its value in a unique key.',
    remedy:
      'Where somebody else wrote to the destination, remove that row and resume. Where both rows are on the origin, its collation tells the values apart and the one of the destination does not: give the column there such a collation, or change one of the values on the origin.',
  },
  JSON_VALUE_UNSUPPORTED: {
    kind: 'fatal',
    meaning: 'A JSON document holds a value of a type that no SQL expression makes.',
    remedy:
      'On the source, UPDATE … SET document = CAST(CAST(document AS CHAR) AS JSON) turns such values into the text that the document shows; then start the import again.',
  },
  DDL_RENAME_SKIPPED: {
    kind: 'fatal',
    meaning:
      'A statement that renames an imported table was skipped (DDL policy IGNORE or EXEC_IGNORE, or --skip-ddl), and the other side still has the old name. Rows under the new name would be lost.',
    remedy:
      'Rename the table on the other side too and `resume --skip-ddl`, or let Switchyard do it: `resume --apply-ddl`. Where a table that is not imported takes the place (an online schema change), see DDL_FAILED.',
  },
  DDL_WITH_ROWS: {
    kind: 'fatal',
    meaning:
      'CREATE TABLE … SELECT made a table on the source. Its rows are part of the statement, which would find other rows on the target.',
    remedy:
      '`resume --skip-ddl`: the table is not imported then, and switches are refused as long as the source has it. To import it, drop it on the source before, and after the resume create it there with CREATE TABLE, then fill it with INSERT … SELECT.',
  },
  DDL_CHARSET_DIFFERS: {
    kind: 'fatal',
    meaning:
      'A table that was created on the source has another charset on the target, where the defaults of the database are other ones. Its texts would be changed.',
    remedy:
      'On the target: ALTER TABLE … CONVERT TO CHARACTER SET, and ALTER DATABASE … CHARACTER SET for the tables to come, as on the source; then resume.',
  },
  DDL_TABLE_FOREIGN: {
    kind: 'fatal',
    meaning:
      'A DDL statement names, beside imported tables, one that the target has and that is not imported. RENAME TABLE or EXCHANGE PARTITION would put its rows in the place of imported ones, DROP TABLE would take it away. Nothing was run.',
    remedy:
      'Look what that table of the target holds. Where the statement may run on it as it stands (the swap of an online schema change, see DDL_FAILED, on a table made for it): `resume --apply-ddl`. Otherwise move it out of the way, or make the change of the imported tables by hand, then `resume --skip-ddl`.',
  },
  DDL_ENGINE_NOT_TRANSACTIONAL: {
    kind: 'fatal',
    meaning:
      'A table came to be in a storage engine without transactions (MyISAM, MEMORY, Aria) by a DDL statement. A crash would apply rows to it twice, or only some of them. Nothing was applied to it since.',
    remedy:
      'On the target: ALTER TABLE … ENGINE = InnoDB, then `resume --skip-ddl`. Do the same on the source too if traffic is ever to be switched back.',
  },
  DDL_PARTITIONED_BY_PADDED_TEXT: {
    kind: 'fatal',
    meaning:
      'By a DDL statement a table came to be partitioned by KEY over text in a UCA collation that pads (…_unicode_ci): of rows whose texts differ in a no-break space at the end MySQL may miss some when it is asked for a range of keys, so that the verification would too. Nothing was applied to it since.',
    remedy:
      'On the target: ALTER TABLE … REMOVE PARTITIONING, or PARTITION BY HASH or RANGE over another column; then `resume --skip-ddl`. Better do the same on the source too: a verification reads it by ranges of keys as well.',
  },
  DDL_NUMBERS_ROWS: {
    kind: 'fatal',
    meaning:
      'A DDL statement gives numbers to rows that are there (AUTO_INCREMENT, SERIAL), in the order in which the server comes by them, and that order may be another one on the destination: a server of the other family sorts texts otherwise, or the table has no primary key, or it is partitioned. The numbers are not in the log. Nothing was run.',
    remedy:
      'Where the numbers do not become the primary key: `resume --apply-ddl`, then `switchyard verify --repair` puts those of the source in their place; do not switch before. Where they do, cancel the import and begin it anew, or have the statement run on the source before.',
  },
  DDL_VALUES_DIFFER: {
    kind: 'fatal',
    meaning:
      'A DDL statement has a default like UUID(), RAND(), CONNECTION_ID() or USER(). Where it adds a column, the rows that are there were filled with values that are in no log, and that the destination would not come to. Nothing was run.',
    remedy:
      'On the destination, add the column without that default, then set the default by another ALTER TABLE (MySQL: `SET SESSION binlog_format = STATEMENT` before). `resume --skip-ddl`, then `switchyard verify --repair` puts the values of the source in place; do not switch before.',
  },
  DDL_CONVERTS_OTHERWISE: {
    kind: 'fatal',
    meaning:
      'A DDL statement has given a column another type, and MariaDB and MySQL do not convert all values of the old one alike: one cuts off where the other rounds, they read dates, numbers and bytes differently. The statement has run on the destination.',
    remedy:
      '`resume --skip-ddl` (it has run), then `switchyard verify --repair` puts the values of the source in the place of those that differ; do not switch before.',
  },
  CANCEL_UNFINISHED: {
    kind: 'fatal',
    meaning:
      'Cancelling has begun and was ended on its way (a server was away, the engine ended): a part may be removed.',
    remedy: 'Cancel the import again.',
  },
  DDL_STOPPED: {
    kind: 'fatal',
    meaning: 'A DDL statement on an imported table arrived, and the DDL policy is STOP.',
    remedy:
      'Make the same change on the target, then `resume --skip-ddl`; or let Switchyard run it: `resume --apply-ddl`.',
  },
  USERS_UNREADABLE: {
    kind: 'refused',
    meaning: 'The Switchyard user may not see the accounts of a server, or not their grants.',
    remedy: 'Run the GRANT SELECT ON mysql.* that the error names on that server, or compare the accounts by hand.',
  },
  USERS_GRANT_MISSING: {
    kind: 'refused',
    meaning:
      'The Switchyard user may not create accounts on the server that lacks them, or not give them privileges on the schema.',
    remedy:
      'Run the GRANT statements that the error names there, or run the script of `switchyard users ID --script` as an administrator.',
  },
  DDL_FAILED: {
    kind: 'fatal',
    meaning: 'A DDL statement from the source failed on the target.',
    remedy:
      'Make the change on the target by hand, then `resume --skip-ddl`. Where RENAME TABLE puts a table that is not imported in the place of one that is (the swap of an online schema change): make that table on the target, CREATE TABLE … LIKE the imported one, the same ALTER TABLE, INSERT … SELECT from the imported one; then `resume --apply-ddl`, and verify.',
  },
  DDL_OUTCOME_UNKNOWN: {
    kind: 'ambiguous',
    meaning: 'The engine ended while a DDL statement ran on the destination, and whether it did cannot be told.',
    remedy:
      'Look whether the destination has the change, then `resume --skip-ddl` where it has, `resume --apply-ddl` where not. With the PROCESS privilege Switchyard can tell by itself.',
  },
  // switch
  SWITCH_REFUSED: {
    kind: 'refused',
    meaning: 'A switch would not be safe now; every reason is listed.',
    remedy: 'Remove the reasons; those marked as forceable can be passed with --force.',
  },
  SWITCH_ROLLED_BACK: {
    kind: 'retryable',
    meaning: 'A switch was given up before its decision. Traffic is where it was; nothing was lost.',
    remedy: 'The message says why. Try again when that is gone.',
  },
  FENCE_FAILED: {
    kind: 'retryable',
    meaning: 'Application writes on the old primary could not be refused, so the switch was not made.',
    remedy: 'Give the Switchyard user the grants that the message names, or choose another fence.',
  },
  OBJECT_REFUSED: {
    kind: 'refused',
    meaning: 'A server refused the definition of a view, routine, trigger or event.',
    remedy:
      'The message has the reason. Give the Switchyard user the grant (TRIGGER, EVENT, CREATE ROUTINE, CREATE VIEW, SET_ANY_DEFINER), create the definer, or create the object by hand.',
  },
  OBJECT_UNREADABLE: {
    kind: 'refused',
    meaning: 'Our user may not see the definition of a routine, trigger or event.',
    remedy: 'Grant it SHOW_ROUTINE, TRIGGER and EVENT on the schema.',
  },
  // replication stream
  GTID_INVALID: {
    kind: 'usage',
    meaning: 'A text is no GTID, GTID set or GTID position.',
    remedy: "Give it in the server's own notation, as in @@gtid_executed or @@gtid_binlog_pos.",
  },
  STREAM_PURGED: {
    kind: 'fatal',
    meaning: 'The server has removed binary logs that replication still needed: changes are missing for good.',
    remedy:
      'Cancel the import and start it again with a longer retention (binlog_expire_logs_seconds, or the setting of the provider). Where the target is primary already there is no way back any more: `switchyard complete ID`.',
  },
  STREAM_DIVERGED: {
    kind: 'fatal',
    meaning:
      'The server does not have transactions that were already read from it: it was restored, reset or failed over to a server behind.',
    remedy: 'Point the import at the server that has them, or cancel it and start again.',
  },
  STREAM_GTID_OFF: {
    kind: 'fatal',
    meaning: 'The server logs transactions without GTIDs.',
    remedy:
      'Set gtid_mode=ON (stepwise, without a restart: MySQL manual, "Enabling GTID Transactions Online"), then start again.',
  },
  STREAM_CHECKSUM: {
    kind: 'retryable',
    meaning: 'An event of the binary log arrived damaged.',
    remedy:
      'Nothing, where it was the network: the stream reconnects. If it repeats, the log file is damaged: look with mysqlbinlog --verify-binlog-checksum.',
  },
  STREAM_INCIDENT: {
    kind: 'fatal',
    meaning: 'The server says in its binary log that changes are missing from it (an INCIDENT event).',
    remedy: "Look at the server's error log for the cause, then cancel the import and start again.",
  },
  STREAM_EVENT_UNKNOWN: {
    kind: 'fatal',
    meaning: 'The binary log has an event that Switchyard cannot read.',
    remedy: 'Report it with the number of the event type and the version of the server.',
  },
  STREAM_EVENT_MALFORMED: {
    kind: 'fatal',
    meaning: 'An event of the binary log does not have the form that its type has.',
    remedy: 'Report it with the version of the server; nothing was applied beyond the last whole transaction.',
  },
  STREAM_SCHEMA_CHANGED: {
    kind: 'fatal',
    meaning:
      'Row changes have other columns than the table that was imported, or texts in another charset: its definition changed.',
    remedy:
      'Undo the change of the table and resume, or cancel the import and start again. Where the target is primary already, and nothing helps, there is no way back any more: `switchyard complete ID`.',
  },
  STREAM_TABLE_WITHOUT_KEY: {
    kind: 'fatal',
    meaning:
      'A DDL statement made a table of the import whose rows cannot be told apart: no primary key, no unique key of NOT NULL columns.',
    remedy:
      'Add the key on the source and on the target, then `resume --skip-ddl` for both statements; or drop the table on the target and `resume --skip-ddl`: it is not imported then, and switches are refused as long as the source has it.',
  },
  STREAM_ROW_IMAGE_NOT_FULL: {
    kind: 'fatal',
    meaning: 'Row changes do not carry every column.',
    remedy:
      "Set binlog_row_image=FULL and binlog_row_value_options='' globally; sessions opened before keep their own value: reconnect them. Then start the import again.",
  },
  STREAM_STATEMENT_DML: {
    kind: 'fatal',
    meaning:
      'A statement that changes rows and names an imported table, or a trigger, view or routine that does, or that was run in the imported database, was logged as it is, not as rows: by a session that began before binlog_format was ROW, or that has set it for itself, as pt-table-checksum does.',
    remedy:
      'Set binlog_format=ROW globally and reconnect the sessions. Do not run pt-table-checksum, nor anything else that sets binlog_format, on the source while an import goes on: `switchyard verify` compares the rows. The import must start again, since the change cannot be repeated exactly.',
  },
  STREAM_MIXED_ENGINES: {
    kind: 'fatal',
    meaning:
      'A transaction with changes of imported tables was rolled back in part, and which of them stay cannot be told: it mixed tables with and without transactions, or is very large, or an XA transaction with a temporary table.',
    remedy: 'Convert the tables without transactions to InnoDB, then start the import again.',
  },
  STREAM_SPILL_FAILED: {
    kind: 'fatal',
    meaning: 'The rows of a prepared XA transaction could not be kept in a temporary file until its commit.',
    remedy:
      'Free space in the temporary directory, or start Switchyard with TMPDIR set to one that has it; then resume.',
  },
  STREAM_XA_UNKNOWN: {
    kind: 'fatal',
    meaning: 'An XA transaction was committed that had been prepared before the position where reading began.',
    remedy: 'Start the import again while no XA transaction is prepared (XA RECOVER shows them).',
  },
  SERVER_NOT_STARTED: {
    kind: 'fatal',
    meaning: 'A database server for a test, the demo or a benchmark could not be had or did not start.',
    remedy:
      'Install Docker or the server itself, or set SWITCHYARD_TEST_SOURCE and _TARGET; servers/README.md tells how.',
  },
  // imports
  IMPORT_EXISTS: {
    kind: 'refused',
    meaning: 'There is an import that is neither completed nor cancelled, or one of the same name.',
    remedy: 'Complete or cancel it first, or choose another name.',
  },
  VALIDATION_FAILED: {
    kind: 'refused',
    meaning: 'Validation found errors; the import was not created.',
    remedy:
      'Fix each finding (its text says how) and create the import again; some can be skipped with skipValidationErrors.',
  },
  OPERATION_IN_PROGRESS: {
    kind: 'refused',
    meaning: 'Another request changes this import at the moment.',
    remedy: 'Wait until it has ended; `switchyard import show` tells.',
  },
  VERIFY_DIFFERENT: {
    kind: 'refused',
    meaning: 'A verification found rows that differ between source and target, or could not finish.',
    remedy:
      '`switchyard import show` lists the first differing rows. Find out what changed them; `switchyard verify --repair` writes them as they are on the primary.',
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
  // schema and copy
  TABLE_UNKNOWN: {
    kind: 'usage',
    meaning: 'A requested table does not exist in the source schema, or is no base table.',
    remedy: 'Correct the name; views, sequences and system-versioned tables are not imported.',
  },
  TARGET_TABLE_EXISTS: {
    kind: 'refused',
    meaning: 'The target has a table of that name that Switchyard did not create.',
    remedy: 'Drop or rename it on the target, if its rows are not needed.',
  },
  DDL_UNSUPPORTED: {
    kind: 'fatal',
    meaning:
      'The definition of a table uses something that the target cannot hold or that Switchyard cannot translate.',
    remedy: 'Change the table on the source as the message says, or leave it out of the import.',
  },
  COPY_VALUE_REFUSED: {
    kind: 'fatal',
    meaning:
      'The target does not take a copied row unchanged. The message names table, key, column and value; nothing of its chunk was kept.',
    remedy: "Read the server's words in the message, correct the value or the column on the source, and resume.",
  },
  COPY_SCHEMA_CHANGED: {
    kind: 'fatal',
    meaning:
      'A table was changed on the source while it was copied, in a way that lets rows be read in one form and kept in another.',
    remedy: 'Cancel the import and make it anew when no such statement is going to run.',
  },
  COPY_TAKEN_OVER: {
    kind: 'fatal',
    meaning: 'Another engine copies the tables of this import now.',
    remedy:
      'Nothing, where the supervisor replaced the engine. Otherwise two Switchyards run the same import: stop one.',
  },
  COPY_ROWS_COLLIDE: {
    kind: 'fatal',
    meaning:
      'Two rows that are both on the source are one for a unique key of the target, mostly because its collation tells fewer texts apart. Neither was dropped; nothing of their chunk was kept.',
    remedy: 'Change one of the two values on the source, or the collation of that column, and resume.',
  },
  // verification
  VERIFY_PAIR_UNEQUAL: {
    kind: 'fatal',
    meaning:
      'A server writes a value in another form than verification expects, so that equal rows could look different.',
    remedy:
      'Report it with the versions of both servers and the value in the message. Nothing is known to be wrong with the data.',
  },
  VERIFY_TABLES_DIFFER: {
    kind: 'fatal',
    meaning:
      'A table has other columns or another key on the target than on the source, so its rows cannot be compared.',
    remedy: 'Make the definitions equal (the message names what differs), then verify again.',
  },
  VERIFY_ROW_UNREADABLE: {
    kind: 'fatal',
    meaning:
      'A server could not put a row into the form that is compared, usually because max_allowed_packet is too small.',
    remedy: 'Raise max_allowed_packet on that server, then verify again.',
  },
  VERIFY_REVERSE_OFF: {
    kind: 'refused',
    meaning:
      'The target is primary, and with `reverse: off` nothing brings its writes to the source: the two are not meant to be the same any more.',
    remedy:
      'Nothing: there is no way back that a verification would guard. `switchyard complete` when the target is what you want.',
  },
  VERIFY_STALE: {
    kind: 'refused',
    meaning: 'A verification says nothing any more: what was written since could not be compared.',
    remedy: 'Verify again.',
  },
  VERIFY_UNSETTLED: {
    kind: 'retryable',
    meaning: 'Some rows changed faster than they could be compared. All others were equal.',
    remedy: 'Verify again when those rows are written less often; the message names their tables.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_TABLE;
