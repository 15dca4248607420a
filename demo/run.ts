import { parseArgs } from 'node:util';
import { AppError } from '../core/errors.ts';
import { FLAVORS, parseFlavor, type Flavor } from '../servers/flavor.ts';
import { runAuto } from './auto.ts';
import { runInteractive } from './interactive.ts';
import { faultsOf, resultText } from './print-result.ts';
import { startStage } from './stage.ts';

const USAGE = `npm run demo -- [options]

Two real database servers, a sample shop with live traffic through the proxy, and an import of it.

  --auto             from start to completion unattended, then what happened; exit code 1 if anything is off
  --rows N           rows of the shop, about (1000000)
  --source FLAVOR    ${FLAVORS.join(', ')} (mysql-9.7)
  --target FLAVOR    the same (mysql-9.7)
  --sessions N       clients at work (16)
  --rate N           their operations per second, together (300)`;

const { values } = parseArgs({
  options: {
    auto: { type: 'boolean', default: false },
    rows: { type: 'string', default: '1000000' },
    source: { type: 'string', default: 'mysql-9.7' },
    target: { type: 'string', default: 'mysql-9.7' },
    sessions: { type: 'string', default: '16' },
    rate: { type: 'string', default: '300' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(USAGE);
else process.exitCode = await run();

async function run(): Promise<number> {
  const startedAt = performance.now();
  const onProgress = (message: string) =>
    console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${message}`);
  const sessions = Number(values.sessions);
  const traffic = { sessions, operationsPerSecond: Number(values.rate) };
  try {
    const flavors = { source: flavorOf(values.source), target: flavorOf(values.target) };
    await using stage = await startStage({ ...flavors, rows: Number(values.rows), sessions, onProgress });
    onProgress(`dashboard: ${stage.switchyard.adminUrl}`);
    if (!values.auto) {
      await runInteractive(stage, traffic, onProgress);
      return 0;
    }
    const result = await runAuto(stage, traffic, onProgress).catch((error: unknown) => {
      // The processes end with the stage; what they said last is often the only trace.
      console.error(stage.switchyard.log().split('\n').slice(-20).join('\n'));
      throw error;
    });
    console.log(resultText(result));
    const faults = faultsOf(result);
    for (const fault of faults) console.error(`OFF: ${fault}`);
    return faults.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    console.error(`${error.code}: ${error.message}\n${error.entry.remedy}`);
    return 1;
  }
}

function flavorOf(text: string): Flavor {
  const flavor = parseFlavor(text);
  if (flavor === undefined)
    throw new AppError('REQUEST_INVALID', `unknown server ${text}; there are ${FLAVORS.join(', ')}`);
  return flavor;
}
