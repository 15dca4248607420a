/** `npm run conformance`: every client that is there, with and without TLS, on MySQL and MariaDB. See README.md. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cacheFolder } from '../../servers/cache-folder.ts';
import { FLAVOR_SPECS, type Flavor } from '../../servers/flavor.ts';
import { runCommand } from '../../servers/run-command.ts';
import { checkClient, type ClientResult } from './check-client.ts';
import { allClients } from './clients.ts';
import type { CompatibilityRow } from './compatibility.ts';
import { ConformanceStage } from './stage.ts';

const { values } = parseArgs({
  options: { server: { type: 'string', multiple: true }, client: { type: 'string' }, write: { type: 'boolean' } },
});
const flavors = (values.server ?? ['mysql-9.7', 'mariadb-11.8']) as Flavor[];
const programs = await installNpmClients();
const clients = (await allClients(programs)).filter(({ name }) => name.includes(values.client ?? ''));
const results: Record<string, ClientResult[]> = {};
for (const flavor of flavors) results[flavor] = await runAll(flavor);
const all = Object.values(results).flat();
const count = (verdict: ClientResult['verdict']) => all.filter((result) => result.verdict === verdict).length;
console.log(
  `\n${count('equal')} equal, ${count('equal but for')} equal but for what is said, ${count('different')} different, ${count('broken')} broken, ${count('absent')} absent, ${count('excluded')} excluded`,
);
if (values.write === true) {
  await writeFile(path.join(import.meta.dirname, 'results.json'), `${JSON.stringify(summary(results), null, 2)}\n`);
}
process.exitCode = count('different') + count('broken') > 0 || count('equal') === 0 ? 1 : 0;

async function runAll(flavor: Flavor): Promise<ClientResult[]> {
  console.log(`\n${flavor}`);
  await using stage = await ConformanceStage.start(flavor);
  const found: ClientResult[] = [];
  for (const client of clients) {
    for (const tls of [true, false]) {
      const result = await checkClient(stage, client, { family: FLAVOR_SPECS[flavor].family, tls });
      found.push(result);
      console.log(
        `  ${result.verdict.padEnd(13)} ${client.name} ${result.version}${tls ? ', TLS' : ''} (${result.lines} lines)`,
      );
      for (const line of result.details) console.log(`                ${line}`);
    }
  }
  return found;
}

/** The packages of package.json, in the cache, with a copy of the programs beside them, where they find them. */
async function installNpmClients(): Promise<string> {
  const folder = path.join(path.dirname(cacheFolder()), 'conformance');
  const manifest = path.join(import.meta.dirname, 'package.json');
  await mkdir(folder, { recursive: true });
  const wanted = await readFile(manifest, 'utf8');
  const installed = path.join(folder, 'package.json');
  const isInstalled =
    existsSync(path.join(folder, 'installed')) && (await readFile(installed, 'utf8').catch(() => '')) === wanted;
  const copy = path.join(folder, 'programs');
  await cp(path.join(import.meta.dirname, 'programs'), copy, { recursive: true });
  if (!isInstalled) {
    await cp(manifest, installed);
    // Without scripts: none of them is needed, and some download what cannot be downloaded everywhere.
    await runCommand('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts']);
    await writeFile(path.join(folder, 'installed'), '');
  }
  if (!existsSync(path.join(copy, 'generated', 'index.js'))) await generatePrismaClient(folder, copy);
  return copy;
}

/** Generating needs no schema engine, but its command line downloads one unless it is told of a file. */
async function generatePrismaClient(folder: string, copy: string): Promise<void> {
  const cli = path.join(folder, 'node_modules', 'prisma', 'build', 'index.js');
  const environment = 'PRISMA_SCHEMA_ENGINE_BINARY=/bin/true';
  await runCommand('env', [
    environment,
    process.execPath,
    cli,
    'generate',
    '--schema',
    path.join(copy, 'prisma.schema'),
  ]);
}

/** What docs/compatibility.md is made from. */
function summary(byFlavor: Record<string, ClientResult[]>): CompatibilityRow[] {
  return clients.map(({ name, from }) => {
    const ofClient = (list: ClientResult[]) => list.filter(({ client }) => client === name);
    const verdict = (list: ClientResult[], tls: boolean) =>
      list.find((result) => result.tls === tls)?.verdict ?? 'absent';
    const own = Object.entries(byFlavor).map(([flavor, list]) => [flavor, ofClient(list)] as const);
    const version = own.flatMap(([, list]) => list)[0]?.version ?? '';
    const verdicts = Object.fromEntries(
      own.map(([flavor, list]) => [flavor, { tls: verdict(list, true), plain: verdict(list, false) }]),
    );
    return { client: name, from, version, verdicts };
  });
}
