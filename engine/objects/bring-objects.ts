import { AppError } from '../../core/errors.ts';
import type { ServerDefinition } from '../api.ts';
import { ServerConnection } from '../server/connection.ts';
import { createObject, objectScript } from './create-object.ts';
import { readPassiveObjects, type PassiveObject } from './read-objects.ts';

/** A view or routine that the target refused, with the statements to run once the reason is gone. */
export interface RefusedObject {
  kind: PassiveObject['kind'];
  name: string;
  reason: string;
  script: string;
}

export interface ObjectReport {
  created: string[];
  refused: RefusedObject[];
}

/**
 * Creates views and routines on the target. One may need another that comes later in the list (a view on a view, a
 * function in a view): those that fail are tried again as long as some other one was created meanwhile.
 */
export async function createPassiveObjects(
  target: ServerDefinition,
  database: string,
  objects: readonly PassiveObject[],
): Promise<ObjectReport> {
  const report: ObjectReport = { created: [], refused: [] };
  let waiting = objects;
  for (let progress = true; progress && waiting.length > 0;) {
    const failed: { object: PassiveObject; reason: string }[] = [];
    for (const object of waiting) {
      // A refused statement ends its connection (createObject).
      await using connection = await ServerConnection.open(target, { multiStatements: true });
      try {
        await createObject(connection, database, object);
        report.created.push(`${object.kind} ${object.name}`);
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

/** The views and routines of the source that the target lacks. */
export async function missingPassiveObjects(
  source: ServerConnection,
  target: ServerConnection,
  database: string,
): Promise<PassiveObject[]> {
  const present = await readPassiveObjects(target, database);
  const objects = await readPassiveObjects(source, database);
  return objects.filter(({ kind, name }) => !present.some((there) => there.kind === kind && there.name === name));
}
