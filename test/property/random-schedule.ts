import { FLAVOR_SPECS, type Flavor } from '../../servers/flavor.ts';
import type { Family } from './column-kinds.ts';
import { randomDdl } from './random-ddl.ts';
import { oddSession } from './random-odd-session.ts';
import { codeOf } from './random-rare-statements.ts';
import { randomTable, type RandomTable } from './random-table.ts';
import { insert, randomTransaction } from './random-transaction.ts';
import type { BasicStep, Schedule, Step, Transaction } from './schedule.ts';
import { SeededRandom } from './seeded-random.ts';

export interface ScheduleOptions {
  source: Flavor;
  /** Left out: drawn. */
  writersThrough?: Schedule['writersThrough'];
  /** XA transactions among the others. Left out: yes. */
  xa?: boolean;
  /**
   * DDL at any time, however far the stream is behind, also while rows are copied. Otherwise the stream is waited for before and
   * after. Left out: of a MySQL source (MariaDB: limits.md).
   */
  freeDdl?: boolean;
  /** Left out: drawn. */
  reverse?: Schedule['options']['reverse'];
  /** Fewer faults, less data. */
  quick?: boolean;
}

/** The same seed and options make the same schedule. */
export function randomSchedule(
  seed: number,
  { source, writersThrough, quick = false, ...options }: ScheduleOptions,
): Schedule {
  const random = new SeededRandom(seed);
  const { family } = FLAVOR_SPECS[source];
  const { xa = true, freeDdl = family === 'mysql' } = options;
  const [forTables, forWriters, forSteps, forLog] = [random.fork(), random.fork(), random.fork(), random.fork()];
  const forMore = random.fork();
  const isMixed = options.reverse === undefined || options.reverse === 'off' ? random.chance(0.15) : false;
  // Nothing can be written back to a table without transactions.
  const reverse = isMixed ? 'off' : (options.reverse ?? random.pick(['from_switch', 'from_switch', 'always'] as const));
  const through = isMixed ? 'server' : (writersThrough ?? random.pick(['server', 'server', 'proxy'] as const));
  // What testers write beside DDL has limits of its own.
  const ddl = random.chance(0.5) && reverse !== 'always';
  const policy = ddl && forMore.chance(0.65) ? 'EXEC' : 'STOP';
  const tables: RandomTable[] = [];
  for (let i = 0; i < forTables.int(3, quick ? 5 : 9); i += 1) {
    const name = i === 1 ? 'weird tåble' : `t${i}`;
    // REVERSE_ALWAYS_IMPOSSIBLE
    const cascades = reverse !== 'always';
    tables.push(randomTable(forTables, name, { family, parents: [...tables], isMixed, cascades }));
  }
  // Its own replication need not follow everything else.
  const fromReplica = !isMixed && forMore.chance(quick ? 0 : 0.15);
  const prepares = forWriters.chance(0.3) && xa;
  return {
    seed,
    source,
    writersThrough: through,
    quietCopy:
      family === 'mariadb' && tables.some(({ createSql }) => /ON (DELETE|UPDATE) (CASCADE|SET NULL)/.test(createSql)),
    fromReplica,
    options: {
      connections: random.int(1, 4),
      chunkBytes: random.pick([2048, 8192, 65_536, 16 * 1024 * 1024]),
      deferIndexes: random.chance(0.7),
      ddl: policy,
      fence: random.pick(['auto', 'read_only', 'triggers', 'accounts', 'lock_tables'] as const),
      reverse,
    },
    mayStop: isMixed ? ['STREAM_MIXED_ENGINES', 'DDL_ENGINE_NOT_TRANSACTIONAL'] : [],
    settings: logSettings(forLog, family),
    tables: tables.map((table) => ({
      name: table.name,
      statements: [
        ...table.session,
        table.createSql,
        ...triggers(forTables, table, family),
        ...(forTables.chance(0.3) ? codeOf(table) : []),
        ...forTables.times(forTables.int(0, 8), () =>
          insert(forTables, table, { verb: 'INSERT IGNORE INTO', rows: forTables.int(5, 60) }),
        ),
      ],
    })),
    writers: forWriters.times(forWriters.int(2, quick ? 4 : 7), () => ({
      session: session(forWriters, family),
      pauseMs: forWriters.pick([1, 3, 10, 30]),
      transactions: forWriters.times(forWriters.int(20, quick ? 80 : 200), () =>
        randomTransaction(forWriters, tables, { prepares, family }),
      ),
      // What is written on a replica stays there.
      endpoint: through === 'proxy' && forWriters.chance(0.2) && !fromReplica ? 'replica' : 'primary',
      prepared: forWriters.chance(0.25),
    })),
    testers: forMore.times(reverse === 'always' ? forMore.int(1, 2) : 0, () => ({
      session: session(forMore, 'mysql'),
      // Conflicts are judged one by one; what is written faster than that is waited for for ever.
      pauseMs: forMore.pick([100, 300, 1000]),
      transactions: forMore.times(forMore.int(20, quick ? 80 : 200), () =>
        testerTransaction(forMore, tables, prepares),
      ),
      endpoint: 'primary',
      prepared: false,
    })),
    steps: steps(forSteps, { through, family, ddl, applied: policy === 'STOP', freeDdl, fromReplica, tables, quick })
      // Behind it a table without transactions and the log need not tell the same.
      .map((step) => (isMixed && step.kind === 'crash' ? { kind: 'restart', side: step.side } : step)),
  };
}

