import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CAPABILITY } from '../../core/wire/capabilities.ts';
import { COMMAND } from '../../core/wire/command.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { createAppSchema, direct } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { RawClient } from '../support/raw-client.ts';

/**
 * State that is set up by texts which are read in a way of their own: by sql_mode, by the client's character set, or by
 * nobody but the server. It is carried over, or the session stays.
 */
interface ReadingCase {
  name: string;
  /** Texts as latin1: every character one byte; or whole commands. */
  setUp: (string | Buffer)[];
  probe: (string | Buffer)[];
  collation?: number;
  /** Why it stays. */
  pin?: string;
}

const utf8 = (text: string) => Buffer.from(text).toString('latin1');
const OTHER_MEANING = 'a statement that was prepared under another character set or sql_mode';
const NO_ESCAPES = `SET sql_mode = 'NO_BACKSLASH_ESCAPES'`;
/** One character of gbk that ends in the byte of a backslash. */
const WIDE = '\x95\x5c';
const prepare = (sql: string) => Buffer.concat([Buffer.of(COMMAND.STMT_PREPARE), Buffer.from(sql, 'latin1')]);
const EXECUTE_FIRST = Buffer.of(COMMAND.STMT_EXECUTE, 1, 0, 0, 0, 0, 1, 0, 0, 0);

const CASES: ReadingCase[] = [
  {
    name: 'a variable behind a string that ends in a backslash',
    setUp: [NO_ESCAPES, String.raw`SET @path = 'C:\', @b = 7`],
    probe: ['SELECT @path, @b'],
  },
  {
    name: 'a lock behind such a string',
    setUp: [NO_ESCAPES, String.raw`SELECT 'C:\', GET_LOCK('behind', 0)`],
    probe: [],
    pin: 'user lock behind',
  },
  {
    name: 'a variable behind a character that ends in the byte of a backslash',
    setUp: ['SET NAMES gbk', `SET @wide = '${WIDE}', @b = 7`],
    probe: ['SELECT HEX(@wide), @b'],
  },
  {
    name: 'the same, by the character set of the login',
    setUp: [`SET @wide = '${WIDE}', @b = 7`],
    probe: ['SELECT HEX(@wide), @b'],
    collation: 28,
  },
  {
    name: 'a lock behind such a character',
    setUp: ['SET NAMES gbk', `SELECT '${WIDE}', GET_LOCK('wide', 0)`],
    probe: [],
    pin: 'user lock wide',
  },
  {
    name: 'names beyond ASCII',
    setUp: [utf8('SET @ü = 1, @ИМЯ = 2'), utf8(`PREPARE ü FROM 'SELECT 5'`)],
    probe: [utf8('SELECT @ü, @имя'), utf8('EXECUTE ü')],
  },
  {
    name: 'names in a character set that is not that of the login',
    setUp: ['SET NAMES utf8mb4', utf8('SET @äb = 1')],
    probe: [utf8('SELECT @äb')],
    collation: 8,
  },
  {
    name: 'names in a character set that was left since',
    setUp: [utf8('SET @äb = 1'), 'SET NAMES latin1'],
    probe: [],
    pin: 'user variables named in another character set',
  },
  {
    name: 'a number that was given out within a procedure',
    setUp: ['CALL add_one()'],
    probe: ['SELECT LAST_INSERT_ID() > 0'],
  },
  {
    name: 'LAST_INSERT_ID set by a statement of PREPARE',
    setUp: [`PREPARE s FROM 'SELECT LAST_INSERT_ID(5)'`, 'EXECUTE s'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'LAST_INSERT_ID set as a variable',
    setUp: ['SET @@last_insert_id = 17'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'LAST_INSERT_ID set by a function whose name is quoted',
    setUp: ['DO `LAST_INSERT_ID`(7)'],
    probe: ['SELECT LAST_INSERT_ID()'],
  },
  {
    name: 'a NULL that was a number',
    setUp: ['SET @n = CAST(NULL AS SIGNED), @s = CONVERT(NULL USING latin1)'],
    probe: [`SELECT IFNULL(@n, 5), CHARSET(@s)`],
  },
  {
    name: 'a rule for one transaction by a variable whose name is quoted',
    setUp: ['SET @@`transaction_read_only` = 1'],
    probe: ['INSERT INTO t (n) VALUES (1)'],
  },
  {
    name: 'a variable that a function sets within a SET',
    setUp: ['SET @a = set_f(3)'],
    probe: [],
    pin: 'session state changed inside a stored routine',
  },
  {
    name: 'PREPARE, in a character set that was left since',
    setUp: ['SET NAMES utf8mb4', utf8(`PREPARE s FROM 'SELECT ''é'''`), 'SET NAMES latin1'],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'PREPARE, with an escape that is none any more',
    setUp: [String.raw`PREPARE s FROM 'SELECT ''a\\nb'''`, NO_ESCAPES],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'PREPARE FROM a variable, with quotes that mean something else by now',
    setUp: [`SET @sql = 'SELECT "a"'`, 'PREPARE s FROM @sql', `SET sql_mode = 'ANSI_QUOTES'`],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'a binary statement with an operator that means something else by now',
    setUp: [`SET sql_mode = 'PIPES_AS_CONCAT'`, prepare(`SELECT 'a' || 'b'`), `SET sql_mode = ''`],
    probe: [],
    pin: OTHER_MEANING,
  },
  {
    name: 'and one that means the same',
    setUp: [prepare(`SELECT 'a', 5`), `SET sql_mode = 'ANSI_QUOTES'`, 'SET NAMES latin1'],
    probe: [EXECUTE_FIRST],
  },
  {
    name: 'a mode that was left and came back',
    setUp: [
      `SET sql_mode = 'PIPES_AS_CONCAT'`,
      prepare(`SELECT 'a' || 'b'`),
      `SET sql_mode = ''`,
      `SET sql_mode = 'PIPES_AS_CONCAT,NO_ZERO_DATE'`,
    ],
    probe: [EXECUTE_FIRST],
  },
  {
    name: 'a clock set by an expression: whether it stands still is not told',
    setUp: ['SET @zero = 0', 'SET timestamp = @zero'],
    probe: [],
    pin: 'timestamp set by an expression',
  },
  {
    name: 'a number for the next INSERT',
    setUp: ['SET insert_id = 777'],
    probe: [],
    pin: 'a value for the next statement: insert_id',
  },
  {
    name: 'a role set in a text of which another statement failed',
    setUp: ['SET ROLE NONE; SELECT * FROM missing'],
    probe: [],
    pin: 'one of several statements failed, another one of them may have changed the session',
  },
];

let servers: Awaited<ReturnType<typeof startServerPair>>;
let target: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  servers = await startServerPair();
  target = servers.target;
  for (const server of [servers.source, target]) {
    await createAppSchema(server);
    await using root = await direct(server, { multipleStatements: true });
    await root.query(`CREATE ROLE reader; GRANT reader TO app@'%'; SET DEFAULT ROLE reader TO app@'%'`);
    await root.query(`GRANT SESSION_VARIABLES_ADMIN ON *.* TO app@'%'`);
    await root.query('CREATE PROCEDURE app.add_one() INSERT INTO app.t (n) VALUES (1)');
    await root.query(`SET GLOBAL log_bin_trust_function_creators = 1`);
    await root.query('CREATE FUNCTION app.set_f(v INT) RETURNS INT NO SQL BEGIN SET @f = v; RETURN v; END');
    // Where nothing is carried over, the procedure has been called by somebody else.
    await root.query('CALL app.add_one()');
  }
  proxy = await ProxyHarness.start({ source: servers.source, target });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await servers?.[Symbol.asyncDispose]();
});

