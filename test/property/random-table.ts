import { randomKeyKind, randomKind, type ColumnKind, type Family } from './column-kinds.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface RandomColumn {
  name: string;
  kind: ColumnKind;
  nullable: boolean;
  /** The server counts it up where no value is given. */
  counted: boolean;
}

export interface RandomTable {
  name: string;
  /** What statements write; generated and hidden columns are not among them. */
  columns: RandomColumn[];
  /** What addresses a row, or as good as. Empty: hidden from applications. */
  key: RandomColumn[];
  unique: RandomColumn[];
  /** Two columns of one type, which nothing else depends on. */
  twins: readonly [RandomColumn, RandomColumn] | null;
  partitioned: boolean;
  engine: string;
  /** Its definition, where there is one. */
  foreignKey: string | null;
  createSql: string;
  /** `CREATE` needs it. */
  session: string[];
}

export interface TableOptions {
  family: Family;
  /** What a foreign key may point to. */
  parents: readonly RandomTable[];
  /** Some tables are without transactions. */
  isMixed?: boolean;
  /** Foreign keys may change rows. Left out: yes. */
  cascades?: boolean;
}

type KeyForm = 'counted' | 'single' | 'composite' | 'counted_composite' | 'unique_only' | 'hidden';

const q = (name: string) => `\`${name}\``;

export function randomTable(
  random: SeededRandom,
  name: string,
  { family, parents, isMixed = false, cascades = true }: TableOptions,
): RandomTable {
  const engine = !isMixed ? 'InnoDB' : random.pick(['InnoDB', 'MyISAM', family === 'mariadb' ? 'Aria' : 'MyISAM']);
  const isInnodb = engine === 'InnoDB';
  const form = random.weighted<KeyForm>([
    [4, 'counted'],
    [4, 'single'],
    [4, 'composite'],
    [1, 'counted_composite'],
    [2, 'unique_only'],
    [family === 'mysql' && isInnodb ? 1 : 0, 'hidden'],
  ]);
  const key = keyColumns(random, form, family);
  const unique = random.times(
    random.weighted([
      [2, 0],
      [3, 1],
      [1, 2],
    ] as const),
    (i) => column(`u${i}`, randomKeyKind(random, family), random.chance(0.5)),
  );
  const own = { name, key, partitioned: false, engine };
  const [parent] = isInnodb && random.chance(0.5) ? random.sample([...parents, own].filter(isReferable), 1) : [];
  const [referred] = parent?.key ?? [];
  const reference = referred === undefined ? [] : [column('parent_id', referred.kind, true)];
  const payload = random.times(random.int(1, 7), (i) =>
    column(i === 0 ? 'weird name`' : `p${i}`, randomKind(random, family), random.chance(0.7)),
  );
  const twinKind = randomKind(random, family);
  const twins = random.chance(0.4)
    ? ([column('twin_a', twinKind, true), column('twin_b', twinKind, true)] as const)
    : null;
  const columns = random.sample([...key, ...unique, ...reference, ...payload, ...(twins ?? [])], 100);
  const generated = generatedColumns(
    random,
    columns.filter((one) => twins?.includes(one) !== true),
  );
  const foreignKey =
    parent === undefined || referred === undefined
      ? null
      : foreignKeySql(random, name, [parent.name, referred.name], { family, cascades });
  const definitions = [
    ...random.sample([...columns.map((one) => columnSql(random, one)), ...generated.map(({ sql }) => sql)], 100),
    ...keySql(form, key),
    ...uniqueSql(random, unique, columns),
    ...uniqueExpressionSql(random, [...unique, ...payload], family),
    ...generated.flatMap(({ index }) => (index === null ? [] : [index])),
    ...indexSql(random, [...payload, ...key, ...unique], family),
    ...(foreignKey === null ? [] : [foreignKey]),
    ...checks(random, payload),
  ].flatMap((sql) => (isInnodb ? sql : withoutInnodb(sql)));
  // A partitioned table has no foreign keys, and its columns must be in every unique key.
  const partitioned =
    isInnodb &&
    form !== 'unique_only' &&
    form !== 'hidden' &&
    unique.length === 0 &&
    !definitions.some((sql) => sql.startsWith('UNIQUE KEY')) &&
    parent === undefined &&
    !payload.some(({ kind }) => kind.type === 'GEOMETRY') &&
    // PARTITIONED_BY_PADDED_TEXT
    !key.some(({ kind }) => /COLLATE \w+_unicode/.test(kind.type)) &&
    random.chance(0.15);
  return {
    name,
    columns,
    key,
    unique,
    twins,
    partitioned,
    engine,
    foreignKey,
    createSql: `CREATE TABLE ${q(name)} (${definitions.join(', ')}) ENGINE=${engine} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci${partitioned ? partitionsSql(random, key) : ''}`,
    session: form === 'hidden' ? ['SET SESSION sql_generate_invisible_primary_key=ON'] : [],
  };
}

