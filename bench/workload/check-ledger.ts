import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Ledger } from './ledger.ts';
import { TOTAL_BALANCE } from './ledger-tables.ts';

export interface LedgerReport {
  /** Nothing lost, nothing twice, nothing from nowhere, and the money is all there. */
  exact: boolean;
  acknowledged: number;
  /** Acknowledged, and not there. */
  lost: number;
  /** Applied more often than it was sent. */
  duplicated: number;
  /** Rows that nobody wrote. */
  foreign: number;
  /** Ended in an error, so that either is right; of these `unknownApplied` are there. */
  unknown: number;
  unknownApplied: number;
  balanceOff: bigint;
  /** The first lost ones, `session:sequence`. */
  lostExamples: string[];
}

/**
 * Compares what the server has with what the sessions were promised. To be called with the workload stopped, on the
 * server that is primary then. `connection` must be in the workload's database.
 */
export async function checkLedger(connection: Connection, ledger: Ledger): Promise<LedgerReport> {
  const report: LedgerReport = {
    exact: false,
    acknowledged: ledger.acknowledged,
    lost: 0,
    duplicated: 0,
    foreign: 0,
    unknown: ledger.unknown,
    unknownApplied: 0,
    balanceOff: 0n,
    lostExamples: [],
  };
  for (const session of ledger.sessions.keys()) await checkInserts(connection, ledger, session, report);
  await checkIncrements(connection, ledger, report);
  const [total] = await select(connection, 'SELECT CAST(SUM(balance) AS CHAR) AS balance FROM traffic_accounts');
  report.balanceOff = BigInt(String(total?.['balance'] ?? 0)) - TOTAL_BALANCE;
  report.exact = report.lost + report.duplicated + report.foreign === 0 && report.balanceOff === 0n;
  return report;
}

async function checkInserts(
  connection: Connection,
  ledger: Ledger,
  session: number,
  report: LedgerReport,
): Promise<void> {
  const { acknowledged, unknown } = ledger.of(session);
  const rows = await select(connection, `SELECT sequence FROM traffic_ledger WHERE session = ${session}`);
  const present = new Set(rows.map((row) => Number(row['sequence'])));
  const lost = [...acknowledged].filter((sequence) => !present.has(sequence));
  report.lost += lost.length;
  for (const sequence of lost) {
    if (report.lostExamples.length < 20) report.lostExamples.push(`${session}:${sequence}`);
  }
  report.unknownApplied += [...unknown].filter((sequence) => present.has(sequence)).length;
  report.foreign += [...present].filter((sequence) => !acknowledged.has(sequence) && !unknown.has(sequence)).length;
}

async function checkIncrements(connection: Connection, ledger: Ledger, report: LedgerReport): Promise<void> {
  const rows = await select(connection, 'SELECT session, CAST(value AS CHAR) AS value FROM traffic_counters');
  const values = new Map(rows.map((row) => [Number(row['session']), Number(row['value'])]));
  for (const [session, { acknowledgedIncrements, unknownIncrements }] of ledger.sessions.entries()) {
    const value = values.get(session) ?? 0;
    const missing = acknowledgedIncrements - value;
    report.lost += Math.max(0, missing);
    if (missing > 0 && report.lostExamples.length < 20) report.lostExamples.push(`${session}: ${missing} increments`);
    report.duplicated += Math.max(0, value - acknowledgedIncrements - unknownIncrements);
    report.unknownApplied += Math.min(unknownIncrements, Math.max(0, -missing));
  }
}

async function select(connection: Connection, sql: string): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql);
  return rows;
}
