import type { Role } from '../core/routing-record.ts';
import { CAPABILITY, hasCapability } from '../core/wire/capabilities.ts';
import { COMMAND } from '../core/wire/command.ts';
import { parseErr, type ErrPacket } from '../core/wire/err-packet.ts';
import { EOF_WARNINGS, OK_HEADER, buildOk } from '../core/wire/ok-packet.ts';
import { HEADER_BYTES, framePacket } from '../core/wire/packet.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import { CLIENT_ERROR, type OwnError } from './client-error.ts';
import type { CommandDecision, Errand } from './command-decision.ts';
import type { DiagnosticsLook, Kept } from './diagnostics-reading.ts';
import { inSchema, withExecutions } from './execution-effects.ts';
import { clearChangeFlag, glanceAtOk } from './ok-glance.ts';
import {
  executeLayout,
  firstTextParameter,
  statementIdOf,
  type PreparedStatement,
  type PreparedStatements,
} from './prepared-statements.ts';
import { queryTextOffset } from './query-text.ts';
import { ResponseWalker, type Replacement } from './response-walker.ts';
import { splitRoleSuffix } from './role-suffix.ts';
import { makesWritable } from './read-only-replica.ts';
import { failedRewritten, outcomeOf, toldError, type RunningCommand } from './running-command.ts';
import type { SessionState } from './session-state.ts';
import { ALL_KEPT, LIST_KEPT, ROWS, errorIn } from './statement-diagnostics.ts';
import type { TableName } from './sql-pieces.ts';
import { NO_EFFECTS, beginsTransaction, effectsOf, functionsIn, type StatementEffect } from './statement-effects.ts';
import { explainsStateChange } from './unreported-changes.ts';
import { NO_STATEMENT, executePacket, isTooShort, takeRefusal } from './statement-packets.ts';
import { meaningOf } from './statement-reading.ts';
import { withLockName } from './user-locks.ts';

export interface CommandTrackerOptions {
  role: Role;
  /** As agreed with the client. */
  capabilities: number;
  state: SessionState;
  statements: PreparedStatements;
  forward: (bytes: Buffer) => void;
  onFinished: () => void;
  onUnsolicited: (error: ErrPacket) => void;
  onLocalInfile: () => void;
  /** The server did not take a command for one. */
  onProtocolError: () => void;
}

/** Unknown command, packet too large, packets out of order, malformed packet. */
const PROTOCOL_ERRORS: ReadonlySet<number> = new Set([1047, 1153, 1156, 1835]);

export const EXECUTING_COMMANDS: ReadonlySet<number> = new Set([COMMAND.QUERY, COMMAND.STMT_EXECUTE]);
const STATEMENT_ID_COMMANDS: ReadonlySet<number> = new Set([
  COMMAND.STMT_EXECUTE,
  COMMAND.STMT_FETCH,
  COMMAND.STMT_RESET,
  COMMAND.STMT_SEND_LONG_DATA,
]);

/** MySQL tells with them how many warnings there still are of an earlier statement. */
const REPEATS_WARNINGS: ReadonlySet<number> = new Set([COMMAND.PING, COMMAND.INIT_DB, COMMAND.SET_OPTION]);

/** In the answer to a PREPARE. Source: MySQL internals, COM_STMT_PREPARE_OK. */
const PREPARED_WARNINGS = 10;
/** The change that is reported is that of MariaDB's last_gtid. */
const WRITES_TO_THE_LOG = /^\s*(?:analyze|optimize|repair|check)\b/i;

const SETS_STATE: readonly StatementEffect[] = [{ kind: 'sets-state' }];

/**
 * Looks at each command on its way to the server and at its response on the way back, and keeps the session's state
 * and statements in step with them.
 */
export class CommandTracker {
  readonly #options: CommandTrackerOptions;
  readonly #tracksSession: boolean;
  /** Rows do: without DEPRECATE_EOF. */
  readonly #endsWithEof: boolean;
  readonly #walker: ResponseWalker;
  #capabilities: number;
  #current: RunningCommand | null = null;
  /** Of the text that is about to start, where it was looked at before; two fields, since an object for each query costs. */
  #readSql: string | null = null;
  #readEffects: readonly StatementEffect[] = NO_EFFECTS;

