import type { Finding } from '../api.ts';
import { errnoOf, textOf } from '../server/connection.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import { finding } from './finding.ts';
import type { ServerView } from './server-view.ts';

/**
 * Streams of other imports that are applied to the source. Their transactions are marked with another name and are followed
 * (`StreamScope.isOwnImport`), but for those of an import of the same name; and a switch would fence them off, as an application.
 */
export async function checkOtherStreams({ connection, side }: ServerView): Promise<Finding[]> {
  if (side === 'target') return [];
  const rows = await connection
    .rows(`SELECT import_id, direction FROM ${SIDECAR_SCHEMA}.progress ORDER BY 1, 2`)
    .catch((error: unknown) => {
      // No such table, or none that our user may see.
      if (errnoOf(error) === undefined || errnoOf(error) === 0) throw error;
      return [];
    });
  return rows.map((row) => {
    const [id = '', direction = ''] = row.map((value) => textOf(value ?? ''));
    return finding(
      'SOURCE_WRITTEN_BY_SWITCHYARD',
      side,
      id,
      `a stream of the import ${id} is applied to the source (${direction})`,
      `Complete or cancel the import ${id}. Where it is no more: DELETE FROM ${SIDECAR_SCHEMA}.progress WHERE import_id = '${id}' AND direction = '${direction}';`,
    );
  });
}
