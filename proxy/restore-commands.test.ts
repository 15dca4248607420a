import { expect, test } from 'vitest';
import { buildOk } from '../core/wire/ok-packet.ts';
import { ByteWriter } from '../core/wire/byte-writer.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import type { BackendConnection } from './backend-connection.ts';
import {
  closingCommands,
  resetCommands,
  restoreCommands,
  valueCommands,
  writableCommands,
} from './restore-commands.ts';
import { emptySnapshot, parseReadBack, readBackSql, type SessionSnapshot } from './session-snapshot.ts';
import { SessionState } from './session-state.ts';
import { effectsOf } from './statement-effects.ts';

// Only its capabilities are looked at: no query attributes.
const connection = { capabilities: 0 } as BackendConnection;
const texts = (commands: Buffer[]): string[] => commands.map((command) => command.toString('latin1'));

/** Runs `sql` as a client would, with what the trackers report of it. */
function run(state: SessionState, sql: string, variables: Record<string, string> = {}): void {
  const effects = effectsOf(sql);
  state.onStart(effects);
  const blocks = Object.entries(variables).map(([name, value]) => {
    const pair = new ByteWriter().lenencBytes(Buffer.from(name)).lenencBytes(Buffer.from(value)).toBuffer();
    return new ByteWriter().uint8(0).lenencBytes(pair).toBuffer();
  });
  const stateChanges = blocks.length === 0 ? null : Buffer.concat(blocks);
  const statusFlags = 2 | (stateChanges === null ? 0 : SERVER_STATUS.SESSION_STATE_CHANGED);
  state.onOk(buildOk({ statusFlags, stateChanges }), effects);
  state.onEnd(effects, { failed: false });
}

function snapshotOf(state: SessionState, row: (string | null)[], types: number[] = []): SessionSnapshot {
  const rows = [row.map((value) => (value === null ? null : Buffer.from(value)))];
  const columns = row.map((_, index) => ({ type: types[index] ?? 253, isUnsigned: false }));
  const snapshot = parseReadBack(state, null, { kind: 'rows', columns, rows });
  if (snapshot === undefined) throw new Error('no row');
  return snapshot;
}

const CHARSET = ['utf8mb4', 'utf8mb4', 'utf8mb4', 'utf8mb4_bin', 'latin1_bin'];

test('variables in the order of their last change, numbers bare, text quoted whatever sql_mode says', () => {
  const state = new SessionState('app');
  run(state, 'SET x', { sql_mode: 'ANSI', wait_timeout: '5' });
  run(state, 'SET x', { sql_mode: `it's`, init_connect: 'a\\b' });
  expect(texts(restoreCommands(connection, state, emptySnapshot(state)))).toEqual([
    `\x03SET @@SESSION.wait_timeout=5, @@SESSION.sql_mode='it''s', @@SESSION.init_connect=_utf8mb4 X'615c62'`,
  ]);
});

test('every kind of user variable', () => {
  const state = new SessionState(null);
  run(state, 'SET @i = 1, @d = 1.5, @f = 1e0, @s = "x", @b = X"00", @n = NULL');
  const row = ['0', ...CHARSET, '-5', '2D35', null, null, '2', 'x', null, null, '1.5', 'x', null, null];
  row.push('é', 'E9', 'latin1', 'latin1_bin', 'b', '00FF', 'binary', 'binary', null, null, 'binary', 'binary');
  const types = [8, 253, 253, 253, 253, 253, 8, 253, 253, 253, 246, 253, 253, 253, 5];
  const snapshot = snapshotOf(state, row, types);
  expect(snapshot.userVariables).toMatchObject([
    { name: 'i', literal: '-5', collation: null },
    { name: 'd', literal: '2.', collation: null },
    { name: 'f', literal: '1.5e0', collation: null },
    { name: 's', literal: `_latin1 X'E9'`, collation: 'latin1_bin' },
    { name: 'b', literal: `_binary X'00FF'`, collation: null },
    { name: 'n', literal: 'CAST(NULL AS BINARY)', collation: null },
  ]);
});

test('the role and the next transaction are given again', () => {
  const state = new SessionState(null);
  run(state, `SET ROLE /* mine */ admin, 'other'@'%'`);
  run(state, 'SET TRANSACTION READ ONLY');
  expect(state.takeCatchUps()).toEqual([{ kind: 'next-transaction', sql: 'SET TRANSACTION READ ONLY' }]);
  state.onNextTransaction('SET TRANSACTION READ ONLY', null);
  expect(texts(restoreCommands(connection, state, emptySnapshot(state)))).toEqual([`\x03SET ROLE admin , 'other'@'%'`]);
  expect(texts(writableCommands(connection, state))).toEqual(['\x03SET @@SESSION.transaction_read_only=0']);
  expect(texts(closingCommands(connection, state))).toEqual([
    `\x03SET @@SESSION.session_track_transaction_info='CHARACTERISTICS'`,
    '\x03SET TRANSACTION READ ONLY',
  ]);
  // The tracker of transactions: nothing rules the next one any more.
  state.onOk(buildOk({ statusFlags: SERVER_STATUS.SESSION_STATE_CHANGED, stateChanges: Buffer.of(4, 1, 0) }), []);
  expect(texts(closingCommands(connection, state))).toHaveLength(1);
  expect(writableCommands(connection, state)).toEqual([]);
});

