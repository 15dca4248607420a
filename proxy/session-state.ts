import { parseOk, type OkPacket } from '../core/wire/ok-packet.ts';
import { parseSessionStateChanges, type SessionStateChange } from '../core/wire/session-state-change.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import { callsNoMoreThan } from './called-names.ts';
import type { OwnError } from './client-error.ts';
import { ClientTrackers } from './client-trackers.ts';
import { EffectPins } from './effect-pins.ts';
import { inSchema } from './execution-effects.ts';
import { Pins } from './pins.ts';
import { OTHER_MEANING_PIN } from './prepared-statements.ts';
import { StatementDiagnostics } from './statement-diagnostics.ts';
import { PIN, TABLE_LOCK_PIN, effectsOfExecution, functionsIn, type StatementEffect } from './statement-effects.ts';
import {
  hasHighBytes,
  meaningOf,
  narrowed,
  PLAIN_READING,
  stillMeansTheSame,
  WIDE_CHARSETS,
  WIDE_COLLATIONS,
  type Reading,
  type TextMeaning,
} from './statement-reading.ts';
import { UnreportedChanges, explainsStateChange } from './unreported-changes.ts';
import { TIMESTAMP_PIN } from './set-effects.ts';
import { quoteName, type TableName } from './sql-pieces.ts';
import { askedLocks } from './user-locks.ts';

/** No server's: such a text stays where it is. */
const EITHER = 'one or the other';

const AUTOCOMMIT: number = SERVER_STATUS.AUTOCOMMIT;

/** Names of user variables beyond this number pin the session instead of being remembered. */
const USER_VARIABLES_MAX = 1000;

/** Reported by trackers or touched by clients, but no part of what a session is: they describe one statement, or the past. */
const NOT_RESTORED = new Set([
  'last_insert_id',
  'identity',
  'insert_id',
  'statement_id',
  // MariaDB's, after each transaction; MySQL does not know it.
  'last_gtid',
  'pseudo_thread_id',
  'character_set_database',
  'collation_database',
]);
/** Found on MariaDB 11.8: each of them is reported by the name of that which the session had changed first. */
const SHARED_NAME = /^(?:timestamp|(?:last_)?insert_id|identity|rand_seed[12])$/;
const OUR_TRACKERS = /^session_track_(?:system_variables|schema|state_change)$/;
const READ_ONLY_VARIABLE = /^(?:transaction|tx)_read_only$/;
const CHARSET_VARIABLE = /^(?:character_set_|collation_)/;

const MAYBE_RUN = 'one of several statements failed, another one of them may have changed the session';
const MAYBE_ROLE = 'one of several statements failed, SET ROLE among them';
const FAILED_ROUTINE = 'a stored routine that failed: MariaDB does not tell what it changed before';
/** ER_PARSE_ERROR, ER_SP_DOES_NOT_EXIST, ER_SP_WRONG_NO_OF_ARGS, ER_PROCACCESS_DENIED_ERROR */
const NOT_BEGUN: ReadonlySet<number> = new Set([1064, 1305, 1318, 1370]);
const MAYBE_USED_UP = 'SET TRANSACTION, which may be used up';
/** Reads no table, so that it uses up nothing, but in a function of somebody's. */
const WITHOUT_TABLES = /^\s*(?:SET|DO|SELECT|BEGIN|START|COMMIT|ROLLBACK|USE)\b(?![^]*\bFROM\b)/i;
const NEXT_TRANSACTION = /SET TRANSACTION [^;]+/g;
/** ER_QUERY_INTERRUPTED */
const INTERRUPTED = 1317;

/** A statement of SQL's PREPARE, as it is made again: in its schema, by these statements. */
export interface TextStatement {
  schema: string | null;
  restore: string[];
  meaning: TextMeaning;
  /** Of each execution. */
  effects: readonly StatementEffect[];
  /** Not on the server that the session uses now, where its table or schema may be gone; or what the last attempt to prepare it said. */
  missing: 'untried' | OwnError | null;
}

