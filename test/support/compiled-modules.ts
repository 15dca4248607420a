import { spawn } from 'node:child_process';
import path from 'node:path';
import { cacheFolder } from '../../servers/cache-folder.ts';

/** What the processes of tests begin with. */
const ENTRIES = [
  'config/load',
  'core/log',
  'supervisor/run-supervisor',
  'engine/engine-process',
  'proxy/worker',
  'admin/cli/run-cli',
];

/**
 * Tests start hundreds of processes, and most of what a start costs is to strip the types of every module and to compile it.
 * Node keeps that where NODE_COMPILE_CACHE says (vitest.config.ts), but only when a process ends by itself, which those of
 * tests seldom do: so one is started for it, beside the first tests.
 */
export default function compileModules(): () => void {
  const imports = ENTRIES.map(
    (name) => `await import(${JSON.stringify(new URL(`../../${name}.ts`, import.meta.url))});`,
  );
  const child = spawn(process.execPath, ['--input-type=module', '-e', imports.join('')], {
    stdio: 'ignore',
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
  });
  return () => void child.kill();
}

export const COMPILE_CACHE = path.join(path.dirname(cacheFolder()), 'compiled');
