import { AppError } from '../core/errors.ts';
import type { Side } from '../core/phase.ts';
import type { ImportOptions, ServerDefinition } from './api.ts';
import type { DdlHandler } from './replication.ts';
import { openForDdl } from './schema/create-target.ts';
import { bytesOf, quoteName } from './server/connection.ts';

/** What the operator decided about the one statement that stopped the stream. */
export type DdlDecision = 'skip' | 'apply';

export interface DdlWorld {
  credentialsOf(side: Side): ServerDefinition;
  log(level: 'info' | 'warn', message: string, details?: Record<string, unknown>): void;
}

export interface DdlHandlerOptions {
  world: DdlWorld;
  destination: Side;
  policy: ImportOptions['ddl'];
  takeDecision: () => DdlDecision | undefined;
}

/** Rejects with DDL_STOPPED or DDL_FAILED; when it resolves the stream goes on behind the statement. */
export function ddlHandler({ world, destination, policy, takeDecision }: DdlHandlerOptions): DdlHandler {
  return async ({ gtid, ddl: { schema, sql } }) => {
    const decision = takeDecision();
    const action = decision === 'skip' ? 'IGNORE' : decision === 'apply' ? 'EXEC' : policy;
    const shown = sql.slice(0, 500);
    switch (action) {
      case 'STOP':
        throw new AppError('DDL_STOPPED', `DDL at ${gtid}: ${shown}`, { details: { gtid, schema, sql: shown } });
      case 'IGNORE':
        world.log('warn', `DDL skipped: ${shown}`, { gtid });
        return;
      case 'EXEC':
      case 'EXEC_IGNORE':
        try {
          await execute(world, destination, schema, sql);
          world.log('info', `DDL applied to the ${destination}: ${shown}`, { gtid });
        } catch (cause) {
          const message = `DDL at ${gtid} failed on the ${destination}: ${(cause as Error).message}; statement: ${shown}`;
          if (action === 'EXEC')
            throw new AppError('DDL_FAILED', message, { cause, details: { gtid, schema, sql: shown } });
          world.log('warn', message, { gtid });
        }
        return;
      default:
        action satisfies never;
    }
  };
}

async function execute(world: DdlWorld, destination: Side, schema: string, sql: string): Promise<void> {
  await using connection = await openForDdl(world.credentialsOf(destination));
  await connection.write(`USE ${quoteName(schema)}`);
  // The comment marks the statement as ours in the binlog of the destination (I7).
  await connection.write(`/* switchyard */ ${bytesOf(sql)}`);
}
