import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { isLocked, lockedOut } from '../apply/window-writer.ts';
import type { Side } from '../../core/phase.ts';
import type { ImportOptions } from '../api.ts';
import type { DdlJournal, JournalledDdl } from './ddl-journal.ts';
import type { DdlHandler } from '../replication/replication-options.ts';
import { valueOfServer } from './ddl-values.ts';
import { cameWithRows } from './stream-schema.ts';

/** What the operator decided about the one statement that stopped the stream. */
export type DdlDecision = 'skip' | 'apply';

/** By the GTID of the statement: the next one is another matter. */
export interface DecidedDdl {
  gtid: string;
  decision: DdlDecision;
}

export interface DdlWorld {
  log(level: 'info' | 'warn', message: string, details?: Record<string, unknown>): void;
}

export interface DdlHandlerOptions {
  world: DdlWorld;
  journal: DdlJournal;
  destination: Side;
  policy: ImportOptions['ddl'];
  decisionOn: (gtid: string) => DdlDecision | undefined;
}

/** Rejects with DDL_STOPPED, DDL_TABLE_FOREIGN, … or DDL_FAILED; when it resolves the stream goes on behind the statement. */
export function ddlHandler({ world, journal, destination, policy, decisionOn }: DdlHandlerOptions): DdlHandler {
  return async ({ gtid, ddl, foreign, numbered }) => {
    const { schema, sql, withRows } = ddl;
    const decision = decisionOn(gtid);
    if (decision !== 'skip' && (await hasRun(journal, { gtid, ...ddl }, decision))) {
      world.log('info', `DDL had been applied to the ${destination} before the engine ended: ${sql.slice(0, 500)}`, {
        gtid,
      });
      return 'applied';
    }
    const action = decision === 'skip' ? 'IGNORE' : decision === 'apply' ? 'EXEC' : policy;
    const shown = sql.slice(0, 500);
    switch (action) {
      case 'STOP':
        throw new AppError('DDL_STOPPED', `DDL at ${gtid}: ${shown}`, { details: { gtid, schema, sql: shown } });
      case 'IGNORE':
        world.log('warn', `DDL skipped: ${shown}`, { gtid });
        return 'skipped';
      case 'EXEC':
      case 'EXEC_IGNORE':
        if (foreign.length > 0 && decision !== 'apply') {
          const message = `DDL at ${gtid} names tables of the ${destination} that are not imported (${foreign.join(', ')}): ${shown}`;
          throw new AppError('DDL_TABLE_FOREIGN', message, { details: { gtid, schema, sql: shown, tables: foreign } });
        }
        if (numbered !== undefined && decision !== 'apply') {
          const message = `DDL at ${gtid} numbers the rows of ${numbered}, in an order that may be another one on the ${destination}: ${shown}`;
          throw new AppError('DDL_NUMBERS_ROWS', message, { details: { gtid, schema, sql: shown, table: numbered } });
        }
        const ofServer = decision === 'apply' ? undefined : valueOfServer(sql);
        if (ofServer !== undefined) {
          const message = `DDL at ${gtid} may fill rows with ${ofServer}, which is another value on the ${destination}: ${shown}`;
          throw new AppError('DDL_VALUES_DIFFER', message, { details: { gtid, schema, sql: shown } });
        }
        try {
          if (withRows) throw cameWithRows(sql);
          await journal.run({ gtid, ...ddl });
          await failpoint('ddl.executed');
          world.log('info', `DDL applied to the ${destination}: ${shown}`, { gtid });
          return 'applied';
        } catch (cause) {
          // What lost its connection may be running: it is looked at again by the next session.
          if (cause instanceof AppError && cause.entry.kind === 'retryable') throw cause;
          // Somebody reads the table: no reason to stop, and none to leave the statement out.
          if (isLocked(cause)) throw lockedOut(cause);
          if (withRows && action === 'EXEC') throw cause;
          const message = `DDL at ${gtid} failed on the ${destination}: ${(cause as Error).message}; statement: ${shown}`;
          if (action === 'EXEC')
            throw new AppError('DDL_FAILED', message, { cause, details: { gtid, schema, sql: shown } });
          world.log('warn', message, { gtid });
          return 'skipped';
        }
      default:
        throw new Error(`no such action: ${String(action satisfies never)}`);
    }
  };
}

/** Where it cannot be told, the operator's word counts. */
async function hasRun(journal: DdlJournal, ddl: JournalledDdl, decision: DdlDecision | undefined): Promise<boolean> {
  try {
    return await journal.hasRun(ddl);
  } catch (error) {
    if (decision === 'apply' && error instanceof AppError && error.code === 'DDL_OUTCOME_UNKNOWN') return false;
    throw error;
  }
}
