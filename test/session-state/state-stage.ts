import type { RowDataPacket } from 'mysql2/promise';
import type { Side } from '../../core/phase.ts';
import type { Flavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { withinTime } from '../fuzz/within-time.ts';
import { createAppSchema, direct } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { variablesQuestion } from './question-battery.ts';
import type { SessionCase } from './session-case.ts';

/** Sessions that move at the same time, each in a schema of its own. */
export const PLACES = 12;

export const schemaAt = (place: number) => `place${place}`;

/** Two servers with the same in them, of one flavor or not, and a proxy in front. */
export class StateStage implements AsyncDisposable {
  readonly onMariaDb: boolean;
  /** From MariaDB to MySQL. */
  readonly isMixed: boolean;
  readonly source: RunningServer;
  readonly target: RunningServer;
  readonly proxy: ProxyHarness;
  readonly variables: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    servers: { source: RunningServer; target: RunningServer; proxy: ProxyHarness; variables: string },
    resources: AsyncDisposableStack,
  ) {
    this.source = servers.source;
    this.target = servers.target;
    this.proxy = servers.proxy;
    this.variables = servers.variables;
    this.onMariaDb = isMariaDb(servers.source);
    this.isMixed = this.onMariaDb !== isMariaDb(servers.target);
    this.#resources = resources;
  }

  static async start(from: Flavor, to = from): Promise<StateStage> {
    await using resources = new AsyncDisposableStack();
    const { source, target } = resources.use(await startServerPair(from, to));
    await Promise.all([source, target].map(createPlaces));
    const proxy = resources.use(await ProxyHarness.start({ source, target }));
    const variables = variablesQuestion(await commonVariables(source, target));
    return new StateStage({ source, target, proxy, variables }, resources.move());
  }

  server(side: Side): RunningServer {
    return side === 'source' ? this.source : this.target;
  }

  /** Where sessions move to next. */
  get otherSide(): Side {
    return this.proxy.record.primary === 'source' ? 'target' : 'source';
  }

  /** Between flavors one way alone is tried. */
  async goBack(): Promise<void> {
    if (this.isMixed && this.otherSide === 'source') await this.proxy.switchTo('source', { prepare: false });
  }

  /** The tables as at the start, on both servers, for `cases` at their places. */
  async reset(cases: readonly SessionCase[]): Promise<void> {
    const texts = cases.flatMap(({ before, after }, place) => {
      const said = JSON.stringify([before, after]);
      const schema = schemaAt(place);
      const touched = [
        ...(said.includes('numbered') || said.includes('number_one') ? [`TRUNCATE ${schema}.numbered`] : []),
        ...(said.includes('_gone') ? [`DROP DATABASE IF EXISTS ${schema}_gone`] : []),
        ...(said.includes('changing')
          ? [`DROP TABLE IF EXISTS ${schema}.changing`, `CREATE TABLE ${schema}.changing (n INT)`]
          : []),
      ];
      // MariaDB without checks locks a table that is empty as a whole.
      const written = [`${schema}.w`, `${schema}_other.w`].flatMap((table) => [
        `DELETE FROM ${table}`,
        `INSERT INTO ${table} VALUES (0)`,
      ]);
      return [...written, ...touched];
    });
    await Promise.all(
      [this.source, this.target].map(async (server) => {
        await using root = await direct(server, { multipleStatements: true });
        await withinTime(root.query(texts.join('; ')), 'the reset of the tables');
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources[Symbol.asyncDispose]();
  }
}

function isMariaDb({ flavor }: RunningServer): boolean {
  return flavor.startsWith('mariadb');
}

/** Those that are the same in fresh sessions of both; MariaDB 11 takes a login's collation for the default one. Another flavor's defaults are not the session's, and do not come with it. */
async function commonVariables(source: RunningServer, target: RunningServer): Promise<string[]> {
  const isMixed = isMariaDb(source) !== isMariaDb(target);
  const [first, second] = await Promise.all(
    [source, target].map(async (server) => {
      await using connection = await direct(server);
      const [rows] = await connection.query<RowDataPacket[]>('SHOW SESSION VARIABLES');
      return new Map(rows.map(({ Variable_name: name, Value: value }) => [String(name), String(value)]));
    }),
  );
  return [...(first ?? [])]
    .filter(([name, value]) =>
      isMixed ? second?.has(name) && !name.startsWith('collation_') : second?.get(name) === value,
    )
    .map(([name]) => name);
}

async function createPlaces(server: RunningServer): Promise<void> {
  await createAppSchema(server);
  await using root = await direct(server, { multipleStatements: true });
  await root.query('SET GLOBAL lock_wait_timeout = 3; SET GLOBAL innodb_lock_wait_timeout = 3');
  await root.query(`CREATE ROLE reader; GRANT reader TO app@'%'; SET GLOBAL log_bin_trust_function_creators = 1`);
  const onMariaDb = isMariaDb(server);
  await root.query(onMariaDb ? `SET DEFAULT ROLE reader FOR app@'%'` : `SET DEFAULT ROLE reader TO app@'%'`);
  await root.query(TIME_ZONE.join('; '));
  if (onMariaDb) await root.query(`GRANT SUPER, BINLOG ADMIN, BINLOG REPLAY ON *.* TO app@'%'`);
  else {
    await root.query(
      `GRANT SESSION_VARIABLES_ADMIN ON *.* TO app@'%'; GRANT SELECT ON performance_schema.* TO app@'%'`,
    );
  }
  for (let place = 0; place < PLACES; place += 1) {
    const schema = schemaAt(place);
    await root.query(
      `CREATE DATABASE ${schema}; CREATE DATABASE ${schema}_other; GRANT ALL ON \`${schema}%\`.* TO app@'%'; USE ${schema}; ${CONTENTS.join('; ')}`,
    );
    await root.query(`USE ${schema}_other; ${CONTENTS.slice(0, 5).join('; ')}`);
  }
}

/** One that is known by its name: two hours ahead. */
const TIME_ZONE = [
  `INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (4242, 'N')`,
  `INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('Fuzz/Zone', 4242)`,
  `INSERT INTO mysql.time_zone_transition_type VALUES (4242, 0, 7200, 0, 'FZ')`,
];

const CONTENTS = [
  'CREATE TABLE w (n INT)',
  'CREATE TABLE numbered (id INT PRIMARY KEY AUTO_INCREMENT, n INT)',
  'CREATE TABLE three (n INT PRIMARY KEY)',
  'INSERT INTO three VALUES (1), (2), (3)',
  'CREATE TABLE changing (n INT)',
  'CREATE PROCEDURE set_p(v INT) SET @p = v',
  'CREATE PROCEDURE give_out(OUT v INT) SELECT 7 INTO v',
  `CREATE PROCEDURE set_modes() SET sql_mode = 'ANSI_QUOTES', sort_buffer_size = 44444`,
  'CREATE PROCEDURE go_elsewhere() BEGIN SET @p = DATABASE(); SET SESSION group_concat_max_len = 77; END',
  'CREATE PROCEDURE number_one() INSERT INTO numbered (n) VALUES (1)',
  'CREATE PROCEDURE fails_late() BEGIN SET @f = 66; SET div_precision_increment = 2; SELECT * FROM missing; END',
  'CREATE PROCEDURE leave_temporary() CREATE TEMPORARY TABLE tmp (a INT)',
  'CREATE FUNCTION set_f(v INT) RETURNS INT NO SQL BEGIN SET @f = v; RETURN v; END',
];
