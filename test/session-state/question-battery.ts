import { USER_VARIABLES } from './random-steps.ts';

/**
 * What every session is asked after its move. The order counts: what the server remembers of the last statement and
 * of SET TRANSACTION is gone with the first question that does not ask for it.
 */
export function questionsOf({ variables, isMixed }: { variables: string; isMixed: boolean }): string[] {
  return [
    // Each flavor warns of other things, in other words.
    ...(isMixed ? [] : ['SHOW WARNINGS']),
    'SELECT ROW_COUNT()',
    'START TRANSACTION',
    'INSERT INTO w (n) VALUES (1)',
    // MySQL's; MariaDB has it turned off.
    'SELECT ACCESS_MODE, ISOLATION_LEVEL, AUTOCOMMIT FROM performance_schema.events_transactions_current WHERE THREAD_ID = PS_CURRENT_THREAD_ID()',
    'ROLLBACK',
    'INSERT INTO w (n) VALUES (1)',
    'ROLLBACK',
    `SELECT LAST_INSERT_ID(), @@identity, DATABASE(), CURRENT_ROLE(), @@autocommit`,
    ...USER_VARIABLES.map(
      (name) =>
        // Of NULL nothing else: MySQL has a type for it already where a statement names the variable that was never assigned.
        `SELECT @${name}, HEX(@${name}), IF(@${name} IS NULL, '', CHARSET(@${name})), ${isMixed ? '1' : `IF(@${name} IS NULL, '', COLLATION(@${name}))`}, CAST(@${name} + 0 AS CHAR), @${name} IS NOT NULL AND @${name} = 'A'`,
    ),
    'SELECT LOWER(VARIABLE_NAME), HEX(VARIABLE_VALUE) FROM performance_schema.user_variables_by_thread WHERE THREAD_ID = PS_CURRENT_THREAD_ID() AND VARIABLE_VALUE IS NOT NULL ORDER BY 1',
    // MariaDB's.
    `SELECT LOWER(VARIABLE_NAME), HEX(VARIABLE_VALUE), VARIABLE_TYPE, IF(VARIABLE_TYPE LIKE '%CHAR%', CHARACTER_SET_NAME, '') FROM information_schema.USER_VARIABLES WHERE VARIABLE_VALUE IS NOT NULL ORDER BY 1`,
    variables,
    `SELECT IF(ABS(UNIX_TIMESTAMP(NOW(6)) - UNIX_TIMESTAMP(SYSDATE(6))) < 300, 'runs', UNIX_TIMESTAMP(NOW(6))), FROM_UNIXTIME(86400)`,
    `SELECT 'x', ${isMixed ? '1' : "COLLATION('x')"}, HEX('\xc3\xa9'), 7 / 3, 1 || 0, 'a\\'`,
    `SELECT "x" FROM three`,
    'SET @given = 8',
    ...['p1', 'p2', 'p3'].map((name) => `EXECUTE ${name}`),
    'EXECUTE p4 USING @given, @a',
    'SELECT @given',
    'SELECT * FROM tmp',
    'SELECT * FROM tmp2',
    'HANDLER h READ FIRST',
    ...['', '1', '2', '3'].map((suffix) => `SELECT IS_USED_LOCK('PLACE_lock${suffix}') <=> CONNECTION_ID()`),
    'DO 1; DO 2',
  ];
}

/** They describe the moment, the connection, its last transaction, or what the proxy listens to. */
const NOT_ASKED = /^(?:timestamp|last_gtid|pseudo_thread_id|session_track_.*|statement_id)$/;

export function variablesQuestion(names: readonly string[]): string {
  const asked = names.filter((name) => !NOT_ASKED.test(name)).map((name) => `'${name}'`);
  return `SHOW SESSION VARIABLES WHERE Variable_name IN (${asked.join(', ')})`;
}
