import { AppError } from '../../core/errors.ts';
import type { ServerDefinition } from '../api.ts';
import { ServerConnection } from '../server/connection.ts';
import { createObject, objectScript } from './create-object.ts';
import { readPassiveObjects } from './read-objects.ts';
import type { StoredObject } from './stored-object.ts';

export interface ObjectReport {
  created: { kind: StoredObject['kind']; name: string }[];
  /** What the target refused, with the statements to run once the reason is gone. */
  refused: { kind: StoredObject['kind']; name: string; reason: string; script: string }[];
}

/**
 * Views and routines that the target lacks. One may need another that comes later in the list (a view on a view, a
 * function in a view): those that fail are tried again as long as some other one was created meanwhile.
 */
export async function bringPassiveObjects(
  source: ServerConnection,
  target: ServerDefinition,
  database: string,
): Promise<ObjectReport> {
  const report: ObjectReport = { created: [], refused: [] };
  let waiting = await missingOn(target, database, await readPassiveObjects(source, database));
  for (let progress = true; progress && waiting.length > 0;) {
    const failed: { object: StoredObject; reason: string }[] = [];
    for (const object of waiting) {
      // A refused statement ends its connection (createObject).
      await using connection = await ServerConnection.open(target, { multiStatements: true });
      try {
        await createObject(connection, database, object);
        report.created.push({ kind: object.kind, name: object.name });
      } catch (error) {
        if (!(error instanceof AppError) || !['OBJECT_REFUSED', 'OBJECT_UNREADABLE'].includes(error.code)) throw error;
        failed.push({ object, reason: error.message });
      }
    }
    progress = failed.length < waiting.length;
    waiting = failed.map(({ object }) => object);
    report.refused = failed.map(({ object, reason }) => ({
      kind: object.kind,
      name: object.name,
      reason,
      script: objectScript(object),
    }));
  }
  return report;
}

async function missingOn(target: ServerDefinition, database: string, objects: StoredObject[]): Promise<StoredObject[]> {
  await using connection = await ServerConnection.open(target);
  const present = await readPassiveObjects(connection, database);
  return objects.filter(({ kind, name }) => !present.some((there) => there.kind === kind && there.name === name));
}
