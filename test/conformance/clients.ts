import path from 'node:path';
import { serverBinary } from '../../servers/installation.ts';
import type { CommandLine, ConformanceClient } from './client.ts';

const PROGRAMS = path.join(import.meta.dirname, 'programs');
const RSA_KEY = '--get-server-public-key';
/** Steps in which mysql2 parses JSON columns of MariaDB by itself on a direct connection. */
const JSON_AS_TEXT: Readonly<Record<string, RegExp>> = {
  mysql2: /^(?:text|prepared) types: /,
  mariadb: /^(?:text|prepared) types: /,
  sequelize: /^include: /,
  knex: /^select: /,
  drizzle: /^(?:select|prepared): /,
};
const JSON_WHY =
  'JSON columns of MariaDB are told by extended metadata, which MySQL does not have: a session that moves there could not keep it, so it is not offered';

/** MariaDB's accounts are mysql_native_password by default, which the clients of MySQL 9 no longer have. */
const NOT_ON_MARIADB = { mariadb: 'clients of MySQL 9 cannot log in to MariaDB' };

/** The clients that this project has anyway: the fast part, in `npm test`. */
export async function ownClients(): Promise<ConformanceClient[]> {
  const [mysql, mysqldump] = await Promise.all([serverBinary('mysql'), serverBinary('mysqldump')]);
  return [nodeClient('mysql2', PROGRAMS), ...mysqlPrograms('MySQL 9.7', mysql, mysqldump)];
}

/** All of them. `npmPrograms` is a copy of programs/ beside the packages of package.json. */
export async function allClients(npmPrograms: string): Promise<ConformanceClient[]> {
  const [mysql, mysqldump, mysqlslap] = await Promise.all([
    serverBinary('mysql'),
    serverBinary('mysqldump'),
    serverBinary('mysqlslap'),
  ]);
  const orms = ['mariadb', 'sequelize', 'knex', 'typeorm', 'drizzle', 'kysely', 'prisma'];
  return [
    nodeClient('mysql2', npmPrograms),
    ...orms.map((name) => nodeClient(name, npmPrograms)),
    ...mysqlPrograms('MySQL 9.7', mysql, mysqldump),
    slap('mysqlslap (MySQL 9.7)', mysqlslap),
    ...mariadbPrograms(),
    python('PyMySQL', 'pymysql', 'python3-pymysql'),
    python('mysqlclient', 'MySQLdb', 'python3-mysqldb'),
    php('mysqli', 'php-mysql'),
    php('pdo', 'php-mysql'),
    perl('DBD::mysql', 'mysql', 'libdbd-mysql-perl'),
    perl('DBD::MariaDB', 'MariaDB', 'libdbd-mariadb-perl'),
    {
      name: 'Ruby mysql2',
      from: 'ruby-mysql2',
      version: { command: 'ruby', args: ['-rmysql2', '-e', 'puts Mysql2::VERSION'] },
      program: { command: 'ruby', args: [path.join(PROGRAMS, 'mysql2.rb')] },
    },
    {
      name: 'go-sql-driver',
      from: 'Go module',
      version: {
        command: 'sh',
        // What has to be downloaded is, before the first run; the program's output would tell of it.
        args: [
          '-c',
          `cd '${path.join(PROGRAMS, 'go')}' && go mod download && go list -m github.com/go-sql-driver/mysql`,
        ],
      },
      program: { command: 'go', args: ['run', '-C', path.join(PROGRAMS, 'go'), '.'] },
    },
    {
      name: 'MariaDB Connector/J',
      from: 'libmariadb-java',
      version: { command: 'dpkg-query', args: ['-W', '-f', '${Version}', 'libmariadb-java'] },
      program: {
        command: 'java',
        args: ['-cp', '/usr/share/java/mariadb-java-client.jar', path.join(PROGRAMS, 'java', 'Smoke.java')],
      },
    },
    sysbench(),
  ];
}

function nodeClient(name: string, programs: string): ConformanceClient {
  const packageName = { drizzle: 'drizzle-orm', prisma: '@prisma/client' }[name] ?? name;
  const asText = JSON_AS_TEXT[name];
  return {
    name: `Node ${packageName}`,
    ...(asText === undefined ? {} : { exceptions: { mariadb: { lines: asText, why: JSON_WHY } } }),
    from: 'npm',
    version: {
      command: process.execPath,
      args: [
        '-p',
        `JSON.parse(require('fs').readFileSync(require('module').createRequire('${programs}/x').resolve.paths('x').map((p) => p + '/${packageName}/package.json').find(require('fs').existsSync))).version`,
      ],
    },
    program: {
      command: process.execPath,
      args: [path.join(programs, `${name}.mjs`)],
      environment: { PRISMA_CLIENT: path.join(programs, 'generated', 'index.js'), NODE_NO_WARNINGS: '1' },
    },
  };
}

