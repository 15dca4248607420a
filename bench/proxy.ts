import path from 'node:path';
import type { Account } from '../demo/accounts.ts';
import { AppError } from '../core/errors.ts';
import type { BenchOptions, BenchResult } from './bench.ts';
import { startHaproxy } from './peers/haproxy.ts';
import { startMysqlRouter } from './peers/mysql-router.ts';
import type { ProxyPeer } from './peers/peer-process.ts';
import { programVersion } from './peers/program-version.ts';
import { percentile } from './percentile.ts';
import { cpuMicros, idleMicros } from './proxy/cpu-time.ts';
import { measureIdleSessions, type IdleFigures } from './proxy/idle-sessions.ts';
import { BENCH_ACCOUNT, BENCH_DATABASE, startProxyStage, type ProxyStage } from './proxy/stage.ts';
import { prepareSysbench, runSysbench, type SysbenchFigures, type SysbenchTarget } from './proxy/sysbench.ts';

const SIZES = { tables: 2, tableSize: 50_000 };
const BIG_RESULT_SCRIPT = path.join(import.meta.dirname, 'proxy', 'big-result.lua');

/** The work, by the name that it has in the raw figures. */
const WORKLOADS = {
  pointSelect1: { script: 'oltp_point_select', threads: 1 },
  pointSelect8: { script: 'oltp_point_select', threads: 8 },
  pointSelect32: { script: 'oltp_point_select', threads: 32 },
  readWrite8: { script: 'oltp_read_write', threads: 8 },
  // 50,000 rows and 9.6 MB a statement.
  bigResult: { script: BIG_RESULT_SCRIPT, threads: 1 },
} as const;
type Workload = keyof typeof WORKLOADS;
/** SWITCHYARD_BENCH_WORKLOADS=pointSelect8,pointSelect32: these alone, without idle sessions. */
const CHOSEN = process.env['SWITCHYARD_BENCH_WORKLOADS']?.split(',');
const WORKLOAD_NAMES = (Object.keys(WORKLOADS) as Workload[]).filter((name) => CHOSEN?.includes(name) ?? true);

/** What stands between the client and the server: nothing, a peer, or we. */
interface Contestant {
  port: number;
  pids: readonly number[];
}

interface Sample extends SysbenchFigures {
  /** Of the proxy alone. On a busy machine it says more than the rate does. */
  cpuMicrosPerQuery: number;
  /** Of the database server: what a proxy makes it do more. */
  serverCpuMicrosPerQuery: number;
  /** What all processors together did nothing. */
  idleMicrosPerQuery: number;
}

type Figure = 'qps' | 'p95Ms' | 'cpuMicrosPerQuery';
type Samples = Map<string, Record<Workload, Sample[]>>;

/**
 * The same load on the server itself, through HAProxy, through MySQL Router and through `switchyard serve`, in turns, so that
 * whatever else the machine does hits all of them. Ratios are medians over the rounds.
 */
export async function benchProxy({ quick, onProgress }: BenchOptions): Promise<BenchResult> {
  const sysbench = await programVersion('sysbench', ['--version'], /sysbench (\S+)/);
  if (sysbench === null)
    throw new AppError('SERVER_NOT_STARTED', 'this benchmark needs sysbench (apt-get install sysbench)');
  const { rounds, seconds, sessions } = quick
    ? { rounds: 1, seconds: 1, sessions: 500 }
    : { rounds: 5, seconds: 2, sessions: 2000 };
  onProgress('starting the server, Switchyard in front of it, and the peers');
  await using stage = await startProxyStage();
  // First, while the worker is as it is after its start.
  const idle = CHOSEN === undefined ? await measureIdle(stage, { sessions }) : null;
  const idleTls = CHOSEN === undefined ? await measureIdle(stage, { sessions: sessions / 4, useTls: true }) : null;
  if (idle !== null && idleTls !== null)
    onProgress(`an idle session takes ${idle.bytesPerSession} bytes, under TLS ${idleTls.bytesPerSession}`);
  await using stack = new AsyncDisposableStack();
  const [haproxy, router] = [await startHaproxy(stage.server), await startMysqlRouter(stage.server)];
  for (const peer of [haproxy, router]) if (peer !== null) stack.use(peer);
  await prepareSysbench(targetOn(stage.server.port), SIZES);

  const contestants = new Map<string, Contestant>([['direct', { port: stage.server.port, pids: [] }]]);
  if (haproxy !== null) contestants.set('haproxy', { port: haproxy.port, pids: [haproxy.pid] });
  if (router !== null) contestants.set('router', { port: router.port, pids: [router.pid] });
  const { primaryPort: port } = stage.switchyard;
  contestants.set('switchyard', { port, pids: stage.switchyard.pids('proxy') });
  const samples: Samples = new Map([...contestants.keys()].map((name) => [name, emptySamples()]));
  // What compiles and what is cached is not what is compared.
  const serverPids = stage.server.pid === null ? [] : [stage.server.pid];
  const sample = async (contestant: Contestant, workload: Workload) =>
    oneSample(contestant, { workload, seconds, serverPids });
  for (const contestant of contestants.values()) await sample(contestant, 'pointSelect8');
  for (let round = 1; round <= rounds; round += 1) {
    for (const workload of WORKLOAD_NAMES) {
      // Nobody is always the one that comes after a certain other.
      for (const [name, contestant] of rotated([...contestants], round))
        samples.get(name)?.[workload].push(await sample(contestant, workload));
      onProgress(`round ${round} of ${rounds}, ${workload}: ${lastOf(samples, workload)}`);
    }
  }
  return {
    peers: { mysql: stage.serverVersion, haproxy: versionOf(haproxy), mysqlRouter: versionOf(router), sysbench },
    figures: {
      ...ratios(samples),
      ...(idle === null ? {} : { idleSessionBytes: idle.bytesPerSession }),
      errors: errorsOf(samples),
    },
    raw: { rounds, secondsEach: seconds, idle, idleTls, samples: Object.fromEntries(samples) },
  };
}

