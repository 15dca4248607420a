import {
  lookForReading,
  type DiagnosticsLook,
  type Kept,
  type Remembered,
  type ServerWarning,
} from './diagnostics-reading.ts';
import type { Reading } from './statement-reading.ts';

/** What is told of a command of the client by its answer. */
export interface CommandOutcome {
  /** COM_QUERY, and what prepares or executes a statement. */
  isStatement: boolean;
  /** MySQL counts the warnings anew with it; it may add to the list all the same. */
  countsAnew: boolean;
  error: ServerError | null;
  warnings: number;
  /** As ROW_COUNT() has it: -1 after rows and errors. Null: the answer says nothing of it. */
  rowCount: bigint | null;
  /** SQL_CALC_FOUND_ROWS. */
  countsFoundRows: boolean;
  kept: Kept;
}

export type ServerError = Pick<ServerWarning, 'code' | 'message'>;

export const ROWS = -1n;
export const ALL_KEPT: Kept = { list: true, rowCount: true, foundRows: true };
export const LIST_KEPT: Kept = { list: true, rowCount: false, foundRows: false };
const LIST_LEFT: DiagnosticsLook = { rewritten: null, kept: LIST_KEPT };
const NOTHING_LEFT: DiagnosticsLook = { rewritten: null, kept: { list: false, rowCount: false, foundRows: false } };

/**
 * What a server remembers of the last statement: its warnings, ROW_COUNT(), FOUND_ROWS(). Our own statements overwrite
 * it, and no other server can be given it. It is read before either happens, and a statement that asks for it before it is gone
 * by itself is rewritten to say what was read. The only statements that the proxy changes.
 */
export class StatementDiagnostics {
  /** MariaDB: statements without tables leave the list as it is. */
  listNeedsTables = false;
  #rowCount = 0n;
  /** Else the list is empty. */
  #mayHaveList = false;
  #countsFoundRows = false;
  /** These three are null as long as the server answers for them. */
  #list: readonly ServerWarning[] | null = null;
  /** Read while the server still answers for it. */
  #copy: readonly ServerWarning[] | null = null;
  #lostRowCount: bigint | null = null;
  /** As the answers told it. */
  #count = 0;
  /** That of the list, until it is shown, or a command counts anew that keeps it. */
  #isCountOfList = true;
  #isCountLost = false;
  #foundRows: string | null = null;