/** What has to be asked for, or said again, right after the client's command, or the state would not be known. */
export type CatchUp =
  /** Our trackers may be off, and `names` were set while they were. */
  | { kind: 'trackers'; names: string[] }
  | { kind: 'unscoped'; names: string[] }
  | { kind: 'options'; names: string[] }
  | { kind: 'functions'; names: readonly TableName[] }
  | { kind: 'user-locks'; names: string[] }
  | { kind: 'next-transaction'; sql: string }
  | { kind: 'prepared-text'; name: string; variable: string };

/** What tells whether a copy of the state, or of a part of it, is still the state. */
export interface StateVersions {
  structureVersion: number;
  variablesVersion: number;
  insertIdVersion: number;
}

/**
 * What the client set up on its connection, as far as the server's trackers and the inspection of statements tell.
 * The versions change whenever something does that a restored connection would have to follow (I5).
 */
export class SessionState implements StateVersions, Reading {
  schema: string | null;
  /** In the order of their last change, since some depend on others. */
  readonly systemVariables = new Map<string, Buffer>();
  readonly userVariables = new Set<string>();
  /** Those among them that only a failed statement has named: the server may have none of that name. */
  readonly doubtfulVariables = new Set<string>();
  /** By the running statement. */
  #newVariables: string[] = [];
  /** Of the connection, where it is not the default one of its character set. */
  collation = '';
  /** The trackers do not report `SET NAMES … COLLATE`: the connection's collation is read back. */
  charsetTouched = false;
  lastInsertIdTouched = false;
  nextTransaction: readonly string[] = [];
  /** MariaDB does not report that an autocommit statement with rows used up what SET TRANSACTION said. */
  hidesUse = false;
  /** MariaDB does not report `SET @@x`, without a scope, at all. */
  hidesUnscoped = false;
  /** MySQL tells with a later OK packet what an ERR or EOF packet had no room for; MariaDB does not. */
  reportsLater = true;
  /** MariaDB 11 reports some variables under the name of another one. */
  misnamesOptions = false;
  role: string | null = null;
  /** Our own `transaction_read_only` is on, whatever the client wants: see `refusesWrites`. */
  refusesWrites = false;
  readonly textPrepared = new Map<string, TextStatement>();
  /** Some could not be prepared on the server that the session came to. */
  hasMissingTexts = false;
  readonly pins = new Pins();
  readonly #effectPins = new EffectPins(this.pins);
  readonly diagnostics = new StatementDiagnostics();
  readonly clientTrackers = new ClientTrackers();
  readonly unreported = new UnreportedChanges();
  /** Null after an error: an ERR packet does not tell whether it ended the transaction. */
  statusFlags: number | null = SERVER_STATUS.AUTOCOMMIT;
  lastStatusFlags: number = SERVER_STATUS.AUTOCOMMIT;
  /** Monotonic, milliseconds: when the server first said that the open transaction is one. Null without one. */
  transactionSinceMs: number | null = null;
  /** Counts changes of what the trackers and the texts tell: variables, schema, statements in SQL, role. */
  structureVersion = 0;
  /** Counts what may have changed a value that only the server knows. */
  variablesVersion = 0;
  insertIdVersion = 0;
  /** Set without a scope by some statement, which may be run again by EXECUTE. */
  readonly #unscoped = new Set<string>();
  #catchUps: CatchUp[] = [];
  /** Since the first SET TRANSACTION of the session the server tells when it was used up. */
  #tracksNextTransaction = false;
  /** Of the login, until something else is said. */
  #loginIsWide: boolean;

  /** `collation` and `statusFlags` are those of the login. */
  constructor(schema: string | null, { collation = 0, statusFlags = AUTOCOMMIT } = {}) {
    this.schema = schema;
    this.#loginIsWide = WIDE_COLLATIONS.has(collation);
    this.setStatus(statusFlags);
    // By init_connect or the server's default, which another server need not have.
    if ((statusFlags & SERVER_STATUS.AUTOCOMMIT) === 0) this.systemVariables.set('autocommit', Buffer.from('OFF'));
  }

  get escapesByBackslash(): boolean {
    return (this.lastStatusFlags & SERVER_STATUS.NO_BACKSLASH_ESCAPES) === 0;
  }