  constructor(options: CommandTrackerOptions) {
    this.#options = options;
    this.#capabilities = options.capabilities;
    this.#endsWithEof = !hasCapability(options.capabilities, CAPABILITY.DEPRECATE_EOF);
    this.#tracksSession = hasCapability(options.capabilities, CAPABILITY.SESSION_TRACK);
    const { forward, onLocalInfile, onUnsolicited } = options;
    this.#walker = new ResponseWalker(
      {
        forward,
        localInfile: onLocalInfile,
        ok: (payload) => this.#onOk(payload),
        status: (flags, warnings, payload) => {
          const earlier = this.#warningsOfEarlier;
          if (earlier !== null) payload.writeUInt16LE(earlier, EOF_WARNINGS);
          this.#noteOutcome(warnings, ROWS);
          this.#onStatus(flags);
          this.#onEof(flags);
        },
        error: (payload) => this.#onError(payload),
        prepared: (payload) => this.#onPrepared(payload),
        finished: () => this.#onFinished(),
        unsolicited: (payload) => onUnsolicited(payload[0] === 0xff ? parseErr(payload) : CLIENT_ERROR.malformed()),
      },
      { deprecateEof: !this.#endsWithEof },
    );
  }

  get isBusy(): boolean {
    return this.#current !== null;
  }

  /** True while everything passes in both directions: a replication stream. */
  get isRaw(): boolean {
    const command = this.#current?.command;
    return command === COMMAND.BINLOG_DUMP || command === COMMAND.BINLOG_DUMP_GTID;
  }

  /** With MULTI_STATEMENTS as COM_SET_OPTION left it. */
  get capabilities(): number {
    return this.#capabilities;
  }

  get isBetweenPackets(): boolean {
    return this.#walker.isBetweenPackets;
  }

  get nextSequence(): number {
    return this.#walker.lastSequence + 1;
  }

  feed(chunk: Buffer): void {
    this.#walker.feed(chunk);
  }

  localInfileSent(lastSequence: number): void {
    this.#walker.localInfileSent(lastSequence);
  }

  /** `packet` is the first packet of a command with its header; of a large one, its beginning. */
  start(packet: Buffer): CommandDecision {
    const payload = packet.subarray(HEADER_BYTES);
    const command = payload.readUInt8(0);
    switch (command) {
      case COMMAND.QUIT:
        return { kind: 'quit' };
      case COMMAND.QUERY:
        return this.#query(packet, payload);
      case COMMAND.STMT_PREPARE: {
        const text = Buffer.from(payload.subarray(1));
        const kept = this.#options.state.diagnostics.keptByPrepare(text, this.#options.state);
        return this.#forward(packet, { command, effects: NO_EFFECTS, text, kept });
      }
      case COMMAND.STMT_EXECUTE:
        return this.#execute(packet, payload);
      case COMMAND.STMT_FETCH:
      case COMMAND.STMT_RESET:
        return this.#withStatement(packet, payload, command);
      case COMMAND.STMT_SEND_LONG_DATA:
      case COMMAND.STMT_CLOSE:
        return this.#unanswered(packet, payload, command);
      case COMMAND.INIT_DB:
        return this.#initDb(packet, payload);
      case COMMAND.PROCESS_KILL:
        if (payload.length < 5) return this.#refuse(CLIENT_ERROR.malformed());
        return { kind: 'kill', request: { id: payload.readUInt32LE(1), statement: 'KILL' } };
      case COMMAND.CHANGE_USER:
        return { kind: 'change-user', payload };
      case COMMAND.BINLOG_DUMP:
      case COMMAND.BINLOG_DUMP_GTID:
        return this.#forward(packet, { command, effects: [{ kind: 'pin', key: 'replication stream' }] });
      case COMMAND.SET_OPTION:
      case COMMAND.RESET_CONNECTION:
        return this.#forward(packet, { command, effects: SETS_STATE, text: Buffer.from(payload) });
      case COMMAND.STMT_BULK_EXECUTE:
      case COMMAND.CLONE:
        return this.#refuse(CLIENT_ERROR.unsupportedCommand(`command 0x${command.toString(16)}`));
      default:
        return this.#forward(packet, { command, effects: NO_EFFECTS });
    }
  }

