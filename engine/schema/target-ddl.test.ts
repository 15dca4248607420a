import { expect, test } from 'vitest';
import { translateCollation } from '../../core/collation.ts';
import { joined, tokenize } from './ddl-lexer.ts';
import type { Table } from './table.ts';
import { targetDdl } from './target-ddl.ts';

const COLLATIONS = new Set([
  'utf8mb4_0900_ai_ci',
  'utf8mb4_0900_as_cs',
  'utf8mb4_sv_0900_ai_ci',
  'utf8mb4_bin',
  'utf8mb4_0900_bin',
  'latin1_swedish_ci',
  'utf8mb3_unicode_520_ci',
  'utf8mb3_general_ci',
]);

function ddlOf(createSql: string, deferIndexes = true, { bytes = 1e9, rowsEstimate = 0 } = {}) {
  const table: Table = {
    schema: 's`x',
    name: 't',
    columns: [],
    key: null,
    uniqueKeys: [],
    createSql,
    rowsEstimate,
    bytes,
  };
  return targetDdl(table, { collations: COLLATIONS, deferIndexes });
}

test('tokens joined are the statement again', () => {
  const sql =
    "CREATE TABLE `a``b` (`é` varchar(3) DEFAULT 'it''s \\' ) , KEY' COMMENT \"x\" /*!80023 INVISIBLE */, -- rest\n `c` int) # end";
  expect(joined(tokenize(sql))).toBe(sql);
});

test('commas, keys and parentheses inside strings, comments and expressions do not split a definition', () => {
  const ddl = ddlOf(`CREATE TABLE \`t\` (
  \`id\` int NOT NULL COMMENT 'a, KEY \`k\` (\`x\`), CONSTRAINT FOREIGN KEY',
  \`e\` enum('a,b','c)','d''(') DEFAULT 'a,b',
  \`g\` int GENERATED ALWAYS AS (if((\`id\` > 1),1,2)) VIRTUAL,
  PRIMARY KEY (\`id\`),
  UNIQUE KEY \`u\` (\`e\`),
  KEY \`k,1\` (\`e\`,\`g\`),
  FULLTEXT KEY \`f\` (\`e\`),
  CONSTRAINT \`fk\` FOREIGN KEY (\`id\`) REFERENCES \`p\` (\`id\`) ON DELETE RESTRICT,
  CONSTRAINT \`ck\` CHECK ((\`id\` > 0))
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=latin1 COMMENT='ENGINE=MyISAM, ('`);
  expect(ddl.indexes).toEqual([{ name: 'k,1', add: 'ADD KEY `k,1` (`e`,`g`)' }]);
  expect(ddl.fulltext.map(({ name }) => name)).toEqual(['f']);
  expect(ddl.foreignKeys).toEqual([
    { name: 'fk', add: 'ADD CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `p` (`id`) ON DELETE RESTRICT' },
  ]);
  expect(ddl.create).toContain('CREATE TABLE `s``x`.`t` (');
  expect(ddl.create).toContain("COMMENT='ENGINE=MyISAM, ('");
  expect(ddl.create).toContain('CONSTRAINT `ck` CHECK ((`id` > 0))');
  expect(ddl.notes).toEqual([]);
});

test('the index that AUTO_INCREMENT needs stays', () => {
  const ddl = ddlOf(
    'CREATE TABLE `t` (`a` int NOT NULL, `id` int NOT NULL AUTO_INCREMENT, PRIMARY KEY (`a`,`id`), KEY `x` (`a`), KEY `auto` (`id`)) ENGINE=InnoDB',
  );
  expect(ddl.indexes.map(({ name }) => name)).toEqual(['x']);
  expect(ddl.create).toContain('KEY `auto` (`id`)');
});

test('nothing but foreign keys is deferred without deferIndexes', () => {
  const ddl = ddlOf(
    'CREATE TABLE `t` (`a` int NOT NULL, PRIMARY KEY (`a`), KEY `x` (`a`), FULLTEXT KEY `f` (`a`)) ENGINE=InnoDB',
    false,
  );
  expect([ddl.indexes, ddl.fulltext]).toEqual([[], []]);
});

test('a small table has its indexes from the start, and they are looked for at the end', () => {
  const create = 'CREATE TABLE `t` (`a` int NOT NULL, PRIMARY KEY (`a`), KEY `x` (`a`)) ENGINE=InnoDB';
  const ddl = ddlOf(create, true, { bytes: 16_384 });
  expect(ddl.create).toContain('KEY `x` (`a`)');
  expect(ddl.indexes.map(({ name }) => name)).toEqual(['x']);
  expect(ddlOf(create).create).not.toContain('KEY `x`');
  // As many rows do not fit into one page: its size is of when it was empty.
  expect(ddlOf(create, true, { bytes: 16_384, rowsEstimate: 20_000 }).create).not.toContain('KEY `x`');
});

