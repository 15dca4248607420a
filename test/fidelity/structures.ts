import { bytesOf, type Bytes } from '../../engine/server/connection.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { FLAVOR_SPECS } from '../../servers/flavor.ts';
import type { Steps } from './zoo-tables.ts';

/** Tables that are special as a whole. Written as text; `B` in a step is the number that new rows begin with. */
export interface Structure {
  label: string;
  only?: 'mysql' | 'mariadb';
  /** Without transactions on the source: nothing is written back to it. */
  forwardOnly?: boolean;
  /** On the source, before the copy. */
  before: string[];
  steps: Partial<Record<keyof Steps, string[]>>;
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const WIDE = numbers(999).map((index) => `c${index}`);
const NAMES = '`we``ird — % näme select`';
const MIB_17 = 17 * 2 ** 20;

export const STRUCTURES: Structure[] = [
  {
    label: 'generated columns, VIRTUAL and STORED',
    before: [
      "CREATE TABLE s_generated (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, s INT AS (a * 2) STORED, t VARCHAR(20) AS (CONCAT(a, 'x')) VIRTUAL, u VARCHAR(20), KEY (v))",
      "INSERT INTO s_generated (id, a, u) VALUES (1, 1, 'x'), (2, NULL, NULL)",
    ],
    steps: {
      insert: ["INSERT INTO s_generated (id, a, u) VALUES (B, 5, 'y'), (B+1, NULL, NULL)"],
      update: ['UPDATE s_generated SET a = a + 3', "UPDATE s_generated SET u = 'z' WHERE id = B"],
      delete: ['DELETE FROM s_generated WHERE id = B+1'],
      key: ['UPDATE s_generated SET id = B+2 WHERE id = B'],
    },
  },
  {
    label: 'a STORED generated column as key',
    only: 'mysql',
    before: [
      'CREATE TABLE s_generated_key (a INT NOT NULL, b INT, g INT AS (a * 10) STORED NOT NULL, PRIMARY KEY (g))',
      'INSERT INTO s_generated_key (a, b) VALUES (1, 1), (2, 2)',
    ],
    steps: {
      insert: ['INSERT INTO s_generated_key (a, b) VALUES (B, 3)'],
      update: ['UPDATE s_generated_key SET b = b + 1'],
      delete: ['DELETE FROM s_generated_key WHERE a = B'],
      key: ['UPDATE s_generated_key SET a = a + 100'],
    },
  },
  {
    label: 'invisible columns',
    before: [
      'CREATE TABLE s_invisible (id INT PRIMARY KEY, h INT INVISIBLE, i VARCHAR(9) INVISIBLE DEFAULT 7)',
      "INSERT INTO s_invisible (id, h, i) VALUES (1, 1, 'x'), (2, NULL, NULL)",
    ],
    steps: {
      insert: ["INSERT INTO s_invisible (id, h, i) VALUES (B, 3, 'y')"],
      update: ['UPDATE s_invisible SET h = IFNULL(h, 0) + 1'],
      delete: ['DELETE FROM s_invisible WHERE id = B'],
      key: ['UPDATE s_invisible SET id = id + B'],
    },
  },
  {
    label: 'generated invisible primary key (GIPK)',
    only: 'mysql',
    before: [
      'SET SESSION sql_generate_invisible_primary_key = ON',
      'CREATE TABLE s_gipk (v VARCHAR(9))',
      'SET SESSION sql_generate_invisible_primary_key = OFF',
      "INSERT INTO s_gipk (v) VALUES ('a'), ('b')",
    ],
    steps: {
      insert: ["INSERT INTO s_gipk (v) VALUES ('B'), ('B!')"],
      update: ["UPDATE s_gipk SET v = CONCAT(v, '+')"],
      delete: ["DELETE FROM s_gipk WHERE v = 'B!+'"],
    },
  },
  {
    label: 'composite keys: number, collated string, bytes, time',
    before: [
      'CREATE TABLE s_composite (a SMALLINT, b VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, c BINARY(4), d DATETIME(3), v INT, PRIMARY KEY (b, a, d, c))',
      "INSERT INTO s_composite VALUES (-1, 'é', X'0100', '2024-01-01 00:00:00.5', 1), (1, 'E ', X'', '0000-00-00', 2), (1, 'E', X'00000001', '0000-00-00', 3)",
    ],
    steps: {
      insert: ["INSERT INTO s_composite VALUES (2, 'B', X'FF', '2024-02-29', 4), (3, 'B', X'FF', '2024-02-29', 5)"],
      update: ['UPDATE s_composite SET v = v + 10'],
      delete: ["DELETE FROM s_composite WHERE a = 3 AND b = 'B'"],
      key: [
        'UPDATE s_composite SET b = UPPER(b), a = a + 10 WHERE v > 10',
        "UPDATE s_composite SET c = X'FF00' WHERE a = 9",
      ],
    },
  },
  {
    label: 'composite keys with ENUM, SET, BIT and DECIMAL',
    before: [
      "CREATE TABLE s_members (e ENUM('b', 'a', '1'), id INT, s SET('x', 'y'), f BIT(9), d DECIMAL(5,2), v INT, PRIMARY KEY (e, id, s, f, d))",
      "INSERT INTO s_members VALUES ('a', 1, 'x', b'1', 1.5, 1), ('b', 2, '', 257, -1.5, 2), ('1', 3, 'x,y', 0, 0, 3), ('1', 4, 'y', 0, 0, 4)",
    ],
    steps: {
      insert: [
        "INSERT INTO s_members VALUES ('b', B, 'x', 3, 1, 5), ('a', B+1, 'y', 4, 1, 6), ('1', B+2, '', 5, 1, 7)",
      ],
      update: ['UPDATE s_members SET v = v + 10'],
      delete: ['DELETE FROM s_members WHERE id >= B'],
      key: ["UPDATE s_members SET e = IF(e = 'a', 'b', 'a'), s = '', f = f + 1 WHERE id < 100"],
    },
  },
  {
    label: 'keys that are equal by case, accent or trailing space',
    before: [
      'CREATE TABLE s_collated (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)',
      "INSERT INTO s_collated VALUES ('a', 1), ('b', 2)",
    ],
    steps: {
      insert: ["INSERT INTO s_collated VALUES ('z B', 3), ('y B', 4)"],
      update: ["UPDATE s_collated SET v = v + 10 WHERE k = 'A '"],
      delete: ["DELETE FROM s_collated WHERE k = 'Z B '"],
      key: [
        "UPDATE s_collated SET k = 'A' WHERE k = 'a'",
        "UPDATE s_collated SET k = 'á ' WHERE k = 'a'",
        "UPDATE s_collated SET k = 'Y B' WHERE k = 'y B'",
      ],
    },
  },
  {
    label: 'unique values swapped, and NULLs in unique keys',
    before: [
      'CREATE TABLE s_unique (id INT PRIMARY KEY, u INT, w VARCHAR(9), UNIQUE KEY (u), UNIQUE KEY (w, u))',
      "INSERT INTO s_unique VALUES (1, 1, 'a'), (2, 2, 'b'), (3, NULL, 'c'), (4, NULL, 'c'), (5, 5, '')",
    ],
    steps: {
      insert: ["INSERT INTO s_unique VALUES (B, B, 'd'), (B+1, NULL, 'c'), (B+2, NULL, NULL)"],
      update: [
        'UPDATE s_unique SET u = -1 WHERE id = 1',
        'UPDATE s_unique SET u = 1 WHERE id = 2',
        'UPDATE s_unique SET u = 2 WHERE id = 1',
        'UPDATE s_unique SET u = 1 + (id = 1) WHERE FALSE',
        'UPDATE s_unique SET u = NULL WHERE id = 1',
        'UPDATE s_unique SET u = 2 WHERE id = 2',
        'UPDATE s_unique SET u = 1 WHERE id = 1',
      ],
      delete: ['DELETE FROM s_unique WHERE id = B', "INSERT INTO s_unique VALUES (B+9, B, 'd')"],
      key: ['UPDATE s_unique SET id = B+3 WHERE id = B+9'],
    },
  },
  {
    label: 'zero in AUTO_INCREMENT, and a key that is only unique',
    before: [
      'CREATE TABLE s_zero (id INT AUTO_INCREMENT PRIMARY KEY, v INT)',
      'INSERT INTO s_zero VALUES (0, 0), (-5, 1), (7, 2)',
      'CREATE TABLE s_only_unique (v INT, k VARCHAR(9) NOT NULL, UNIQUE KEY (k))',
      "INSERT INTO s_only_unique VALUES (1, ''), (2, 'x')",
    ],
    steps: {
      insert: ['INSERT INTO s_zero VALUES (B, 3)', "INSERT INTO s_only_unique VALUES (3, 'B')"],
      update: ['UPDATE s_zero SET v = v + 1', 'UPDATE s_only_unique SET v = v + 1'],
      delete: ['DELETE FROM s_zero WHERE id = B', "DELETE FROM s_only_unique WHERE k = 'B'"],
      key: ['UPDATE s_zero SET id = B WHERE id = 0', 'UPDATE s_zero SET id = 0 WHERE id = B'],
    },
  },
  {
    label: 'names with backticks, spaces, %, non-ASCII, reserved words',
    before: [
      `CREATE TABLE ${NAMES} (\`select\` INT, \`a\`\`b\` VARCHAR(9), \`100%\` INT, \`größe 日本\` INT, \`table\` INT, \`it's "q"\` INT, PRIMARY KEY (\`select\`, \`a\`\`b\`), KEY \`k ö\`\`\` (\`100%\`)) COMMENT 'it''s \\\\ — ö'`,
      `INSERT INTO ${NAMES} VALUES (1, 'a', 1, 1, 1, 1), (2, 'ö', NULL, NULL, NULL, NULL)`,
    ],
    steps: {
      insert: [`INSERT INTO ${NAMES} VALUES (B, 'b', 2, 2, 2, 2), (B+1, 'b', 2, 2, 2, 2)`],
      update: [`UPDATE ${NAMES} SET \`100%\` = 7, \`größe 日本\` = 8`],
      delete: [`DELETE FROM ${NAMES} WHERE \`select\` = B+1`],
      key: [`UPDATE ${NAMES} SET \`a\`\`b\` = '\`' WHERE \`select\` = B`],
    },
  },
  {
    label: '1,000 columns',
    before: [
      `CREATE TABLE s_thousand (id INT PRIMARY KEY, ${WIDE.map((name, i) => `${name} ${i % 3 === 0 ? 'INT' : i % 3 === 1 ? 'VARCHAR(3)' : 'BIT(3)'}`).join(', ')})`,
      `INSERT INTO s_thousand VALUES (1, ${WIDE.map((_, i) => (i % 7 === 0 ? 'NULL' : i % 5)).join(',')}), (2, ${WIDE.map(() => 'NULL').join(',')})`,
    ],
    steps: {
      insert: [
        `INSERT INTO s_thousand VALUES (B, ${WIDE.map((_, i) => i % 8).join(',')}), (B+1, ${WIDE.map(() => '1').join(',')})`,
      ],
      update: [
        `UPDATE s_thousand SET ${WIDE.map((name, i) => `${name} = ${i % 6 === 0 ? 'NULL' : i % 7}`).join(', ')}`,
      ],
      delete: ['DELETE FROM s_thousand WHERE id = B+1'],
      key: ['UPDATE s_thousand SET id = B+5 WHERE id = B'],
    },
  },
  {
    label: 'empty tables, tables of one row and of one column',
    before: [
      'CREATE TABLE s_empty (id INT PRIMARY KEY, v TEXT)',
      'CREATE TABLE s_one (id INT PRIMARY KEY)',
      'INSERT INTO s_one VALUES (1)',
    ],
    steps: {
      insert: ["INSERT INTO s_empty VALUES (B, ''), (B+1, NULL)", 'INSERT INTO s_one VALUES (B)'],
      update: ["UPDATE s_empty SET v = IF(v IS NULL, '', NULL)"],
      delete: ['DELETE FROM s_empty', 'DELETE FROM s_one WHERE id = B'],
      key: ['UPDATE s_one SET id = B+1'],
    },
  },
  {
    label: 'DEFAULT expressions, CHECK constraints, zero dates as defaults, ON UPDATE',
    before: [
      "CREATE TABLE s_defaults (id INT PRIMARY KEY, a INT DEFAULT (1 + 2), b VARCHAR(40) DEFAULT (CONCAT('a', 'b')), c DATE NOT NULL DEFAULT '0000-00-00', d TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), e TEXT DEFAULT ('x''y'), f DECIMAL(5,2) DEFAULT -1.5, g BIT(3) DEFAULT b'101', CONSTRAINT positive CHECK (a > 0), CHECK (b <> ''))",
      'INSERT INTO s_defaults (id) VALUES (1), (2)',
    ],
    steps: {
      insert: ['INSERT INTO s_defaults (id) VALUES (B), (B+1)'],
      update: ['UPDATE s_defaults SET a = 9'],
      delete: ['DELETE FROM s_defaults WHERE id = B'],
      key: ['UPDATE s_defaults SET id = B+2 WHERE id = B+1'],
    },
  },
  {
    label: 'descending, prefix, FULLTEXT and SPATIAL indexes',
    before: [
      'CREATE TABLE s_indexes (id INT PRIMARY KEY, a INT, t VARCHAR(200), b BLOB, p POINT NOT NULL, KEY (a DESC, t(5)), KEY (b(7)), FULLTEXT KEY (t), SPATIAL KEY (p), UNIQUE KEY (t(3), a))',
      "INSERT INTO s_indexes VALUES (1, 1, 'one two three', 'x', POINT(1, 2)), (2, 2, NULL, NULL, POINT(3, 4))",
    ],
    steps: {
      insert: ["INSERT INTO s_indexes VALUES (B, B, 'four five', 'y', POINT(5, 6)), (B+1, B+1, '', '', POINT(0, 0))"],
      update: ["UPDATE s_indexes SET t = CONCAT(IFNULL(t, ''), ' six'), p = POINT(id, 1)"],
      delete: ['DELETE FROM s_indexes WHERE id = B+1'],
      key: ['UPDATE s_indexes SET id = B+7 WHERE id = B'],
    },
  },
  {
    label: 'functional and multi-valued indexes (hidden columns)',
    only: 'mysql',
    before: [
      "CREATE TABLE s_hidden (id INT PRIMARY KEY, name VARCHAR(20), j JSON, KEY low ((LOWER(name))), KEY many ((CAST(j->'$.tags' AS UNSIGNED ARRAY))), UNIQUE KEY twice ((id * 2)))",
      `INSERT INTO s_hidden VALUES (1, 'Ab', '{"tags": [1, 2]}'), (2, NULL, '{}')`,
    ],
    steps: {
      insert: [`INSERT INTO s_hidden VALUES (B, 'B', '{"tags": [5]}'), (B+1, 'x', NULL)`],
      update: [`UPDATE s_hidden SET j = JSON_OBJECT('tags', JSON_ARRAY(id, id + 1)), name = 'Q'`],
      delete: ['DELETE FROM s_hidden WHERE id = B+1'],
      key: ['UPDATE s_hidden SET id = B+3 WHERE id = B'],
    },
  },
  {
    label: 'partitions: RANGE, LIST COLUMNS, HASH, KEY, with subpartitions',
    before: [
      "CREATE TABLE s_range (id INT, d DATE, v INT, PRIMARY KEY (id, d)) PARTITION BY RANGE (TO_DAYS(d)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (TO_DAYS('2024-01-01')), PARTITION p1 VALUES LESS THAN MAXVALUE)",
      "INSERT INTO s_range VALUES (1, '2023-01-01', 1), (2, '2024-06-01', 2)",
      "CREATE TABLE s_list (k VARCHAR(9) CHARACTER SET latin1, v INT, PRIMARY KEY (k)) PARTITION BY LIST COLUMNS (k) (PARTITION a VALUES IN ('a', 'b'), PARTITION c VALUES IN ('c', 'd'))",
      "INSERT INTO s_list VALUES ('a', 1), ('c', 2)",
      'CREATE TABLE s_hash (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 3',
      'INSERT INTO s_hash VALUES (1, 1), (2, 2), (3, 3)',
      'CREATE TABLE s_key (k VARCHAR(9) PRIMARY KEY, v INT) PARTITION BY KEY (k) PARTITIONS 3',
      "INSERT INTO s_key VALUES ('a', 1), ('b', 2)",
    ],
    steps: {
      insert: [
        "INSERT INTO s_range VALUES (B, '2023-02-02', 3)",
        "INSERT INTO s_list VALUES ('b', 3)",
        'INSERT INTO s_hash VALUES (B, 4)',
        "INSERT INTO s_key VALUES ('B', 3)",
      ],
      update: [
        'UPDATE s_range SET v = v + 1',
        'UPDATE s_list SET v = v + 1',
        'UPDATE s_hash SET v = v + 1',
        'UPDATE s_key SET v = v + 1',
      ],
      delete: [
        "DELETE FROM s_list WHERE k = 'b'",
        'DELETE FROM s_hash WHERE id = B',
        "DELETE FROM s_key WHERE k = 'B'",
      ],
      key: [
        "UPDATE s_range SET d = '2025-01-01' WHERE id = B",
        "UPDATE s_list SET k = 'd' WHERE k = 'c'",
        "UPDATE s_list SET k = 'c' WHERE k = 'd'",
        'UPDATE s_hash SET id = id + B',
      ],
    },
  },
  {
    label: 'charset of the table changed since, comments, row formats',
    before: [
      "CREATE TABLE s_charset (id INT PRIMARY KEY, old VARCHAR(20) COMMENT 'ö ''q'' \\\\') CHARACTER SET latin1 ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8",
      'ALTER TABLE s_charset DEFAULT CHARACTER SET utf8mb4',
      "ALTER TABLE s_charset ADD COLUMN new VARCHAR(20) DEFAULT 'größe'",
      "INSERT INTO s_charset VALUES (1, 'é', '€'), (2, '', NULL)",
      'CREATE TABLE s_redundant (id INT PRIMARY KEY, v VARCHAR(9)) ROW_FORMAT=REDUNDANT',
      "INSERT INTO s_redundant VALUES (1, 'x')",
    ],
    steps: {
      insert: ["INSERT INTO s_charset VALUES (B, 'ü', '日本')", "INSERT INTO s_redundant VALUES (B, 'y')"],
      update: ["UPDATE s_charset SET old = 'ñ', new = '😀'", "UPDATE s_redundant SET v = 'z'"],
      delete: ['DELETE FROM s_charset WHERE id = B', 'DELETE FROM s_redundant WHERE id = B'],
      key: ['UPDATE s_charset SET id = id + B', 'UPDATE s_redundant SET id = id + B'],
    },
  },
  {
    label: 'columns added and dropped instantly (row versions)',
    before: [
      'CREATE TABLE s_instant (id INT PRIMARY KEY, a INT, b VARCHAR(9))',
      "INSERT INTO s_instant VALUES (1, 1, 'x')",
      'ALTER TABLE s_instant ADD COLUMN c INT DEFAULT 5 FIRST, ALGORITHM=INSTANT',
      "INSERT INTO s_instant (id, a, b) VALUES (2, 2, 'y')",
      'ALTER TABLE s_instant DROP COLUMN a, ALGORITHM=INSTANT',
      "ALTER TABLE s_instant ADD COLUMN d VARCHAR(9) DEFAULT 'q' AFTER id, ALGORITHM=INSTANT",
      "INSERT INTO s_instant (id, b) VALUES (3, 'z')",
    ],
    steps: {
      insert: ["INSERT INTO s_instant (id, b) VALUES (B, 'n'), (B+1, NULL)"],
      update: ["UPDATE s_instant SET b = 'm', c = id"],
      delete: ['DELETE FROM s_instant WHERE id = B+1'],
      key: ['UPDATE s_instant SET id = B+2 WHERE id = B'],
    },
  },
  {
    label: 'foreign keys without cascades',
    before: [
      'CREATE TABLE s_parent (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE s_child (id INT PRIMARY KEY, p INT, CONSTRAINT child_of FOREIGN KEY (p) REFERENCES s_parent (id))',
      'INSERT INTO s_parent VALUES (1, 1), (2, 2)',
      'INSERT INTO s_child VALUES (1, 1), (2, NULL)',
    ],
    steps: {
      insert: ['INSERT INTO s_parent VALUES (B, 3)', 'INSERT INTO s_child VALUES (B, B)'],
      update: ['UPDATE s_child SET p = 2 WHERE id = B', 'UPDATE s_parent SET v = v + 1'],
      delete: ['DELETE FROM s_parent WHERE id = B'],
      key: ['UPDATE s_child SET id = id + B+500'],
    },
  },
  {
    label: 'values over 16 MiB: LONGBLOB, LONGTEXT',
    before: [
      'CREATE TABLE s_large (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT CHARACTER SET utf8mb4)',
      `INSERT INTO s_large VALUES (1, REPEAT(X'001C1D1E0A5C27FF', ${MIB_17 / 8}), 'x')`,
    ],
    steps: {
      insert: ['INSERT INTO s_large SELECT B, b, t FROM s_large WHERE id = 1'],
      update: [`UPDATE s_large SET b = CONCAT(LEFT(b, 9), X'00'), t = REPEAT('ä', ${MIB_17 / 2}) WHERE id = B`],
      delete: ['DELETE FROM s_large WHERE id = B'],
    },
  },
  {
    label: 'JSON over 16 MiB',
    only: 'mysql',
    before: [
      'CREATE TABLE s_large_json (id INT PRIMARY KEY, j JSON)',
      `INSERT INTO s_large_json VALUES (1, JSON_OBJECT('a', REPEAT('ä', ${MIB_17 / 2}), 'n', JSON_ARRAY(1.50, 2e0)))`,
    ],
    steps: {
      insert: ['INSERT INTO s_large_json SELECT B, j FROM s_large_json WHERE id = 1'],
      update: ["UPDATE s_large_json SET j = JSON_SET(j, '$.n[0]', CAST('2024-01-02' AS DATE)) WHERE id = B"],
      delete: ['DELETE FROM s_large_json WHERE id = B'],
    },
  },
  {
    label: 'MariaDB: Aria and MyISAM tables (become InnoDB)',
    forwardOnly: true,
    only: 'mariadb',
    before: [
      'CREATE TABLE s_aria (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9), KEY (v)) ENGINE=Aria PAGE_CHECKSUM=1 TRANSACTIONAL=1',
      "INSERT INTO s_aria VALUES (1, 'a'), (2, NULL)",
      'CREATE TABLE s_myisam (id INT PRIMARY KEY, v VARCHAR(9)) ENGINE=MyISAM ROW_FORMAT=FIXED',
      "INSERT INTO s_myisam VALUES (1, 'a'), (2, NULL)",
    ],
    steps: {
      insert: ["INSERT INTO s_aria VALUES (B, 'b')", "INSERT INTO s_myisam VALUES (B, 'b')"],
      update: ["UPDATE s_aria SET v = 'c'", "UPDATE s_myisam SET v = 'c'"],
      delete: ['DELETE FROM s_aria WHERE id = B', 'DELETE FROM s_myisam WHERE id = B'],
      key: ['UPDATE s_aria SET id = id + B', 'UPDATE s_myisam SET id = id + B'],
    },
  },
  {
    label:
      'MariaDB: PERSISTENT columns, defaults of its own functions, display widths, IGNORED indexes, page compression',
    only: 'mariadb',
    before: [
      "CREATE TABLE s_own (id INT(7) NOT NULL PRIMARY KEY, a INT(3) ZEROFILL, p INT AS (id + 1) PERSISTENT, u VARCHAR(36) DEFAULT (uuid()), c DATE DEFAULT (current_date()), r VARCHAR(9) DEFAULT (lpad('x', 3, '-')), KEY k (a) IGNORED) PAGE_COMPRESSED=1 PAGE_COMPRESSION_LEVEL=5",
      'INSERT INTO s_own (id, a) VALUES (1, 1), (2, NULL)',
    ],
    steps: {
      insert: ['INSERT INTO s_own (id, a) VALUES (B, 9), (B+1, 9)'],
      update: ['UPDATE s_own SET a = 12'],
      delete: ['DELETE FROM s_own WHERE id = B+1'],
      key: ['UPDATE s_own SET id = B+2 WHERE id = B'],
    },
  },
];

export function structuresOf(flavor: Flavor): Structure[] {
  const { family } = FLAVOR_SPECS[flavor];
  return STRUCTURES.filter(({ only }) => only === undefined || only === family);
}

/** As bytes, with rows numbered from `base`. */
export function structureStep({ steps }: Structure, operation: keyof Steps, base: number): Bytes[] {
  return (steps[operation] ?? []).map((sql) => bytesOf(sql.replace(/\bB(?=\b|[+!])/g, String(base))));
}

export function structureBefore({ before }: Structure): Bytes[] {
  return before.map(bytesOf);
}

/** The tables that a structure makes. */
export function structureTables({ before }: Structure): string[] {
  return before.flatMap((sql) => {
    const name = /^CREATE TABLE (`(?:[^`]|``)+`|\w+)/.exec(sql)?.[1];
    return name === undefined ? [] : [name.startsWith('`') ? name.slice(1, -1).replaceAll('``', '`') : name];
  });
}