/** `--ssl-mode` and RSA instead of TLS are MySQL's; MariaDB's clients have `--ssl`. */
function mysqlPrograms(name: string, mysql: string, mysqldump: string): ConformanceClient[] {
  const login = ['--no-defaults', ...LOGIN, RSA_KEY];
  const version = { command: mysql, args: ['--version'] };
  return [
    {
      name: `mysql (${name})`,
      from: 'the server’s package',
      version,
      program: script(mysql, login),
      excluded: NOT_ON_MARIADB,
    },
    {
      name: `mysql --compress (${name})`,
      from: 'the server’s package',
      version,
      program: script(mysql, [...login, '--compression-algorithms=zlib,zstd,uncompressed']),
      excluded: NOT_ON_MARIADB,
    },
    {
      name: `mysqldump (${name})`,
      from: 'the server’s package',
      version: { command: mysqldump, args: ['--version'] },
      program: {
        command: mysqldump,
        args: [
          ...login,
          '--single-transaction',
          '--routines',
          '--hex-blob',
          '--set-gtid-purged=OFF',
          '--no-tablespaces',
          '--skip-dump-date',
          '{database}',
        ],
      },
      excluded: NOT_ON_MARIADB,
    },
  ];
}

const LOGIN = ['--protocol=tcp', '--host={host}', '--port={port}', '--user={user}', '--password={password}'];

function script(command: string, login: string[]): CommandLine {
  return {
    command,
    args: [
      ...login,
      '--table',
      '--comments',
      '-vvv',
      '--force',
      '--default-character-set=utf8mb4',
      '--local-infile=1',
      '{database}',
    ],
    input: path.join(PROGRAMS, 'cli.sql'),
  };
}

function slap(name: string, command: string): ConformanceClient {
  return {
    name,
    from: 'the server’s package',
    version: { command, args: ['--version'] },
    excluded: NOT_ON_MARIADB,
    program: {
      command: 'sh',
      // Its durations differ; that it works is what counts.
      args: [
        '-c',
        `'${command}' --no-defaults --protocol=tcp --host={host} --port={port} --user={user} --password={password} ${RSA_KEY} --create-schema={database} --query='SELECT COUNT(*) FROM numbers; INSERT INTO params (n) VALUES (1)' --delimiter=';' --concurrency=8 --number-of-queries=400 2>&1 | grep -v -e seconds -e 'password on the command line'; echo done`,
      ],
    },
  };
}

function mariadbPrograms(): ConformanceClient[] {
  const login = ['--no-defaults', ...LOGIN];
  return [
    {
      name: 'mariadb (command line)',
      from: 'mariadb-client-core',
      version: { command: 'mariadb', args: ['--version'] },
      program: script('mariadb', login),
    },
    {
      name: 'mariadb-dump',
      from: 'mariadb-client',
      version: { command: 'mariadb-dump', args: ['--version'] },
      program: {
        command: 'mariadb-dump',
        args: [
          ...login,
          '--single-transaction',
          '--routines',
          '--hex-blob',
          '--no-tablespaces',
          '--skip-dump-date',
          '{database}',
        ],
      },
    },
    {
      name: 'mydumper',
      from: 'mydumper',
      version: { command: 'mydumper', args: ['--version'] },
      program: {
        command: 'sh',
        args: [
          '-c',
          'd=$(mktemp -d) && mydumper --no-locks --verbose=0 --host={host} --port={port} --user={user} --password={password} --database={database} --outputdir=$d --threads=2 2>/dev/null && cd $d && for f in $(ls | grep -v metadata); do echo "$f $(sort $f | sha256sum)"; done; rm -r $d',
        ],
      },
    },
  ];
}

function python(name: string, module: string, from: string): ConformanceClient {
  // Debian's interpreter has Debian's modules.
  const command = '/usr/bin/python3';
  const environment = { DB_MODULE: module };
  return {
    name: `Python ${name}`,
    from,
    version: { command, args: ['-c', `import ${module}; print(getattr(${module}, '__version__', ''))`] },
    program: { command, args: [path.join(PROGRAMS, 'dbapi.py')], environment },
  };
}

function php(program: 'mysqli' | 'pdo', from: string): ConformanceClient {
  return {
    name: `PHP ${program}`,
    from,
    version: { command: 'php', args: ['-r', `if (!extension_loaded('mysqli')) exit(1); echo phpversion('mysqlnd');`] },
    program: { command: 'php', args: ['-d', 'memory_limit=512M', path.join(PROGRAMS, `${program}.php`)] },
  };
}

function perl(name: string, module: string, from: string): ConformanceClient {
  return {
    name: `Perl ${name}`,
    from,
    version: { command: '/usr/bin/perl', args: [`-MDBD::${module}`, '-e', `print $DBD::${module}::VERSION`] },
    program: { command: '/usr/bin/perl', args: [path.join(PROGRAMS, 'dbi.pl')], environment: { DB_MODULE: module } },
    ...(module === 'MariaDB' ? { excludedTls: 'its TLS insists on a certificate of a known authority' } : {}),
  };
}

function sysbench(): ConformanceClient {
  const options =
    '--db-driver=mysql --mysql-host={host} --mysql-port={port} --mysql-user={user} --mysql-password={password} --mysql-db={database} --tables=2 --table-size=1000';
  return {
    name: 'sysbench',
    from: 'sysbench',
    version: { command: 'sysbench', args: ['--version'] },
    program: {
      command: 'sh',
      args: [
        '-c',
        `sysbench oltp_read_write ${options} prepare >/dev/null && sysbench oltp_read_write ${options} --threads=1 --events=200 --time=0 --rand-seed=7 run | grep -E 'read:|write:|other:|total:|transactions:|errors|reconnects' | sed 's/(.*//'`,
      ],
    },
  };
}
