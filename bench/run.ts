import { parseArgs } from 'node:util';
import { AppError } from '../core/errors.ts';
import { benchApply } from './apply.ts';
import type { Bench } from './bench.ts';
import { benchCopy } from './copy.ts';
import { benchEnvironment } from './environment.ts';
import { benchProxy } from './proxy.ts';
import { benchSwitch } from './switch.ts';
import { benchVerify } from './verify.ts';

const USAGE = `npm run bench -- NAME [--quick] [--json]

  apply    a backlog of 60,000 transactions against MySQL's replica; the lag at 1,000 transactions a second
  copy     1,000,000 rows to an empty server, against mydumper + myloader and bare LOAD DATA
  proxy    sysbench, big results and idle sessions, against MySQL Router and HAProxy
  switch   64 clients, primary traffic forth and back; the pause that they see, errors, lost writes
  verify   every row of 1,000,000 under 200 writes a second, beside CHECKSUM TABLE; single changed rows found

  --quick  smaller work, under a minute
  --json   nothing but one line of JSON at the end, on standard output`;

const BENCHES: Readonly<Record<string, Bench>> = {
  apply: benchApply,
  copy: benchCopy,
  proxy: benchProxy,
  switch: benchSwitch,
  verify: benchVerify,
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
});
process.exitCode = await run(positionals[0]);

async function run(name = ''): Promise<number> {
  const bench = BENCHES[name];
  if (bench === undefined) {
    console.error(USAGE);
    return values.help === true ? 0 : 2;
  }
  const startedAt = performance.now();
  // On standard error: the last line of standard output is for machines.
  const onProgress = (message: string) =>
    console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${message}`);
  try {
    const environment = await benchEnvironment();
    const { peers, figures, raw } = await bench({ quick: values.quick, onProgress });
    if (!values.json) for (const [key, value] of Object.entries(figures)) console.log(`${key.padEnd(20)} ${value}`);
    console.log(JSON.stringify({ bench: name, ...environment, quick: values.quick, peers, ...figures, raw }));
    return 0;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    console.error(`${error.code}: ${error.message}`);
    return 1;
  }
}
