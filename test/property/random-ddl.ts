import type { RandomTable } from './random-table.ts';
import type { SeededRandom } from './seeded-random.ts';

const q = (name: string) => `\`${name}\``;

/** Statements that leave the columns that writers know; some fail, as those of applications do. */
export function randomDdl(random: SeededRandom, tables: readonly RandomTable[]): string[] {
  const { name, columns } = random.pick(tables);
  const alter = `ALTER TABLE ${q(name)}`;
  const after = q(random.pick(columns).name);
  const extra = `x${random.int(0, 2)}`;
  const place = random.pick(['', ' FIRST', ` AFTER ${after}`]);
  return [
    random.weighted([
      [
        4,
        `${alter} ADD COLUMN ${extra} ${random.pick(['INT NULL', "VARCHAR(20) NOT NULL DEFAULT 'dé'", 'DATETIME(3) NULL', "ENUM('a','b') NOT NULL DEFAULT 'b'"])}${place}`,
      ],
      [2, `${alter} DROP COLUMN ${extra}`],
      [2, `${alter} MODIFY COLUMN ${extra} ${random.pick(['BIGINT NULL', 'VARCHAR(60) NULL', 'TEXT NULL'])}`],
      [1, `${alter} RENAME COLUMN ${extra} TO x${random.int(0, 2)}`],
      [2, `CREATE INDEX extra_${random.int(0, 1)} ON ${q(name)} (${after})`],
      [1, `DROP INDEX extra_${random.int(0, 1)} ON ${q(name)}`],
      [1, `${alter} ADD INDEX both (${extra}, ${after}), ADD COLUMN y INT DEFAULT 5`],
      [2, `TRUNCATE TABLE ${q(name)}`],
      [1, `${alter} COMMENT = 'it''s; new'`],
    ]),
  ];
}
