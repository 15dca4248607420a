/** One row of SHOW WARNINGS. */
export interface ServerWarning {
  level: string;
  code: string;
  message: Buffer;
}

/** What is told of the last statement by its answer. */
export interface StatementOutcome {
  failed: boolean;
  warnings: number;
  /** Null for rows. */
  affectedRows: bigint | null;
  /** SQL_CALC_FOUND_ROWS. */
  countsFoundRows: boolean;
}

const READS = new RegExp(
  [
    String.raw`^\s*(?:show\s+(?<what>warnings|errors)(?<limit>\s+limit\s+\d+(?:\s*(?:,|offset)\s*\d+)?)?`,
    String.raw`|show\s+count\s*\(\s*\*\s*\)\s+(?<counted>warnings|errors)`,
    String.raw`|select\s+(?<expression>(?:found_rows|row_count)\s*\(\s*\)|@@(?:session\.)?(?:warning_count|error_count))`,
    String.raw`(?:\s+(?:as\s+)?(?<alias>\w+|\`[^\`]+\`))?)\s*;?\s*$`,
  ].join(''),
  'i',
);
const READ_BYTES_MAX = 200;

/**
 * What a server remembers of the last statement: its warnings, ROW_COUNT(), FOUND_ROWS(). Our own statements overwrite
 * it, and no other server can be given it. It is read before either happens, and the statement that asks for it, if
 * one comes before the next that does not, is rewritten to select what was read. The only statements that the proxy
 * changes.
 */
export class StatementDiagnostics {
  #outcome: StatementOutcome = { failed: false, warnings: 0, affectedRows: 0n, countsFoundRows: false };
  #warnings: readonly ServerWarning[] | null = null;
  #foundRows: string | null = null;
  /** The server no longer answers for the client's last statement. */
  #isOverwritten = false;

  /** True when the server knows more than its answer told. */
  get needsReading(): boolean {
    const { failed, warnings, countsFoundRows } = this.#outcome;
    return !this.#isOverwritten && (failed || warnings > 0 || countsFoundRows);
  }

  /** There is nothing but a row count, which statements of our own can leave alike. */
  get isPlain(): boolean {
    const { failed, warnings, countsFoundRows, affectedRows } = this.#outcome;
    return !failed && warnings === 0 && !countsFoundRows && (affectedRows === null || affectedRows === 0n);
  }

  /** ROW_COUNT() is -1 after rows, as after our SELECT, and 0 after a statement that changed none. */
  get hasRows(): boolean {
    return this.#outcome.affectedRows === null;
  }

  onStatement(outcome: StatementOutcome): void {
    this.#outcome = outcome;
    this.#warnings = null;
    this.#foundRows = null;
    this.#isOverwritten = false;
  }

  onRead(warnings: readonly ServerWarning[], foundRows: string | null): void {
    this.#warnings = warnings;
    this.#foundRows = foundRows;
  }

  /** Statements of our own ran, or the session moved. */
  onOverwritten(): void {
    this.#isOverwritten = true;
  }

  /** For a statement that only reads what was overwritten: another one with the answer that the client has to get. */
  rewrite(sql: string): string | null {
    if (!this.#isOverwritten || sql.length > READ_BYTES_MAX) return null;
    const groups = READS.exec(sql)?.groups;
    if (groups === undefined) return null;
    const { what, limit, counted, expression, alias } = groups;
    if (what !== undefined) {
      this.#outcome = { ...this.#outcome, affectedRows: null };
      return this.#list(what) + (limit ?? '');
    }
    if (counted !== undefined) return `SELECT ${this.#count(counted)} AS \`@@session.${singular(counted)}_count\``;
    if (expression === undefined) return null;
    const value = this.#value(expression.toLowerCase());
    // It is a statement itself: from here on the server knows.
    this.onStatement({ failed: false, warnings: 0, affectedRows: null, countsFoundRows: false });
    return value === null ? null : `SELECT ${value} AS ${alias ?? `\`${expression}\``}`;
  }

  #value(expression: string): string | null {
    if (expression.startsWith('found')) return this.#foundRows;
    if (expression.startsWith('row')) {
      const { failed, affectedRows } = this.#outcome;
      return failed || affectedRows === null ? '-1' : String(affectedRows);
    }
    return String(this.#count(expression.includes('error') ? 'errors' : 'warnings'));
  }

  #rows(what: string): readonly ServerWarning[] {
    const all = this.#warnings ?? [];
    return what.toLowerCase() === 'errors' ? all.filter(({ level }) => level === 'Error') : all;
  }

  #count(what: string): number {
    return this.#rows(what).length;
  }

  #list(what: string): string {
    const rows = this.#rows(what).map(
      ({ level, code, message }) =>
        `SELECT '${level}' AS \`Level\`, ${code} AS \`Code\`, ${literal(message)} AS \`Message\``,
    );
    return rows.length > 0
      ? rows.join(' UNION ALL ')
      : `SELECT '' AS \`Level\`, 0 AS \`Code\`, '' AS \`Message\` FROM DUAL WHERE FALSE`;
  }
}

function singular(what: string): string {
  return what.toLowerCase().slice(0, -1);
}

/** The message came in the client's character set, which is UTF-8 where it is not ASCII, or else some single-byte one. */
function literal(message: Buffer): string {
  const isUtf8 = Buffer.from(message.toString('utf8')).equals(message);
  return `${isUtf8 ? '_utf8mb4' : '_latin1'} X'${message.toString('hex')}'`;
}
