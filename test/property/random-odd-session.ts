import type { Family } from './column-kinds.ts';
import type { RandomTable } from './random-table.ts';
import { randomStatements } from './random-transaction.ts';
import type { Step } from './schedule.ts';
import type { SeededRandom } from './seeded-random.ts';

const FORMS: readonly (readonly [setting: string, code: string])[] = [
  ['binlog_row_image = MINIMAL', 'STREAM_ROW_IMAGE_NOT_FULL'],
  ['binlog_row_image = NOBLOB', 'STREAM_ROW_IMAGE_NOT_FULL'],
  ['binlog_format = STATEMENT', 'STREAM_STATEMENT_DML'],
  ['binlog_format = MIXED', 'STREAM_STATEMENT_DML'],
];
const OF_MYSQL = [["binlog_row_value_options = 'PARTIAL_JSON'", 'STREAM_ROW_IMAGE_NOT_FULL']] as const;

/** A session whose changes are in the log in another form than whole rows: they stop the import, or are there. */
export function oddSession(random: SeededRandom, tables: readonly RandomTable[], family: Family): Step {
  const [setting, code] = random.pick(family === 'mysql' ? [...FORMS, ...OF_MYSQL] : FORMS);
  const statements = random.times(random.int(1, 4), () => randomStatements(random, random.pick(tables))).flat();
  return {
    kind: 'ddl',
    session: [`SET SESSION ${setting}`],
    sql: random.chance(0.5) ? ['BEGIN', ...statements, 'COMMIT'] : statements,
    mayStop: [code],
  };
}