test("MariaDB's definitions become MySQL's", () => {
  const ddl = ddlOf(`CREATE TABLE \`t\` (
  \`id\` uuid NOT NULL DEFAULT uuid(),
  \`ip\` inet6 DEFAULT NULL,
  \`at\` datetime(3) DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  \`n\` int(11) NOT NULL DEFAULT (floor(rand() * 10)),
  \`x\` text DEFAULT 'abc' COMMENT 'DEFAULT uuid()',
  \`j\` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(\`j\`)),
  \`z\` varchar(9) /*M!100301 COMPRESSED*/ COLLATE utf8mb4_uca1400_swedish_ai_ci NOT NULL,
  \`p\` point DEFAULT NULL REF_SYSTEM_ID=0,
  PRIMARY KEY (\`id\`),
  KEY \`i\` (\`n\`) IGNORED
) ENGINE=Aria DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci PAGE_CHECKSUM=1 \`TRANSACTIONAL\`=1 ROW_FORMAT=PAGE`);
  expect(ddl.create.split('\n').map((line) => line.trim())).toEqual([
    'CREATE TABLE `s``x`.`t` (',
    '`id` char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT (uuid()),',
    '`ip` varchar(39) CHARACTER SET ascii COLLATE ascii_bin DEFAULT NULL,',
    '`at` datetime(3) DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),',
    '`n` int(11) NOT NULL DEFAULT (floor(rand() * 10)),',
    "`x` text DEFAULT ('abc') COMMENT 'DEFAULT uuid()',",
    '`j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`j`)),',
    '`z` varchar(9)  COLLATE utf8mb4_sv_0900_ai_ci NOT NULL,',
    '`p` point DEFAULT NULL ,',
    'PRIMARY KEY (`id`)',
    ') ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci',
  ]);
  expect(ddl.indexes).toEqual([{ name: 'i', add: 'ADD KEY `i` (`n`) INVISIBLE' }]);
  expect(ddl.notes.map(({ kind }) => kind).sort()).toEqual([
    'collation',
    'collation',
    'engine',
    'option',
    'option',
    'option',
    'type',
    'type',
  ]);
});

test('a CHECK that MariaDB has named gets a name of the target: that is one of the database there', () => {
  const ddl = ddlOf(
    'CREATE TABLE `t` (`a` int NOT NULL, PRIMARY KEY (`a`), CONSTRAINT `CONSTRAINT_1` CHECK (`a` <> 7), CONSTRAINT `own` CHECK (`a` <> 8)) ENGINE=InnoDB',
  );
  expect(ddl.create).toMatch(/,\s+CHECK \(`a` <> 7\),\s+CONSTRAINT `own` CHECK \(`a` <> 8\)/);
});

test('partitions keep their comment and get InnoDB', () => {
  const ddl = ddlOf(
    'CREATE TABLE `t` (`a` int NOT NULL, PRIMARY KEY (`a`)) ENGINE=MyISAM DEFAULT CHARSET=latin1\n/*!50100 PARTITION BY RANGE (`a`)\n(PARTITION p0 VALUES LESS THAN (10) ENGINE = MyISAM) */',
  );
  expect(ddl.create).toContain(
    'ENGINE=InnoDB DEFAULT CHARSET=latin1\n/*!50100 PARTITION BY RANGE (`a`)\n(PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB) */',
  );
});

test('collations: the same, the nearest, none', () => {
  expect(translateCollation('utf8mb4_bin', COLLATIONS)).toBe('utf8mb4_bin');
  expect(translateCollation('utf8mb4_uca1400_nopad_ai_ci', COLLATIONS)).toBe('utf8mb4_0900_ai_ci');
  expect(translateCollation('utf8mb4_uca1400_ai_cs', COLLATIONS)).toBe('utf8mb4_0900_as_cs');
  expect(translateCollation('utf8mb4_nopad_bin', COLLATIONS)).toBe('utf8mb4_0900_bin');
  expect(translateCollation('latin1_swedish_nopad_ci', COLLATIONS)).toBe('latin1_swedish_ci');
  expect(translateCollation('utf8mb3_uca1400_ai_ci', COLLATIONS)).toBe('utf8mb3_unicode_520_ci');
  expect(translateCollation('utf8_general_ci', COLLATIONS)).toBe('utf8mb3_general_ci');
  expect(translateCollation('utf8mb4_klingon_ci', COLLATIONS)).toBeNull();
});