async function setUpOn(port: number, { setUp, collation }: ReadingCase): Promise<RawClient> {
  const capabilities = [CAPABILITY.DEPRECATE_EOF, CAPABILITY.MULTI_STATEMENTS];
  const session = await RawClient.open(port, { capabilities, ...(collation === undefined ? {} : { collation }) });
  for (const text of setUp) await session.ask(commandOf(text));
  return session;
}

function commandOf(text: string | Buffer): Buffer {
  return typeof text === 'string' ? Buffer.concat([Buffer.of(COMMAND.QUERY), Buffer.from(text, 'latin1')]) : text;
}

test.each(CASES.filter(({ pin }) => pin !== undefined))('$name: stays', async (staying) => {
  await using _session = await setUpOn(proxy.port, staying);
  expect((await proxy.sessions()).map(({ pins }) => pins)).toEqual([[staying.pin]]);
});

describe('moves', () => {
  const moving = CASES.filter(({ pin }) => pin === undefined);
  const moved: RawClient[] = [];
  const stayed: RawClient[] = [];

  beforeAll(async () => {
    for (const one of moving) {
      moved.push(await setUpOn(proxy.port, one));
      stayed.push(await setUpOn(target.port, one));
    }
    await proxy.switchTo('target', { prepare: false });
  });

  afterAll(async () => {
    for (const session of [...moved, ...stayed]) await session[Symbol.asyncDispose]();
  });

  for (const [index, { name, probe }] of moving.entries()) {
    test(name, async () => {
      for (const text of probe) {
        const expected = await stayed[index]?.ask(commandOf(text));
        expect([text, await moved[index]?.ask(commandOf(text))]).toEqual([text, expected]);
      }
    });
  }
});