function rotated<T>(values: readonly T[], by: number): T[] {
  const start = by % values.length;
  return [...values.slice(start), ...values.slice(0, start)];
}

async function oneSample(
  { port, pids }: Contestant,
  { workload, seconds, serverPids }: { workload: Workload; seconds: number; serverPids: readonly number[] },
): Promise<Sample> {
  const spent = async () => Promise.all([cpuMicros(pids), cpuMicros(serverPids), idleMicros()]);
  const before = await spent();
  const figures = await runSysbench(targetOn(port), { ...WORKLOADS[workload], ...SIZES, seconds });
  const after = await spent();
  const perQuery = (index: 0 | 1 | 2) => round3((after[index] - before[index]) / figures.queries);
  return {
    ...figures,
    cpuMicrosPerQuery: perQuery(0),
    serverCpuMicrosPerQuery: perQuery(1),
    idleMicrosPerQuery: perQuery(2),
  };
}

async function measureIdle(stage: ProxyStage, work: { sessions: number; useTls?: boolean }): Promise<IdleFigures> {
  const { switchyard } = stage;
  return measureIdleSessions(targetOn(switchyard.primaryPort), { ...work, pids: switchyard.pids('proxy') });
}

function targetOn(port: number): SysbenchTarget {
  const account: Account = BENCH_ACCOUNT;
  return { port, account, database: BENCH_DATABASE };
}

function emptySamples(): Record<Workload, Sample[]> {
  return { pointSelect1: [], pointSelect8: [], pointSelect32: [], readWrite8: [], bigResult: [] };
}

/** Ours divided by the peer's; left out where the peer is absent. */
function ratios(samples: Samples): Record<string, number> {
  const ratios: Record<string, number> = {};
  const compare = (ratio: string, peer: string, workload: Workload, key: Figure) => {
    const [ours, theirs] = [samples.get('switchyard')?.[workload] ?? [], samples.get(peer)?.[workload] ?? []];
    if (ours.length > 0 && theirs.length > 0) ratios[ratio] = medianRatio(ours, theirs, key);
  };
  compare('qpsRatioRouter1', 'router', 'pointSelect1', 'qps');
  compare('qpsRatioRouter8', 'router', 'pointSelect8', 'qps');
  compare('qpsRatioRouter32', 'router', 'pointSelect32', 'qps');
  compare('p95RatioRouter8', 'router', 'pointSelect8', 'p95Ms');
  compare('cpuRatioRouter8', 'router', 'pointSelect8', 'cpuMicrosPerQuery');
  compare('readWriteRatioRouter8', 'router', 'readWrite8', 'qps');
  compare('bigResultRatioRouter', 'router', 'bigResult', 'qps');
  compare('qpsRatioHaproxy8', 'haproxy', 'pointSelect8', 'qps');
  compare('bigResultRatioHaproxy', 'haproxy', 'bigResult', 'qps');
  compare('qpsRatioDirect8', 'direct', 'pointSelect8', 'qps');
  return ratios;
}

/** The median over the rounds of ours divided by the peer's in the same round: a slow minute is slow for both. */
function medianRatio(ours: readonly Sample[], theirs: readonly Sample[], key: Figure): number {
  const ratios = ours.map((sample, round) => sample[key] / (theirs[round]?.[key] ?? Number.NaN));
  return round3(percentile(ratios, 0.5));
}

function lastOf(samples: Samples, workload: Workload): string {
  return [...samples].map(([name, figures]) => `${name} ${Math.round(figures[workload].at(-1)?.qps ?? 0)}`).join(', ');
}

function errorsOf(samples: Samples): number {
  let errors = 0;
  for (const workload of WORKLOAD_NAMES)
    for (const figures of samples.get('switchyard')?.[workload] ?? []) errors += figures.errors;
  return errors;
}

function versionOf(peer: ProxyPeer | null): string {
  return peer?.version ?? 'absent';
}

function round3(ratio: number): number {
  return Math.round(ratio * 1000) / 1000;
}
