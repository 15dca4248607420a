import { quoteText, type Bytes } from '../server/connection.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import type { RowDifference } from './compare-digests.ts';

const TABLE: Bytes = `${SIDECAR_SCHEMA}.verify_repairs`;

/** What a repair has changed: a row is written in the transaction of its change, which also marks that as ours (I7). */
export const REPAIRS_DDL: Bytes = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL,
  row_key TEXT CHARACTER SET utf8mb4 NOT NULL,
  kind VARCHAR(9) CHARACTER SET ascii NOT NULL,
  row_values MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
  actor VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  repaired_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  KEY import_id (import_id)
) ENGINE=InnoDB COMMENT='Switchyard: rows of this side that a verification had found different and that were repaired; values are cut'`;

export interface RepairRecord {
  importId: string;
  table: string;
  actor: string;
  /** For people. */
  key: string;
  difference: RowDifference;
}

export function recordStatement(records: readonly RepairRecord[]): Bytes {
  const rows = records.map(({ importId, table, actor, key, difference: { kind, values } }) => {
    const columns = [importId, table, key, kind, JSON.stringify(values), actor.slice(0, 255)];
    return `(${columns.map(quoteText).join(',')})`;
  });
  return `INSERT INTO ${TABLE} (import_id,table_name,row_key,kind,row_values,actor) VALUES ${rows.join(',')}`;
}