  /**
   * What has to be done on the server before the command may go there; `packet` is as for `start`, and stays. Asked before
   * every command, most of which it says nothing of.
   */
  beforeStart(command: number, peek: () => Buffer): Errand | null {
    const { state, statements } = this.#options;
    if (state.unreported.isDue && this.#wouldExplain(command, peek)) return { kind: 'report' };
    if (state.hasMissingTexts && command === COMMAND.QUERY) {
      const name = this.#missingText(peek().subarray(HEADER_BYTES));
      if (name !== null) return { kind: 'prepare-text', name };
    }
    return statements.hasMissing && STATEMENT_ID_COMMANDS.has(command) ? this.#missing(command, peek()) : null;
  }

  #wouldExplain(command: number, peek: () => Buffer): boolean {
    const { state } = this.#options;
    if (command === COMMAND.INIT_DB) return true;
    if (!EXECUTING_COMMANDS.has(command)) return false;
    const payload = peek().subarray(HEADER_BYTES);
    const sql = command === COMMAND.QUERY ? this.#textOf(payload) : null;
    const effects = sql === null ? this.#statementOf(payload)?.effects : effectsOf(sql, state);
    if (effects === undefined) return false;
    if (explainsStateChange(withExecutions(effects, state.textPrepared))) return true;
    this.#readSql = sql;
    this.#readEffects = effects;
    return false;
  }

  /** Of SQL's PREPARE, to be executed, and not tried again yet. */
  #missingText(payload: Buffer): string | null {
    const { state } = this.#options;
    const effects = effectsOf(this.#textOf(payload), state);
    const untried = effects.find(
      (effect) => effect.kind === 'text-execute' && state.textPrepared.get(effect.name)?.missing === 'untried',
    );
    return untried?.kind === 'text-execute' ? untried.name : null;
  }

