import type { Finding } from '../api.ts';
import { quoteText, type ServerConnection } from '../server/connection.ts';
import { finding, listed } from './finding.ts';
import { logsCascades } from '../schema/foreign-keys.ts';
import type { ServerView } from './server-view.ts';

interface ForeignKey {
  name: string;
  child: string;
  parent: string;
  parentSchema: string;
  onDelete: string;
  onUpdate: string;
}

/** Foreign keys that have an imported table at one end. */
export async function checkForeignKeys(
  source: ServerView,
  target: ServerView,
  database: string,
  tables: readonly string[],
): Promise<Finding[]> {
  const imported = new Set(tables);
  const all = await foreignKeys(source.connection, database);
  const ours = all.filter(
    ({ child, parent, parentSchema }) => imported.has(child) || (parentSchema === database && imported.has(parent)),
  );
  if (ours.length === 0) return [];
  const cascading = ours.filter(({ onDelete, onUpdate }) =>
    [onDelete, onUpdate].some((rule) => rule !== 'RESTRICT' && rule !== 'NO ACTION'),
  );
  const outside = ours.filter(
    ({ child, parent, parentSchema }) => !imported.has(child) || parentSchema !== database || !imported.has(parent),
  );
  return [
    finding('FOREIGN_KEYS', 'source', null, listed(ours.map(describe))),
    ...(outside.length === 0 ? [] : [finding('FOREIGN_KEY_OUTSIDE', 'source', null, listed(outside.map(describe)))]),
    // The way back follows the target's log, in which the cascades of the target are missing in the same way.
    ...[source, target].flatMap((view) => unlogged(view, cascading)),
  ];
}

function unlogged(view: ServerView, cascading: ForeignKey[]): Finding[] {
  const { side, facts, variables }: ServerView = view;
  if (cascading.length === 0 || logsCascades(facts.version, variables.get('innodb_native_foreign_keys'))) return [];
  return [
    finding(
      'FOREIGN_KEY_CASCADES',
      side,
      null,
      `the ${side} does not log what these change: ${listed(cascading.map(describe))}`,
    ),
  ];
}

function describe({ name, child, parent, onDelete, onUpdate }: ForeignKey): string {
  return `${name} (${child} → ${parent}, on delete ${onDelete.toLowerCase()}, on update ${onUpdate.toLowerCase()})`;
}

async function foreignKeys(source: ServerConnection, database: string): Promise<ForeignKey[]> {
  const schema = quoteText(database);
  return (await source.select(
    `SELECT CONSTRAINT_NAME AS name, TABLE_NAME AS child, REFERENCED_TABLE_NAME AS parent, UNIQUE_CONSTRAINT_SCHEMA AS parentSchema, DELETE_RULE AS onDelete, UPDATE_RULE AS onUpdate FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ${schema} OR UNIQUE_CONSTRAINT_SCHEMA = ${schema} ORDER BY TABLE_NAME, CONSTRAINT_NAME`,
  )) as unknown as ForeignKey[];
}