/** Many do nothing but count: whatever writers write too seldom stays. */
function testerTransaction(random: SeededRandom, tables: readonly RandomTable[], prepares: boolean): Transaction {
  const transaction = randomTransaction(random, tables, { prepares, family: 'mysql' });
  return random.chance(0.5) ? transaction : { ...transaction, begin: 'begin', statements: [] };
}

/** Every one of them each time: servers are used again. */
function logSettings(random: SeededRandom, family: Family): string[] {
  const settings: (readonly [name: string, values: readonly string[]])[] = [
    ['max_binlog_size', ['1073741824', '1073741824', '65536']],
    ['binlog_checksum', ['CRC32', 'CRC32', 'CRC32', 'NONE']],
    ['local_infile', ['ON']],
    ['time_zone', ["'SYSTEM'", "'+03:00'"]],
    ...(family === 'mysql'
      ? ([
          ['binlog_row_metadata', ['FULL', 'MINIMAL']],
          ['binlog_transaction_compression', ['OFF', 'OFF', 'ON']],
          ['binlog_rows_query_log_events', ['OFF', 'ON']],
        ] as const)
      : ([
          ['binlog_row_metadata', ['FULL', 'MINIMAL', 'NO_LOG']],
          ['log_bin_compress', ['OFF', 'ON']],
          ['log_bin_compress_min_len', ['256', '10']],
          ['binlog_annotate_row_events', ['ON', 'OFF']],
          ['binlog_alter_two_phase', ['OFF', 'ON']],
        ] as const)),
  ];
  return settings.map(([name, values]) => `SET GLOBAL ${name} = ${random.pick(values)}`);
}

/** What they do is in the log; they go with the primary. */
function triggers(
  random: SeededRandom,
  { name, columns, key, unique, createSql }: RandomTable,
  family: Family,
): string[] {
  // MariaDB does not always compute a STORED column anew of what a trigger sets (limits.md).
  const isBase = (column: string) =>
    family === 'mariadb' && new RegExp(`GENERATED ALWAYS AS \\([^)]*\`${column}\``).test(createSql);
  const column = columns.find(
    (one) =>
      one.nullable && !key.includes(one) && !unique.includes(one) && one.name !== 'parent_id' && !isBase(one.name),
  );
  if (column === undefined || !random.chance(0.08)) return [];
  const event = random.pick(['INSERT', 'UPDATE']);
  return [
    `CREATE TRIGGER \`of ${name}\` BEFORE ${event} ON \`${name}\` FOR EACH ROW SET NEW.\`${column.name}\` = COALESCE(NEW.\`${column.name}\`, ${column.kind.value(random)})`,
  ];
}