  get hasWideCharacters(): boolean {
    const said = this.systemVariables.get('character_set_client');
    return said === undefined ? this.#loginIsWide : WIDE_CHARSETS.has(said.toString('latin1'));
  }

  /** Why the session cannot leave its server. */
  reasons(): string[] {
    const isOtherwise = [...this.textPrepared.values()].some(({ meaning }) => !stillMeansTheSame(meaning, this));
    return [...this.pins.reasons(), ...(isOtherwise ? [OTHER_MEANING_PIN] : [])];
  }

  get inTransaction(): boolean {
    return (this.lastStatusFlags & (SERVER_STATUS.IN_TRANSACTION | SERVER_STATUS.IN_READONLY_TRANSACTION)) !== 0;
  }

  /** An ERR packet does not tell whether it ended the transaction, as a deadlock does. */
  get mayHaveLostTransaction(): boolean {
    return this.inTransaction && this.statusFlags === null;
  }

  get needsReadBack(): boolean {
    return this.hasVariables || this.lastInsertIdTouched;
  }

  get hasVariables(): boolean {
    return this.userVariables.size > 0 || this.charsetTouched;
  }

  /** Before a statement runs. */
  notePossibleUse(sql: string): void {
    if (!this.hidesUse || this.nextTransaction.length === 0) return;
    if (!WITHOUT_TABLES.test(sql) || functionsIn(sql, this).length > 0) this.pins.add(MAYBE_USED_UP);
  }

