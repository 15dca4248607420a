import type { ServerDefinition } from '../api.ts';
import { ServerConnection } from '../server/connection.ts';

/**
 * A connection that rows are written on. Foreign keys are not checked: the origin did, and rows of one transaction come
 * in an order of our own. Dates are taken as they are. All warnings are kept, since each says that a value was changed; what
 * the server says of rows and keys is read, so it says it in English.
 */
export async function openDestination(destination: ServerDefinition, silenceMs?: number): Promise<ServerConnection> {
  return await ServerConnection.open(destination, {
    multiStatements: true,
    ...(silenceMs === undefined ? {} : { silenceMs }),
    session: [
      "SET SESSION foreign_key_checks=0, unique_checks=1, sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', max_error_count=65535, lc_messages='en_US'",
    ],
  });
}