  #missing(command: number, packet: Buffer): Errand | null {
    const statement = this.#statementOf(packet.subarray(HEADER_BYTES));
    if (statement === undefined || statement.backendId !== null || statement.refusal !== null) return null;
    // What was sent ahead is lost.
    return statement.hasLongData && command !== COMMAND.STMT_RESET ? null : { kind: 'prepare', statement };
  }

  #forward(
    packet: Buffer,
    current: Pick<RunningCommand, 'command' | 'effects'> &
      Partial<
        Pick<RunningCommand, 'statement' | 'sql' | 'rewritten' | 'text' | 'kept' | 'unknownId' | 'mayChangeState'>
      >,
  ): CommandDecision {
    const { command, statement = null, sql = null, text = null, kept = ALL_KEPT, unknownId = null } = current;
    const { rewritten = null, mayChangeState = false } = current;
    const effects = withExecutions(current.effects, this.#options.state.textPrepared);
    // Written out: spreading defaults took longer than the rest of this function.
    this.#current = {
      command,
      effects,
      statement,
      sql,
      rewritten,
      text,
      error: null,
      warnings: 0,
      rowCount: null,
      kept,
      unknownId,
      mayChangeState,
    };
    this.#options.state.onStart(effects);
    this.#walker.begin(command);
    return { kind: 'forward', packet, isAnswered: true };
  }

  #textOf(payload: Buffer): string {
    return payload.toString('latin1', queryTextOffset(payload, this.#capabilities));
  }

  #query(packet: Buffer, payload: Buffer): CommandDecision {
    const sql = this.#readSql ?? this.#textOf(payload);
    const effects = this.#readSql === null ? effectsOf(sql, this.#options.state) : this.#readEffects;
    this.#readSql = null;
    if (this.#isRefused(sql)) return this.#refuse(CLIENT_ERROR.apartFromPrimary());
    this.#options.state.notePossibleUse(sql);
    if (!this.#options.state.pins.isEmpty && beginsTransaction(sql)) this.#options.state.onTransactionBegun();
    if (this.#options.state.hasMissingTexts) {
      const missing = this.#lookForMissing(effects);
      if (missing === 'gone')
        return this.#forward(inItsStead(payload, sql, 'DO 0'), { command: COMMAND.QUERY, effects, sql });
      if (missing !== null) return this.#refuse(missing);
    }
    const [kill] = effects;
    if (kill?.kind === 'kill' && effects.length === 1) return { kind: 'kill', request: kill };
    const { rewritten, kept } = this.#look(sql, effects);
    // Of a large packet only its beginning is here.
    const mayChangeState = this.#endsWithEof && (effects.length > 0 || sql.includes('('));
    if (rewritten === null || packet.readUIntLE(0, 3) !== payload.length)
      return this.#forward(packet, { command: COMMAND.QUERY, effects, sql, kept, mayChangeState });
    const sent = inItsStead(payload, sql, rewritten.text);
    return this.#forward(sent, { command: COMMAND.QUERY, effects, sql, rewritten, kept, mayChangeState });
  }

  /**
   * A statement of SQL's PREPARE, alone in its text, that could not be prepared here: the execution is told what the server said,
   * and what takes it away has nothing to do.
   */
  #lookForMissing(effects: readonly StatementEffect[]): OwnError | 'gone' | null {
    const isAlone = !effects.some(({ kind }) => kind === 'several');
    for (const effect of effects) {
      if (effect.kind !== 'text-execute' && effect.kind !== 'text-deallocate') continue;
      const statement = this.#options.state.textPrepared.get(effect.name);
      const missing = statement?.missing ?? null;
      if (statement === undefined || missing === null) continue;
      if (effect.kind === 'text-deallocate') return isAlone ? 'gone' : null;
      statement.missing = 'untried';
      return isAlone && missing !== 'untried' ? missing : null;
    }
    return null;
  }

  #look(sql: string | Buffer, effects: readonly StatementEffect[]): DiagnosticsLook {
    const { state } = this.#options;
    return state.diagnostics.look(sql, state, effects.length === 0 ? null : shownBy(effects));
  }

  /** The server does not hear of it, the client may ask for its error. */
  #refuse(error: OwnError): CommandDecision {
    this.onRefused(error);
    return { kind: 'refuse', error };
  }

  /** The client was told this in place of an answer. */
  onRefused({ code, message }: OwnError): void {
    this.#options.state.diagnostics.onOwnError({ code: String(code), message: Buffer.from(message) });
  }

  #isRefused(text: string | Buffer): boolean {
    const { state } = this.#options;
    if (!state.refusesWrites) return false;
    return makesWritable(typeof text === 'string' ? text : text.toString('latin1'), state);
  }

  #initDb(packet: Buffer, payload: Buffer): CommandDecision {
    const { database, role } = splitRoleSuffix(payload.subarray(1));
    if (role === null) return this.#forward(packet, { command: COMMAND.INIT_DB, effects: SETS_STATE });
    if (role !== this.#options.role) return this.#refuse(CLIENT_ERROR.otherRole());
    const rewritten = Buffer.concat([Buffer.of(COMMAND.INIT_DB), database ?? Buffer.alloc(0)]);
    return this.#forward(framePacket(rewritten, 0), { command: COMMAND.INIT_DB, effects: SETS_STATE });
  }

  #execute(packet: Buffer, payload: Buffer): CommandDecision {
    if (isTooShort(COMMAND.STMT_EXECUTE, payload)) return this.#refuse(CLIENT_ERROR.malformed());
    const statement = this.#statementOf(payload);
    if (statement === undefined) return this.#withoutStatement(packet, payload, COMMAND.STMT_EXECUTE);
    if (statement.backendId === null) {
      const refusal = takeRefusal(statement);
      // Servers forget it with an execution, also one that fails.
      statement.hasLongData = false;
      return this.#refuse(refusal);
    }
    if (this.#isRefused(statement.text)) return this.#refuse(CLIENT_ERROR.apartFromPrimary());
    const layout = executeLayout(payload, statement, this.#capabilities);
    const { wantsCursor } = layout;
    const own = withLockName(statement.effects, () => firstTextParameter(payload, layout, statement));
    const { schema } = statement;
    const isElsewhere = schema !== this.#options.state.schema;
    const effects = isElsewhere
      ? [...own, { kind: 'elsewhere', preparedIn: schema, text: statement.text } as const]
      : own;
    payload.writeUInt32LE(statement.backendId, 1);
    const sent = executePacket(packet, statement, layout);
    if (sent === null) return this.#refuse(CLIENT_ERROR.statementLost());
    if (this.#options.state.hidesUse) this.#options.state.notePossibleUse(statement.text.toString('latin1'));
    statement.typesKnown = true;
    statement.hasLongData = false;
    statement.hasCursor = wantsCursor;
    const { kept } = this.#look(statement.text, effects);
    const mayChangeState = this.#endsWithEof && (effects.length > 0 || statement.text.includes('('));
    return this.#forward(sent, { command: COMMAND.STMT_EXECUTE, effects, statement, kept, mayChangeState });
  }

  #withStatement(packet: Buffer, payload: Buffer, command: number): CommandDecision {
    if (isTooShort(command, payload)) return this.#refuse(CLIENT_ERROR.malformed());
    const statement = this.#statementOf(payload);
    if (statement === undefined) return this.#withoutStatement(packet, payload, command);
    if (statement.backendId === null) return this.#refuse(takeRefusal(statement));
    payload.writeUInt32LE(statement.backendId, 1);
    if (command === COMMAND.STMT_RESET) {
      statement.hasLongData = false;
      statement.hasCursor = false;
    }
    return this.#forward(packet, { command, effects: NO_EFFECTS, statement });
  }

  /** The error is the server's own, with the number that the client knows: there, that may be one of another statement. */
  #withoutStatement(packet: Buffer, payload: Buffer, command: number): CommandDecision {
    const unknownId = statementIdOf(payload);
    payload.writeUInt32LE(NO_STATEMENT, 1);
    return this.#forward(packet, { command, effects: NO_EFFECTS, unknownId });
  }

  #unanswered(packet: Buffer, payload: Buffer, command: number): CommandDecision {
    // These the server does answer, with an error.
    if (isTooShort(command, payload)) return this.#refuse(CLIENT_ERROR.malformed());
    const statement = this.#statementOf(payload);
    // Passed on as it is, the client's number could be that of another statement on the server.
    payload.writeUInt32LE(statement?.backendId ?? NO_STATEMENT, 1);
    if (statement !== undefined) {
      if (command === COMMAND.STMT_SEND_LONG_DATA) statement.hasLongData = true;
      else {
        this.#options.statements.remove(statement.clientId);
      }
    }
    return { kind: 'forward', packet, isAnswered: false };
  }

  /** MariaDB's -1 stands for the statement prepared last. */
  #statementOf(payload: Buffer): PreparedStatement | undefined {
    const id = statementIdOf(payload);
    return id === 0xffff_ffff ? this.#options.statements.all().at(-1) : this.#options.statements.get(id);
  }

  /** Without room for what trackers tell. */
  #onEof(flags: number): void {
    const { state } = this.#options;
    const current = this.#current;
    if (current?.mayChangeState === true) state.onUntold(current.effects);
    if ((flags & SERVER_STATUS.SESSION_STATE_CHANGED) === 0) return;
    const text = current?.sql ?? current?.statement?.text.toString('latin1') ?? '';
    if (current !== null && !WRITES_TO_THE_LOG.test(text)) state.onFlagOfEof(current.effects);
  }

  #onOk(payload: Buffer): Replacement {
    const { state } = this.#options;
    const earlier = this.#warningsOfEarlier;
    const glance = glanceAtOk(payload);
    if (glance !== null && earlier === null) {
      state.unreported.clear();
      this.#noteOutcome(glance.warnings, payload[0] === OK_HEADER ? BigInt(glance.affectedRows) : ROWS);
      this.#onStatus(glance.statusFlags);
      const { strippedBytes, statusFlags } = glance;
      if (strippedBytes !== null) clearChangeFlag(payload, statusFlags);
      return strippedBytes;
    }
    const ok = state.onOk(payload, this.#current?.effects ?? NO_EFFECTS);
    this.#noteOutcome(ok.warnings, ok.header === OK_HEADER ? ok.affectedRows : ROWS);
    this.#onStatus(ok.statusFlags);
    if (ok.stateChanges === null && earlier === null) return null;
    const stateChanges =
      ok.stateChanges !== null && this.#tracksSession ? state.clientTrackers.visible(ok.stateChanges) : null;
    if (earlier === null && stateChanges?.length === ok.stateChanges?.length) return null;
    return buildOk({ ...ok, stateChanges, warnings: earlier ?? ok.warnings });
  }

  /** To be told with the answer to a command that is none of those that begin a list of their own. */
  get #warningsOfEarlier(): number | null {
    const earlier = this.#options.state.diagnostics.warningsOfEarlier;
    return earlier !== null && REPEATS_WARNINGS.has(this.#current?.command ?? COMMAND.QUERY) ? earlier : null;
  }

  #noteOutcome(warnings: number, rowCount: bigint | null): void {
    if (this.#current === null) return;
    // Of several statements in a text, MariaDB keeps the list of the first over others.
    this.#current.warnings = Math.max(this.#current.warnings, warnings);
    this.#current.rowCount = rowCount;
  }

  #onStatus(flags: number): void {
    this.#options.state.setStatus(flags);
    const current = this.#current;
    if (current === null || current.statement === null) return;
    if (current.command === COMMAND.STMT_EXECUTE)
      current.statement.hasCursor = (flags & SERVER_STATUS.CURSOR_EXISTS) !== 0;
    else if ((flags & SERVER_STATUS.LAST_ROW_SENT) !== 0) current.statement.hasCursor = false;
  }

  #onError(payload: Buffer): Replacement {
    this.#options.state.statusFlags = null;
    if (payload.length > 2 && PROTOCOL_ERRORS.has(payload.readUInt16LE(1))) this.#options.onProtocolError();
    const current = this.#current;
    if (current === null) return null;
    const told = toldError(payload, current);
    current.error = Buffer.from(told ?? payload);
    current.rowCount = ROWS;
    if (current.command === COMMAND.STMT_EXECUTE && current.statement !== null) current.statement.hasCursor = false;
    return told;
  }

  #onPrepared(payload: Buffer): void {
    const { state, statements } = this.#options;
    const text = this.#current?.text ?? Buffer.alloc(0);
    const sql = text.toString('latin1');
    const effects = inSchema(effectsOf(sql, state), state.schema);
    state.onPrepared(effects);
    const statement = statements.add({
      text,
      schema: state.schema,
      effects,
      meaning: meaningOf(sql, state),
      parameterCount: payload.readUInt16LE(7),
      backendId: payload.readUInt32LE(1),
    });
    payload.writeUInt32LE(statement.clientId, 1);
    this.#noteOutcome(payload.readUInt16LE(PREPARED_WARNINGS), null);
  }

  #onFinished(): void {
    const current = this.#current;
    this.#current = null;
    if (current !== null) {
      const { command, effects, error, text } = current;
      const failed = error !== null;
      if (failed && EXECUTING_COMMANDS.has(command)) {
        const errorCode = error.readUInt16LE(1);
        this.#options.state.onFailure(effects, { errorCode, called: this.#calledBy(current) });
      }
      this.#options.state.onEnd(effects, { failed });
      this.#options.state.diagnostics.onOutcome(outcomeOf(current));
      if (error !== null && failedRewritten(current, error)) this.#options.state.diagnostics.onOwnError(errorIn(error));
      if (command === COMMAND.SET_OPTION && !failed && text !== null) this.#setOption(text);
      if (command === COMMAND.RESET_CONNECTION && !failed) {
        this.#options.state.reset();
        this.#options.statements.clear();
      }
    }
    this.#options.onFinished();
  }

  /** Asked where the server does not tell what a statement changed that failed. */
  #calledBy({ statement, sql, effects }: RunningCommand): TableName[] {
    const { state } = this.#options;
    if (state.reportsLater) return [];
    const text = sql ?? statement?.text.toString('latin1') ?? '';
    const executed = effects.flatMap((effect) => (effect.kind === 'calls-functions' ? effect.names : []));
    return [...functionsIn(text, state), ...executed];
  }

  #setOption(payload: Buffer): void {
    const isOn = payload.length >= 3 && payload.readUInt16LE(1) === 0;
    const flag = CAPABILITY.MULTI_STATEMENTS;
    this.#capabilities = (isOn ? this.#capabilities | flag : this.#capabilities & ~flag) >>> 0;
    this.#options.state.structureVersion += 1;
  }
}

/** What is not its text, a query's attributes, stays. */
function inItsStead(payload: Buffer, sql: string, text: string): Buffer {
  const before = payload.subarray(0, payload.length - sql.length);
  return framePacket(Buffer.concat([before, Buffer.from(text, 'latin1')]), 0);
}

/** SHOW WARNINGS is a statement with rows of its own, GET DIAGNOSTICS alone leaves everything as it was. */
function shownBy(effects: readonly StatementEffect[]): Kept | null {
  const shown = effects.filter((effect) => effect.kind === 'shows-diagnostics');
  if (shown.length === 0) return null;
  const isAlone = !effects.some(({ kind }) => kind === 'several');
  return isAlone && shown.every(({ isGet }) => isGet) ? ALL_KEPT : LIST_KEPT;
}