  /** Of a routine that failed MariaDB does not tell whether it changed anything before. */
  #onUntoldFailure(effects: readonly StatementEffect[], errorCode: number, called: readonly TableName[]): void {
    if (NOT_BEGUN.has(errorCode) && !effects.some(({ kind }) => kind === 'several')) return;
    if (effects.some(({ kind }) => kind === 'calls-routine')) this.pins.add(FAILED_ROUTINE);
    if (called.length > 0) this.#catchUps.push({ kind: 'functions', names: called });
  }

  setStatus(flags: number): void {
    const wasInTransaction = this.inTransaction;
    this.statusFlags = flags;
    this.lastStatusFlags = flags;
    const isInTransaction = this.inTransaction;
    // The clock is read at the beginning alone, not with each answer.
    if (!isInTransaction) this.transactionSinceMs = null;
    else if (!wasInTransaction) this.transactionSinceMs = performance.now();
    // SET TRANSACTION is refused within a transaction, so what it said was for the one that has ended.
    const isUsedUp = wasInTransaction && !isInTransaction && this.nextTransaction.length > 0;
    if (this.hidesUse && isUsedUp) this.#setNextTransaction([]);
  }

  get tracksNextTransaction(): boolean {
    return this.#tracksNextTransaction;
  }

  /** True while something has to be asked for before the state is known. */
  get needsCatchUp(): boolean {
    return this.#catchUps.length > 0 || this.unreported.isToBeAsked;
  }

  /** What is caught up with may fail, or look into tables of the server. */
  get asksForWarnings(): boolean {
    return this.#catchUps.some(({ kind }) => kind !== 'user-locks' && kind !== 'prepared-text' && kind !== 'options');
  }

  /** What is caught up with overwrites FOUND_ROWS(). */
  get asksForRows(): boolean {
    return this.#catchUps.some(({ kind }) => ASKS_FOR_ROWS.has(kind));
  }

  takeCatchUps(): CatchUp[] {
    const taken = this.#catchUps;
    this.#catchUps = [];
    return taken;
  }

  /** Before the statement runs: everything that may keep the session where it is. */
  onStart(effects: readonly StatementEffect[]): void {
    if (effects.length === 0) return;
    this.#newVariables = [];
    this.#effectPins.onStart(effects, this.schema);
    for (const effect of effects) {
      if (effect.kind === 'user-variable') this.#addUserVariable(effect.name);
      else if (effect.kind === 'last-insert-id') this.#touchLastInsertId();
      else if (effect.kind === 'values') this.variablesVersion += 1;
      else if (effect.kind === 'unscoped') for (const name of effect.names) this.#unscoped.add(name);
    }
  }

  /** A statement of the binary protocol was prepared: the variables that it assigns exist from now on. */
  onPrepared(effects: readonly StatementEffect[]): void {
    for (const effect of effects) if (effect.kind === 'user-variable') this.#addUserVariable(effect.name);
  }

  /** The answer to a statement had no room for what the trackers have to tell. */
  onUntold(effects: readonly StatementEffect[]): void {
    if (this.reportsLater) this.unreported.onUntold(effects);
  }

  /** MariaDB has no room for what has changed in its EOF packets, but says so. */
  onFlagOfEof(effects: readonly StatementEffect[]): void {
    const named = effects.flatMap((effect) => (effect.kind === 'calls-functions' ? effect.names : []));
    if (named.length > 0) this.#catchUps.push({ kind: 'functions', names: named });
    // Of EXECUTE it is not known what it does.
    const isKnown = !effects.some(({ kind }) => kind === 'text-execute');
    const isExplained =
      explainsStateChange(effects) || (isKnown && effects.some(({ kind }) => EXPLAINS_FLAG.has(kind)));
    if (named.length === 0 && !isExplained && !this.#tracksNextTransaction) this.onRoutine();
  }

  /** A statement failed, or one of several in its text. */
  onFailure(
    effects: readonly StatementEffect[],
    { errorCode, called }: { errorCode: number; called: readonly TableName[] },
  ): void {
    if (this.reportsLater) this.unreported.onUntold(effects);
    else this.#onUntoldFailure(effects, errorCode, called);
    for (const effect of effects) {
      if (effect.kind !== 'text-prepare' && effect.kind !== 'text-prepare-from') continue;
      if (!this.textPrepared.has(effect.name)) continue;
      // Before it was begun, or behind the removal of the former statement: nobody can tell.
      if (errorCode === INTERRUPTED) this.pins.add(MAYBE_RUN);
      this.textPrepared.delete(effect.name);
      this.structureVersion += 1;
    }
  }

  /** After the statement as a whole; a failed one of several may have run in part, so its pins stay. */
  onEnd(effects: readonly StatementEffect[], { failed }: { failed: boolean }): void {
    if (effects.length === 0) return;
    const kinds = new Set(effects.map(({ kind }) => kind));
    if (this.hidesUnscoped && (kinds.has('unscoped') || kinds.has('values')) && this.#unscoped.size > 0)
      this.#catchUps.push({ kind: 'unscoped', names: [...this.#unscoped] });
    if (this.misnamesOptions) this.#askForOptions(effects, { failed });
    if (failed) {
      for (const name of this.#newVariables) this.doubtfulVariables.add(name);
      this.#effectPins.onFailure(effects);
      for (const effect of effects) {
        if (effect.kind === 'sets-several') this.#onHalfSet(effect, kinds.has('next-transaction'));
        else if (effect.kind === 'trackers') this.#catchUps.push(effect);
        // No reset takes the role back.
        else if (effect.kind === 'role') this.pins.addPermanent(MAYBE_ROLE);
        else if ('isAmongOthers' in effect) this.pins.add(MAYBE_RUN);
      }
    } else {
      this.#effectPins.onSuccess(effects, this.schema);
      for (const effect of effects) this.#onSuccess(effect, kinds);
    }
    const locks = kinds.has('user-lock') || kinds.has('releases-locks') ? askedLocks(this.pins.reasons()) : [];
    if (locks.length > 0) this.#catchUps.push({ kind: 'user-locks', names: locks });
  }

  /** A clock that may have been left running must not be asked for: from then on it would stand still. */
  #askForOptions(effects: readonly StatementEffect[], { failed }: { failed: boolean }): void {
    const ofClock = effects.filter(
      (effect) =>
        effect.kind === 'timestamp-default' || (effect.kind === 'options' && effect.names.includes('timestamp')),
    );
    const isStopped = ofClock.at(-1)?.kind === 'options';
    for (const effect of effects) {
      if (effect.kind !== 'options') continue;
      const names = effect.names.filter((name) => name !== 'timestamp' || (isStopped && !failed));
      if (names.length > 0) this.#catchUps.push({ kind: 'options', names });
    }
    if (failed && isStopped) this.pins.add(TIMESTAMP_PIN);
  }

  /** Of several variables some could be set; MariaDB does not tell which. */
  #onHalfSet(
    { names, hasClock }: Extract<StatementEffect, { kind: 'sets-several' }>,
    hasNextTransaction: boolean,
  ): void {
    if (hasClock) this.pins.add(TIMESTAMP_PIN);
    if (hasNextTransaction) this.pins.add(PIN.nextTransaction);
    if (!this.reportsLater && names.length > 0) this.#catchUps.push({ kind: 'unscoped', names });
  }

  /** Asked for, where no report tells them. */
  onOptions(values: ReadonlyMap<string, Buffer>): void {
    for (const [name, value] of values) this.#onSystemVariable(name, value, []);
  }

  /** `effects` are those of the statement that this packet answers. */
  onOk(payload: Buffer, effects: readonly StatementEffect[]): OkPacket {
    const ok = parseOk(payload);
    this.setStatus(ok.statusFlags);
    this.unreported.clear();
    if (ok.lastInsertId !== 0n) this.#touchLastInsertId();
    if (ok.stateChanges !== null) this.#onStateChanges(ok.stateChanges, effects);
    return ok;
  }

  /** The OK packet of a question that has no other purpose. */
  onReport(payload: Buffer): OkPacket {
    return this.onOk(payload, this.unreported.take());
  }

  /** BEGIN: the server gave the table locks back. */
  onTransactionBegun(): void {
    this.pins.removePrefix(TABLE_LOCK_PIN);
  }

  /** The session came to another server, where only these could not be prepared. */
  onMoved(missingTexts: ReadonlyMap<string, OwnError>): void {
    for (const [name, statement] of this.textPrepared) statement.missing = missingTexts.has(name) ? 'untried' : null;
    this.hasMissingTexts = missingTexts.size > 0;
  }

  /** The text of a statement that was prepared from a variable. */
  onPreparedText(name: string, text: Buffer): void {
    const hex = text.toString('hex');
    const restore = [
      `SET @switchyard_text = _utf8mb4 X'${hex}'`,
      `PREPARE ${quoteName(name)} FROM @switchyard_text`,
      'SET @switchyard_text = NULL',
    ];
    // In hexadecimal, it is read alike everywhere; what is in it is not.
    const sql = text.toString('latin1');
    // What is not ASCII in it is, though.
    const { charset, modes } = meaningOf(sql.replaceAll(/[^\x20-\x7e]/g, ' '), this);
    const found = effectsOfExecution(sql, { ...PLAIN_READING, escapesByBackslash: this.escapesByBackslash });
    const effects = inSchema(found, this.schema);
    const meaning = { charset, modes };
    this.textPrepared.set(name, { schema: this.schema, restore, meaning, effects, missing: null });
    this.structureVersion += 1;
    this.onStart(effects);
  }

  /**
   * `sql` was said again with the tracker on that tells when it is used up. The server's report of it counts for every server
   * and at any time; the text may name a variable, or one that another server does not know.
   */
  onNextTransaction(sql: string, answer: Buffer | null): void {
    this.#tracksNextTransaction = true;
    this.#setNextTransaction([...this.nextTransaction, sql]);
    if (answer !== null) this.onOk(answer, SETS_STATE);
  }

  /** COM_RESET_CONNECTION and COM_CHANGE_USER: as after login. */
  reset(): void {
    this.systemVariables.clear();
    this.collation = '';
    this.#loginIsWide = false;
    this.userVariables.clear();
    this.doubtfulVariables.clear();
    this.textPrepared.clear();
    this.pins.removeReleasable();
    // The server takes its own defaults then, not those of the handshake.
    this.charsetTouched = true;
    this.lastInsertIdTouched = false;
    this.nextTransaction = [];
    this.#tracksNextTransaction = false;
    this.#unscoped.clear();
    this.#catchUps = [{ kind: 'trackers', names: [] }];
    this.diagnostics.onReset();
    this.refusesWrites = false;
    // By the server's default, which another server need not have. A role, the reset leaves as it is.
    if ((this.lastStatusFlags & AUTOCOMMIT) === 0) this.systemVariables.set('autocommit', Buffer.from('OFF'));
    this.structureVersion += 1;
  }

  #onStateChanges(info: Buffer, effects: readonly StatementEffect[]): void {
    let unexplained = false;
    let isThereAndBack = false;
    const changes = [...parseSessionStateChanges(info)];
    // The values are those at the end of the statement, and a character set that is said again brings its default collation.
    changes.sort((one, other) => Number(isCollation(one)) - Number(isCollation(other)));
    for (const change of changes) {
      if (change.kind === 'schema') {
        if (change.name === this.schema) isThereAndBack = true;
        this.schema = change.name === '' ? null : change.name;
        this.structureVersion += 1;
      } else if (change.kind === 'system-variable' && this.misnamesOptions && SHARED_NAME.test(change.name)) {
        // `timestamp` may be what an INSERT has counted up. Of the clock, what its SET says is asked for; the others are pins.
        this.#touchLastInsertId();
      } else if (change.kind === 'system-variable') {
        this.#onSystemVariable(change.name, change.value, effects);
      } else if (change.kind === 'transaction-characteristics') {
        // Within a transaction the text is that of the running one.
        if (this.#tracksNextTransaction && !this.inTransaction)
          this.#setNextTransaction(change.sql.match(NEXT_TRANSACTION) ?? []);
      } else if (change.kind === 'state-changed') {
        const reprepared = isThereAndBack ? this.#calledElsewhere(effects) : null;
        const isExplained = explainsStateChange(effects) || reprepared !== null;
        const named = effects.flatMap((effect) => (effect.kind === 'calls-functions' ? effect.names : []));
        const called = [...named, ...(reprepared ?? [])];
        if (isExplained && called.length > 0) this.#catchUps.push({ kind: 'functions', names: called });
        const kinds = new Set(effects.map(({ kind }) => kind));
        // In which schema a name was looked for cannot be told then.
        const isElsewhere = called.length > 0 && kinds.has('several') && kinds.has('use');
        unexplained = !isExplained || kinds.has('calls-routine') || isElsewhere;
      }
    }
    // Something that no tracker and no text names: a routine set a variable or left a temporary table.
    if (unexplained) this.onRoutine();
  }

  /** What the statement calls whose own way to its schema and back is all that need have changed; null: there is none. */
  #calledElsewhere(effects: readonly StatementEffect[]): TableName[] | null {
    const [statement, ...others] = effects.filter((effect) => effect.kind === 'elsewhere');
    if (statement === undefined || others.length > 0) return null;
    const { preparedIn, text } = statement;
    const said = text.toString('latin1');
    const names = callsNoMoreThan(this.hasWideCharacters ? narrowed(said) : said, this.escapesByBackslash);
    return names?.map((called) => ({ ...called, schema: called.schema ?? preparedIn })) ?? null;
  }

  /** A stored routine ran, and the state has changed. */
  onRoutine(): void {
    this.pins.add('session state changed inside a stored routine');
  }

  #onSystemVariable(name: string, value: Buffer, effects: readonly StatementEffect[]): void {
    // Read back as LAST_INSERT_ID() is; the report itself may be one of an INSERT.
    if (name === 'last_insert_id' || name === 'identity') this.#touchLastInsertId();
    if (NOT_RESTORED.has(name)) return;
    if (OUR_TRACKERS.test(name)) {
      // Else a routine did, and what happened in it afterwards is not known.
      this.clientTrackers.onChosen();
      if (!effects.some(({ kind }) => kind === 'trackers')) this.pins.add(`${name} was changed`);
      return;
    }
    if (name === 'session_track_transaction_info') {
      this.clientTrackers.onTransactionsChosen();
      if (this.nextTransaction.length > 0) this.pins.add(`${name} was changed after SET TRANSACTION`);
      this.#tracksNextTransaction = false;
    }
    // The client's value has replaced ours on the server.
    if (READ_ONLY_VARIABLE.test(name)) this.refusesWrites = false;
    if (CHARSET_VARIABLE.test(name)) this.charsetTouched = true;
    if (name === 'character_set_connection') this.collation = '';
    if (name === 'collation_connection') this.collation = value.toString('latin1');
    const isRenaming = name === 'character_set_client' && this.systemVariables.get(name)?.equals(value) !== true;
    if (isRenaming && [...this.userVariables].some(hasHighBytes))
      this.pins.add('user variables named in another character set');
    this.systemVariables.delete(name);
    this.systemVariables.set(name, value);
    this.structureVersion += 1;
  }

  #onSuccess(effect: StatementEffect, kinds: ReadonlySet<StatementEffect['kind']>): void {
    switch (effect.kind) {
      case 'user-variable':
        this.doubtfulVariables.delete(effect.name);
        return;
      case 'trackers':
        this.clientTrackers.onChosen();
        this.#catchUps.push(effect);
        return;
      case 'text-prepare': {
        const restore = [`PREPARE ${quoteName(effect.name)} FROM '${effect.text}'`];
        const meaning = this.#meaningOf(effect, kinds);
        const effects = inSchema(effect.inner, this.schema);
        this.textPrepared.set(effect.name, { schema: this.schema, restore, meaning, effects, missing: null });
        break;
      }
      case 'text-prepare-from':
        this.#catchUps.push({ kind: 'prepared-text', name: effect.name, variable: effect.variable });
        return;
      case 'text-deallocate':
        this.textPrepared.delete(effect.name);
        break;
      case 'next-transaction':
        if (!this.#tracksNextTransaction) this.#catchUps.push({ kind: 'next-transaction', sql: effect.sql });
        return;
      case 'role':
        this.role = effect.sql;
        this.pins.remove(MAYBE_ROLE);
        break;
      case 'clock-unscoped':
        if (this.hidesUnscoped) this.pins.add(TIMESTAMP_PIN);
        return;
      case 'collation':
        this.collation = effect.name;
        break;
      case 'timestamp-default':
        this.systemVariables.delete('timestamp');
        break;
      default:
        return;
    }
    this.structureVersion += 1;
  }

  /** Of several statements in one text it is not known which came first: the PREPARE, or the SET or USE that it is read by. */
  #meaningOf({ name, text }: { name: string; text: string }, kinds: ReadonlySet<StatementEffect['kind']>): TextMeaning {
    const meaning = meaningOf(name + text, this);
    if (!kinds.has('several')) return meaning;
    if (kinds.has('use')) return { charset: EITHER, modes: EITHER };
    if (!kinds.has('sets-state')) return meaning;
    return { charset: meaning.charset === null ? null : EITHER, modes: meaning.modes === null ? null : EITHER };
  }

  #setNextTransaction(statements: readonly string[]): void {
    this.nextTransaction = statements;
    this.pins.remove(MAYBE_USED_UP);
    this.structureVersion += 1;
  }

  #addUserVariable(name: string): void {
    if (this.userVariables.size >= USER_VARIABLES_MAX) this.pins.add('more user variables than can be carried over');
    else if (!this.userVariables.has(name)) {
      this.userVariables.add(name);
      this.#newVariables.push(name);
    }
    this.variablesVersion += 1;
  }

  #touchLastInsertId(): void {
    this.lastInsertIdTouched = true;
    this.insertIdVersion += 1;
  }
}

const SETS_STATE: readonly StatementEffect[] = [{ kind: 'sets-state' }];

function isCollation(change: SessionStateChange): boolean {
  return change.kind === 'system-variable' && change.name.startsWith('collation_');
}

/** Reported by MariaDB like a change of a variable. */
const EXPLAINS_FLAG: ReadonlySet<StatementEffect['kind']> = new Set(['last-insert-id', 'unscoped']);

const ASKS_FOR_ROWS: ReadonlySet<CatchUp['kind']> = new Set(['functions', 'options', 'user-locks', 'prepared-text']);