/**
 * Other engines know fewer kinds of indexes; and MyISAM pads a CHAR within a prefix, so that its unique key tells texts apart which that
 * of InnoDB does not (COPY_ROWS_COLLIDE).
 */
function withoutInnodb(sql: string): string[] {
  if (/^(UNIQUE )?KEY (functional|unique_expression|of_generated)\b/.test(sql)) return [];
  return [sql.startsWith('UNIQUE KEY') ? sql.replace('(2)', '') : sql.replace(/ DESC\)$/, ')')];
}

function partitionsSql(random: SeededRandom, key: RandomColumn[]): string {
  const number = key.find(({ kind }) => /INT/.test(kind.type));
  const by = number === undefined ? '' : q(number.name);
  return random.pick([
    ' PARTITION BY KEY() PARTITIONS 3',
    ...(by === ''
      ? []
      : [
          ` PARTITION BY HASH (${by}) PARTITIONS 3`,
          ` PARTITION BY RANGE (${by}) (PARTITION p0 VALUES LESS THAN (40), PARTITION p1 VALUES LESS THAN (90), PARTITION p2 VALUES LESS THAN MAXVALUE)`,
        ]),
  ]);
}

function column(name: string, kind: ColumnKind, nullable = false, counted = false): RandomColumn {
  return { name: name.replaceAll('`', '``'), kind, nullable, counted };
}

function counted(): ColumnKind {
  return {
    type: 'BIGINT UNSIGNED',
    value: (random) => String(random.int(1, 300)),
    keyable: true,
    counts: true,
    characters: null,
  };
}

function keyColumns(random: SeededRandom, form: KeyForm, family: Family): RandomColumn[] {
  const more = (count: number) => random.times(count, (i) => column(`k${i}`, randomKeyKind(random, family)));
  switch (form) {
    case 'counted':
      return [column('id', counted(), false, true)];
    case 'single':
      return more(1);
    case 'composite':
      return more(random.int(2, 3));
    case 'counted_composite':
      return [...more(1), column('id', counted(), false, true)];
    case 'unique_only':
      return more(random.int(1, 2));
    case 'hidden':
      return [];
    default:
      throw new Error(`no such form: ${String(form satisfies never)}`);
  }
}

function columnSql(random: SeededRandom, { name, kind, nullable, counted }: RandomColumn): string {
  // Without DEFAULT a TIMESTAMP would get the server's own.
  const missing = nullable ? 'NULL DEFAULT NULL' : 'NOT NULL';
  const invisible = nullable && random.chance(0.05) ? ' INVISIBLE' : '';
  const [, digits = ''] = /^(?:DATETIME|TIMESTAMP)(\(\d\))?$/.exec(kind.type) ?? [];
  const touched =
    /^(DATETIME|TIMESTAMP)/.test(kind.type) && random.chance(0.3) ? ` ON UPDATE CURRENT_TIMESTAMP${digits}` : '';
  return `${q(name)} ${kind.type} ${missing}${touched}${counted ? ' AUTO_INCREMENT' : ''}${invisible}`;
}

function keySql(form: KeyForm, key: RandomColumn[]): string[] {
  const list = key.map(({ name }) => q(name)).join(',');
  switch (form) {
    case 'hidden':
      return [];
    case 'unique_only':
      return [`UNIQUE KEY only_key (${list})`];
    case 'counted_composite':
      return [`PRIMARY KEY (${list})`, 'KEY counted (id)'];
    case 'counted':
    case 'single':
    case 'composite':
      return [`PRIMARY KEY (${list})`];
    default:
      throw new Error(`no such form: ${String(form satisfies never)}`);
  }
}

