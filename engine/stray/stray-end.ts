import { unlessMissing } from '../kept-rows.ts';
import { quoteText, type Bytes, type ServerConnection } from '../server/connection.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';

const PROGRESS = `${SIDECAR_SCHEMA}.progress`;
/** A row beside those of the streams: older versions pass over it. */
const DIRECTION = 'strays';

/**
 * Where the source was when the last thing that the reverse stream brings had come there, and traffic was about to go back to it. Until
 * there its log has what the reverse stream has written and stray writes, and nothing of applications: it is the stray watch's, and
 * the stream to the target begins behind it (ADR 34).
 *
 * On the target, before the decision: nothing that is lost with the state of an engine can make that stream begin before it.
 */
export async function noteStrayEnd(target: ServerConnection, importId: string, position: string): Promise<void> {
  await target.write(
    `INSERT INTO ${PROGRESS} VALUES (${quoteText(importId)}, '${DIRECTION}', 1, 0, 0, ${quoteText(position)}) ` +
      'ON DUPLICATE KEY UPDATE position=VALUES(position)',
  );
}

/** Undefined: the log has been looked through, or traffic has never gone back. */
export async function readStrayEnd(target: ServerConnection, importId: string): Promise<string | undefined> {
  const row = target.selectOne<{ position: string }>(`SELECT position FROM ${PROGRESS} WHERE ${where(importId)}`);
  return (await unlessMissing(row, undefined))?.position;
}

export async function forgetStrayEnd(target: ServerConnection, importId: string): Promise<void> {
  await target.write(`DELETE FROM ${PROGRESS} WHERE ${where(importId)}`);
}

function where(importId: string): Bytes {
  return `import_id=${quoteText(importId)} AND direction='${DIRECTION}'`;
}
