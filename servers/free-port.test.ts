import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePort } from './free-port.ts';

/** More than half of what one test file had for itself once, when a second run on the machine had the same. */
const PORTS = 800;
const PROGRAM = `
  import { freePort } from '${new URL('./free-port.ts', import.meta.url).href}';
  const ports = [];
  for (let index = 0; index < ${PORTS}; index += 1) ports.push(await freePort());
  console.log(JSON.stringify(ports));`;

test('what one process has been given no other one is, and nothing is given twice', async () => {
  const other = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROGRAM]);
  const own = await Promise.all(Array.from({ length: PORTS }, freePort));
  const ports = [...own, ...(JSON.parse((await other).stdout) as number[])];
  expect(new Set(ports).size).toBe(2 * PORTS);
});