function uniqueSql(random: SeededRandom, unique: RandomColumn[], columns: RandomColumn[]): string[] {
  return unique.map(({ name, kind }, i) => {
    const isPrefix = kind.characters !== null && kind.characters > 2 && random.chance(0.2);
    const other = random.chance(0.3) ? columns.find((one) => one.kind.keyable && one.name !== name) : undefined;
    return `UNIQUE KEY unique_${i} (${q(name)}${isPrefix ? '(2)' : ''}${other === undefined ? '' : `,${q(other.name)}`})`;
  });
}

/** Over what the values have in common: their letters without case, halves of numbers. */
function uniqueExpressionSql(random: SeededRandom, columns: RandomColumn[], family: Family): string[] {
  const column = columns.find(
    ({ kind, counted }) => !counted && (/^VARCHAR.*utf8mb4/.test(kind.type) || /INT/.test(kind.type)),
  );
  if (family !== 'mysql' || column === undefined || !random.chance(0.12)) return [];
  const expression = /INT/.test(column.kind.type) ? `${q(column.name)} DIV 2` : `LOWER(${q(column.name)})`;
  return [`UNIQUE KEY unique_expression ((${expression}))`];
}

function indexSql(random: SeededRandom, columns: RandomColumn[], family: Family): string[] {
  const indexed = random.sample(columns, random.int(0, 2)).map(({ name, kind }, i) => {
    if (/GEOMETRY|JSON|VECTOR|COMPRESSED/.test(kind.type)) return null;
    const length = kind.keyable ? '' : '(4)';
    return `KEY index_${i} (${q(name)}${length}${random.chance(0.3) ? ' DESC' : ''})`;
  });
  const number = columns.find(({ kind, counted }) => !counted && /INT/.test(kind.type));
  const functional =
    family === 'mysql' && number !== undefined && random.chance(0.1)
      ? [`KEY functional ((${q(number.name)} DIV 2))`]
      : [];
  return [...indexed.filter((sql) => sql !== null), ...functional];
}

/** Out of the server's own arithmetic; nobody writes them. */
function generatedColumns(random: SeededRandom, columns: RandomColumn[]): { sql: string; index: string | null }[] {
  // Not of a foreign key's column, which a cascade changes; not of a CHAR, whose padding depends on the sql_mode.
  const base = columns.find(
    ({ kind, counted, name }) => !counted && name !== 'parent_id' && /INT|^VARCHAR/.test(kind.type),
  );
  if (base === undefined || !random.chance(0.3)) return [];
  const expression = base.kind.counts ? `${q(base.name)} DIV 3` : `CHAR_LENGTH(${q(base.name)})`;
  const stored = random.chance(0.5) ? 'STORED' : 'VIRTUAL';
  const [other] = random.sample(
    columns.filter(({ kind }) => kind.keyable),
    1,
  );
  const index = random.weighted([
    [6, null],
    [3, 'KEY of_generated (g)'],
    [1, other === undefined ? null : `UNIQUE KEY of_generated (g, ${q(other.name)})`],
  ] as const);
  return [{ sql: `g BIGINT GENERATED ALWAYS AS (${expression}) ${stored}`, index }];
}

/** What some rows do not keep. */
function checks(random: SeededRandom, columns: RandomColumn[]): string[] {
  const column = columns.find(({ kind, counted }) => !counted && /INT|^VARCHAR/.test(kind.type));
  if (column === undefined || !random.chance(0.15)) return [];
  const name = q(column.name);
  return [`CONSTRAINT CHECK (${/INT/.test(column.kind.type) ? `${name} % 10 <> 7` : `CHAR_LENGTH(${name}) <> 3`})`];
}

function isReferable({ key, partitioned, engine }: Pick<RandomTable, 'key' | 'partitioned' | 'engine'>): boolean {
  return !partitioned && engine === 'InnoDB' && key.length === 1;
}

function foreignKeySql(
  random: SeededRandom,
  name: string,
  [parent, key]: [table: string, column: string],
  { family, cascades }: { family: Family; cascades: boolean },
): string {
  const rule = () =>
    random.pick(cascades ? ['RESTRICT', 'CASCADE', 'SET NULL', 'NO ACTION'] : ['RESTRICT', 'NO ACTION']);
  // FOREIGN_KEY_TO_ITSELF
  const onDelete = name === parent && family === 'mariadb' && cascades ? 'SET NULL' : rule();
  return `CONSTRAINT ${q(`fk_${name}`)} FOREIGN KEY (parent_id) REFERENCES ${q(parent)} (${q(key)}) ON DELETE ${onDelete} ON UPDATE ${rule()}`;
}