test('after a reset the character set of the old connection is set, then everything else', () => {
  const state = new SessionState('app');
  run(state, 'SET @x = 1', { time_zone: 'UTC' });
  const snapshot = snapshotOf(state, ['0', ...CHARSET, '1', '31', null, null], [8, 253, 253, 253, 253, 253, 8]);
  const [reset, trackers, database, charset, ...rest] = texts(resetCommands(connection, state, snapshot));
  expect([reset, database]).toEqual(['\x1f', '\x02app']);
  expect(trackers).toContain('session_track_system_variables');
  expect(charset).toContain('collation_connection=utf8mb4_bin');
  expect(rest).toEqual([`\x03SET @@SESSION.time_zone='UTC'`, '\x03SET @`x`=1']);
});

test('only what changed is read and set again', () => {
  const state = new SessionState(null);
  run(state, 'SET @x = 1');
  const first = snapshotOf(state, ['0', ...CHARSET, '1', '31', null, null], [8, 253, 253, 253, 253, 253, 8]);
  state.onOk(buildOk({ statusFlags: 2, lastInsertId: 9n }), []);
  expect(readBackSql(state, first)).toBe('SELECT LAST_INSERT_ID()');
  const second = parseReadBack(state, first, {
    kind: 'rows',
    columns: [{ type: 8, isUnsigned: false }],
    rows: [[Buffer.from('9')]],
  });
  if (second === undefined) throw new Error('no row');
  expect(second.userVariables).toEqual(first.userVariables);
  expect(texts(valueCommands(connection, { state, snapshot: second, known: first }))).toEqual([
    '\x03SET @@SESSION.last_insert_id=9',
  ]);
  run(state, 'SELECT @x');
  expect(valueCommands(connection, { state, snapshot: second, known: second })).toEqual([]);
  run(state, 'SET @x = NULL');
  expect(readBackSql(state, second)).toContain('HEX(@`x`)');
});

test('the collation of the server, where the session has one of its own, as the server told it', () => {
  const state = new SessionState('app');
  const setServer = (name: string, value: string) => {
    run(state, 'SET x', { [name]: value });
    return texts(restoreCommands(connection, state, snapshotOf(state, ['0', ...CHARSET])));
  };
  expect(setServer('character_set_client', 'utf8mb4').join()).not.toMatch(/_server/);
  // MariaDB reports it by the one or the other name.
  expect(setServer('character_set_server', 'utf8mb4').join()).toMatch(
    /^[^]*_bin, @@SESSION.collation_server=latin1_bin$/,
  );
});

test('a variable that only a failed statement has named need not be there', () => {
  const state = new SessionState('app');
  const names = (value: string | null) =>
    snapshotOf(state, ['0', ...CHARSET, value, value, value === null ? 'binary' : 'utf8mb4', null]).userVariables;
  const effects = effectsOf('SET @x = 1, nonsense = 2');
  state.onStart(effects);
  state.onEnd(effects, { failed: true });
  expect(names(null)).toEqual([]);
  expect(names('a')).toHaveLength(1);
  run(state, 'SET @x = NULL');
  expect(names(null)).toHaveLength(1);
});

test('a read-back without a row is no state', () => {
  expect(parseReadBack(new SessionState(null), null, { kind: 'rows', columns: [], rows: [] })).toBeUndefined();
});

test('on a server of the other family: its names of the isolation, and the collation that columns get there', () => {
  const state = new SessionState('app');
  run(state, 'SET x', { tx_isolation: 'READ-COMMITTED', transaction_read_only: '1' });
  run(state, 'SET NAMES utf8mb4, @s = "x"');
  state.charsetTouched = true;
  const charset = ['utf8mb4', 'utf8mb4', 'utf8mb4', 'utf8mb4_uca1400_ai_ci', 'utf8mb4_bin'];
  const snapshot = snapshotOf(state, ['0', ...charset, 'x', '78', 'utf8mb4', 'utf8mb4_uca1400_ai_ci']);
  const on = (isMariaDb: boolean) => {
    const server = { capabilities: 0, isMariaDb } as BackendConnection;
    return texts([...restoreCommands(server, state, snapshot), ...closingCommands(server, state)]).join();
  };
  expect(on(false)).toContain(`@@SESSION.transaction_isolation='READ-COMMITTED'`);
  expect(on(false)).toMatch(/SET @@SESSION.transaction_read_only=1$/);
  expect(on(false)).toContain('@@SESSION.collation_connection=utf8mb4_0900_ai_ci');
  expect(on(false)).toContain(`@\`s\`=_utf8mb4 X'78' COLLATE utf8mb4_0900_ai_ci`);
  expect(on(true)).toContain(`@@SESSION.tx_isolation='READ-COMMITTED'`);
  expect(on(true)).toMatch(/SET @@SESSION.tx_read_only=1$/);
  expect(on(true)).toContain('@@SESSION.collation_connection=utf8mb4_uca1400_ai_ci');
});