/** As applications of many kinds set up their sessions. */
function session(random: SeededRandom, family: 'mysql' | 'mariadb'): string[] {
  const settings = ['innodb_lock_wait_timeout=2'];
  if (random.chance(0.5)) {
    const modes = ['', 'ALLOW_INVALID_DATES', 'STRICT_ALL_TABLES', 'NO_AUTO_VALUE_ON_ZERO', 'ANSI_QUOTES,NO_ZERO_DATE'];
    settings.push(`sql_mode='${random.pick(modes)}'`);
  }
  if (random.chance(0.5)) settings.push(`time_zone='${random.pick(['+00:00', '-07:00', '+05:45', '+13:00'])}'`);
  if (random.chance(0.15)) settings.push('foreign_key_checks=0');
  if (random.chance(0.3))
    settings.push(`transaction_isolation='${random.pick(['READ-COMMITTED', 'SERIALIZABLE', 'READ-UNCOMMITTED'])}'`);
  if (family === 'mysql' && random.chance(0.25)) settings.push('binlog_transaction_compression=ON');
  if (family === 'mysql' && random.chance(0.1)) settings.push('binlog_rows_query_log_events=ON');
  return settings
    .map((setting) => (family === 'mariadb' ? setting.replace('transaction_isolation', 'tx_isolation') : setting))
    .map((setting) => `SET SESSION ${setting}`);
}

interface StepOptions {
  through: Schedule['writersThrough'];
  family: Family;
  ddl: boolean;
  /** See `DdlOptions`. */
  applied: boolean;
  freeDdl: boolean;
  fromReplica: boolean;
  tables: readonly RandomTable[];
  quick: boolean;
}

/** Of one schedule: numbers are given out once. */
class Strays {
  #next = 1;

  some(random: SeededRandom): BasicStep {
    const count = random.int(1, 12);
    const from = this.#next;
    this.#next += count;
    return { kind: 'stray', from, count };
  }
}

function steps(random: SeededRandom, options: StepOptions): Step[] {
  const { through, ddl, freeDdl, fromReplica, quick } = options;
  const during: Step[] = faults(random, random.int(0, quick ? 1 : 3), 1200);
  if (fromReplica) during.push(...random.times(random.int(1, 3), () => troubledReplica(random)));
  if (ddl && freeDdl && !fromReplica && random.chance(0.3))
    during.push(...change(random, { ...options, duringCopy: true }));
  const strays = new Strays();
  const after = random.times(random.int(quick ? 1 : 2, quick ? 3 : 7), () => {
    const what = random.weighted([
      [8, 'fault'],
      [1, 'verify'],
      [ddl ? 8 : 0, 'ddl'],
      [through === 'proxy' ? 4 : 0, 'switch'],
    ] as const);
    switch (what) {
      case 'fault':
        return faults(random, 1, 1500);
      case 'verify':
        return [{ kind: 'verify' } as const];
      case 'ddl':
        return change(random, { ...options, duringCopy: false });
      case 'switch':
        return thereAndBack(random, options, strays);
      default:
        throw new Error(`no such step: ${String(what satisfies never)}`);
    }
  });
  // Last: it may stop the import.
  const odd = random.chance(0.3) ? [oddSession(random, options.tables, options.family)] : [];
  return [...during, { kind: 'running' }, ...after.flat(), ...odd, wait(random, 500)];
}