  /** True when the server knows more than its answers told. */
  get needsReading(): boolean {
    const knowsList = this.#list !== null || this.#copy !== null;
    return (!knowsList && this.#mayHaveList) || (this.#foundRows === null && this.#countsFoundRows);
  }

  /** There is nothing but a row count, which statements of our own can leave alike. */
  get isPlain(): boolean {
    const list = this.#list ?? this.#copy;
    const hasList = list === null ? this.#mayHaveList : list.length > 0;
    return !hasList && !this.#countsFoundRows && this.#rowCount <= 0n;
  }

  /** ROW_COUNT() is -1 after rows, as after our SELECT, and 0 after a statement that changed none. */
  get hasRows(): boolean {
    return this.#rowCount === ROWS;
  }

  /**
   * What MySQL tells in its answer to a command that is no statement: how many warnings there are of an earlier one. Null: the
   * server's own number is right.
   */
  get warningsOfEarlier(): number | null {
    const isTold = this.#list === null && !this.#isCountLost;
    return this.listNeedsTables || isTold ? null : this.warningsOfPing;
  }

  /** MySQL tells with the answer to a ping how many warnings the statement before has left. */
  get warningsOfPing(): number {
    if (this.listNeedsTables) return 0;
    return this.#isCountOfList && this.#list !== null ? this.#list.length : this.#count;
  }

  /** Before a statement goes, as latin1. `shows`: what it is known to leave as it is, since it only shows it. */
  look(sql: string | Buffer, reading: Reading, shows: Kept | null): DiagnosticsLook {
    const { listNeedsTables } = this;
    const remembered = this.#remembered;
    if (remembered === null)
      return shows === null ? (listNeedsTables ? LIST_LEFT : NOTHING_LEFT) : { rewritten: null, kept: shows };
    const text = typeof sql === 'string' ? sql : sql.toString('latin1');
    return lookForReading(text, reading, { remembered, listNeedsTables });
  }

  /** A PREPARE changes nothing but the list. */
  keptByPrepare(text: Buffer, reading: Reading): Kept {
    return { ...ALL_KEPT, list: this.listNeedsTables && this.look(text, reading, null).kept.list };
  }

  onOutcome({ isStatement, countsAnew, error, warnings, rowCount, countsFoundRows, kept }: CommandOutcome): void {
    this.#copy = null;
    if (countsAnew) {
      this.#count = error === null ? warnings : 1;
      this.#isCountLost = false;
      this.#isCountOfList = isStatement && !kept.list;
    } else if (error !== null) {
      this.#count += 1;
    }
    if (!kept.foundRows) {
      this.#foundRows = null;
      this.#countsFoundRows = countsFoundRows;
    }
    if (rowCount !== null) {
      this.#rowCount = rowCount;
      this.#lostRowCount = null;
    }
    if (error !== null && !isStatement && !this.listNeedsTables && this.#list !== null) {
      this.#list = [...this.#list, { level: 'Error', ...error }];
    } else if (error !== null || (isStatement && warnings > 0)) {
      this.#list = null;
      this.#mayHaveList = true;
    } else if (!kept.list) {
      // Where the server answers for it, MariaDB's list may be there behind any statement.
      this.#mayHaveList &&= this.listNeedsTables && this.#list === null;
      this.#list = null;
    }
  }

  /** An error of ours in the server's stead, which has not heard of the command. */
  onOwnError(error: ServerError): void {
    this.#copy = null;
    this.#list = [{ level: 'Error', ...error }];
    this.#isCountOfList = true;
    this.#rowCount = ROWS;
    this.#lostRowCount = ROWS;
  }

  /** A KILL, run where its victim is. */
  onOwnAnswer(error: ServerError | null): void {
    if (error !== null) {
      this.onOwnError(error);
      return;
    }
    if (!this.listNeedsTables) this.#list = [];
    this.#isCountOfList = true;
    this.#rowCount = 0n;
    this.#lostRowCount = 0n;
  }

  onRead(list: readonly ServerWarning[], foundRows: string | null): void {
    this.#copy ??= list;
    this.#foundRows ??= foundRows;
  }

  /** Statements of our own ran, without tables and without a warning: on MariaDB the list is still there. */
  onAsked(): void {
    if (!this.listNeedsTables) this.onOverwritten();
    this.#lostRowCount = this.#rowCount;
  }

  /** Other statements of our own ran, or the session moved. */
  onOverwritten(): void {
    this.#list ??= this.#copy ?? [];
    this.#copy = null;
    this.#lostRowCount = this.#rowCount;
  }

  /** What makes the server's list the one that is remembered; null: nothing does, or MySQL ends it with the next statement anyway. */
  get listAgain(): string | null {
    if (!this.listNeedsTables || this.#list === null || this.#list.length > 1) return null;
    const [only] = this.#list;
    // It has rows of its own, and none here.
    if (only === undefined) return `SHOW STATUS LIKE ''`;
    const { level, code, message } = only;
    const text = message.toString('latin1');
    if (level === 'Note' || !/^[\x20-\x5b\x5d-\x7e]*$/.test(text)) return null;
    const state = level === 'Error' ? 'HY000' : '01000';
    return `SIGNAL SQLSTATE '${state}' SET MYSQL_ERRNO = ${code}, MESSAGE_TEXT = '${text.replaceAll(`'`, `''`)}'`;
  }

  onSaidAgain(): void {
    this.#mayHaveList = (this.#list?.length ?? 0) > 0;
    this.#list = null;
  }

  /** By us: the list is there as it was, not the number of `warnings`, which an error did not tell; and ROW_COUNT() is that of rows. */
  onPinged(warnings: number): void {
    if (!this.#isCountLost) this.#count = warnings;
    this.#isCountLost = true;
    if (!this.hasRows) this.#lostRowCount = this.#rowCount;
  }

  /** COM_RESET_CONNECTION. */
  onReset(): void {
    this.#list = null;
    this.#copy = null;
    this.#mayHaveList = false;
    this.#rowCount = 0n;
    this.#lostRowCount = null;
  }

  /** Null: nothing. What was counted is followed from the statement on that counted it, since others leave it as it is. */
  get #remembered(): Remembered | null {
    const isForgotten = this.#list === null && this.#lostRowCount === null;
    if (isForgotten && this.#foundRows === null && !this.#countsFoundRows) return null;
    return { list: this.#list, rowCount: this.#lostRowCount, foundRows: this.#foundRows };
  }
}

/** Source: MySQL internals, ERR_Packet: the code, `#` and the state, the message. */
export function errorIn(payload: Buffer): ServerError {
  const hasState = payload[3] === 0x23;
  return { code: String(payload.readUInt16LE(1)), message: payload.subarray(hasState ? 9 : 3) };
}
