/**
 * The entry of every npm script. Plain JavaScript for any supported Node, since it is what brings the rest: installs the
 * dependencies where they are missing or not those of the lock file, finds Node 24 among them, and runs the command with
 * it. So `git clone` and `npm test` are enough.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = path.join(root, 'node_modules');
const unit = ['vitest', 'run', '--project', 'unit'];

/** Each a list of command lines; arguments of the caller go to the last one. The first failure ends the list. */
const COMMANDS = {
  start: [['node', 'main.ts', 'serve']],
  test: [['vitest', 'run', '--project', 'unit', '--project', 'servers']],
  'test:long': [['vitest', 'run', '--project', 'long']],
  'test:unit': [unit],
  demo: [['node', 'demo/run.ts']],
  bench: [['node', 'bench/run.ts']],
  conformance: [['node', 'test/conformance/run.ts']],
  fuzz: [['node', '--expose-gc', 'test/fuzz/run.ts']],
  soak: [['node', 'test/property/soak.ts']],
  format: [['oxfmt', '.']],
  docs: [['node', 'scripts/generate-docs.ts']],
  check: [
    ['oxfmt', '--check', '.'],
    ['oxlint', '--type-aware'],
    ['tsc'],
    ['knip'],
    ['node', 'scripts/generate-docs.ts', '--check'],
    unit,
  ],
};

const [name = '', ...args] = process.argv.slice(2);
const commands = COMMANDS[name];
if (commands === undefined) fail(`usage: node scripts/run.mjs ${Object.keys(COMMANDS).join('|')}`, 2);

// Not `npm ci`: it refuses a lock file that lacks the binaries of other platforms, and a registry that keeps new versions
// back for a while makes just such lock files.
if (!installed()) npm(['install', '--no-audit', '--no-fund']);
const node = node24() ?? fetchNode24();
const folders = [path.dirname(node), path.join(modules, '.bin'), process.env.PATH];
const env = { ...process.env, PATH: folders.join(path.delimiter) };

for (const [index, [program, ...rest]] of commands.entries()) {
  const isLast = index === commands.length - 1;
  const code = await run(program === 'node' ? node : path.join(modules, '.bin', program), [
    ...rest,
    ...(isLast ? args : []),
  ]);
  if (code !== 0) process.exit(code);
}

/** Whether what is installed is what the lock file says; optional packages may be absent (other systems'). */
function installed() {
  const lock = readPackages(path.join(root, 'package-lock.json'));
  const present = readPackages(path.join(modules, '.package-lock.json'));
  if (lock === undefined || present === undefined) return false;
  return Object.entries(lock).every(
    ([folder, wanted]) =>
      folder === '' ||
      present[folder]?.version === wanted.version ||
      (wanted.optional && present[folder] === undefined),
  );
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined;
}

/** The Node 24 that came with the dependencies, else the one that runs this, when it is 24 or later. */
function node24() {
  const candidates = ['node', platformPackage()].map((name) => path.join(modules, name, 'bin', 'node'));
  const major = Number(process.versions.node.split('.')[0]);
  return candidates.find(worksAs24) ?? (major >= 24 ? process.execPath : undefined);
}

/** The package that holds the binary itself, for where install scripts are not allowed to put it in place. */
function fetchNode24() {
  const { version } = readPackages(path.join(root, 'package-lock.json'))['node_modules/node'];
  npm(['install', '--no-save', '--no-audit', '--no-fund', `${platformPackage()}@${version}`]);
  return node24() ?? fail(`Node 24 could not be installed; put it on the PATH and try again`, 1);
}

function platformPackage() {
  return `node-${process.platform}-${process.arch}`;
}

function worksAs24(file) {
  if (!existsSync(file)) return false;
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' });
  return (stdout ?? '').startsWith('v24.');
}

function npm(args) {
  // npm tells its own path to the scripts that it runs; without it, the npm on the PATH is taken.
  const cli = process.env.npm_execpath;
  const [command, first] = cli === undefined ? ['npm', []] : [process.execPath, [cli]];
  console.error(`npm ${args.join(' ')}`);
  const { status } = spawnSync(command, [...first, ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail('the dependencies could not be installed', status ?? 1);
}

function run(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, env, stdio: 'inherit' });
    // Ctrl-C reaches the child by itself; this process waits for it to finish in its own way.
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.on('error', (error) => fail(error.message, 1));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function fail(message, code) {
  console.error(message);
  process.exit(code);
}