/** What goes on while the target is primary; now and then it stays. */
function thereAndBack(random: SeededRandom, options: StepOptions, strays: Strays): Step[] {
  const switched = (back: boolean, what: 'primaries' | 'replicas' = 'primaries'): Step => ({
    kind: 'switch',
    what,
    back,
    force: random.chance(0.8),
    during: random.chance(0.4)
      ? { afterMs: random.int(0, 400), step: random.chance(0.3) ? strays.some(random) : fault(random) }
      : null,
  });
  const meanwhile = random.times(random.int(0, options.quick ? 2 : 5), (): Step[] => {
    const what = random.weighted([
      [4, 'fault'],
      [3, 'stray'],
      [1, 'apply'],
      [2, 'verify'],
      [options.ddl ? 3 : 0, 'ddl'],
      [1, 'replicas'],
    ] as const);
    switch (what) {
      case 'fault':
        return faults(random, 1, 1000);
      case 'replicas':
        return [switched(random.chance(0.4), 'replicas')];
      case 'stray':
        return [strays.some(random)];
      case 'apply':
        return [{ kind: 'apply_strays' }];
      case 'verify':
        return [{ kind: 'verify' }];
      case 'ddl':
        return change(random, { ...options, duringCopy: false });
      default:
        throw new Error(`no such step: ${String(what satisfies never)}`);
    }
  });
  const replicas = (back: boolean) => (random.chance(0.3) ? [switched(back, 'replicas'), wait(random, 500)] : []);
  return [
    ...replicas(false),
    switched(false),
    ...meanwhile.flat(),
    ...(random.chance(0.85) ? [switched(true), ...replicas(true)] : []),
  ];
}

function faults(random: SeededRandom, count: number, waitMaxMs: number): BasicStep[] {
  return random.times(count, () => [wait(random, waitMaxMs), fault(random)]).flat();
}

/** One statement or a few, and now and then a fault right behind them. */
function change(random: SeededRandom, options: StepOptions & { duringCopy: boolean }): Step[] {
  const { session, sql, mayStop, movesColumns } = randomDdl(random, options);
  const broken = () => (random.chance(0.3) ? [fault(random)] : []);
  if (options.freeDdl) {
    // Behind a switch, what is read later as the table is then (limits.md).
    const before: Step[] = movesColumns && options.through === 'proxy' ? [{ kind: 'caught_up' }] : [];
    return [...before, { kind: 'ddl', session, sql, mayStop }, ...broken()];
  }
  const each = sql.flatMap((one): Step[] => [
    { kind: 'ddl', session, sql: [one], mayStop },
    ...broken(),
    { kind: 'caught_up' },
  ]);
  return [{ kind: 'caught_up' }, ...each];
}

function troubledReplica(random: SeededRandom): BasicStep {
  return {
    kind: 'replica',
    how: random.pick(['behind', 'behind', 'restart', 'crash'] as const),
    ms: random.int(100, 3000),
  };
}

function wait(random: SeededRandom, maxMs: number): BasicStep {
  return { kind: 'wait', ms: random.int(0, maxMs) };
}

function fault(random: SeededRandom): BasicStep {
  const side = random.pick(['source', 'target'] as const);
  const kind = random.weighted([
    [6, 'kill_engine'],
    [1, 'kill_everything'],
    [1, 'kill_proxy'],
    [1, 'kill_supervisor'],
    [1, 'replace'],
    [4, 'cut'],
    [3, 'kill_sessions'],
    [2, 'rotate'],
    [2, 'stall'],
    [2, 'refuse'],
    [1, 'restart'],
    [1, 'crash'],
  ] as const);
  switch (kind) {
    case 'kill_engine':
    case 'kill_proxy':
    case 'kill_supervisor':
    case 'kill_everything':
    case 'replace':
      return { kind };
    case 'stall':
    case 'refuse':
      return { kind, side, ms: random.int(50, 2500) };
    case 'cut':
      return { kind, side, how: random.pick(['fin', 'reset'] as const) };
    case 'kill_sessions':
    case 'rotate':
    case 'restart':
    case 'crash':
      return { kind, side };
    default:
      throw new Error(`no such fault: ${String(kind satisfies never)}`);
  }
}
