import { expect, test } from 'vitest';
import { routingRecordSchema } from '../../core/routing-record.ts';
import { importDocumentSchema, type ImportDocument } from '../import-document.ts';
import { diagnose, type Examination } from './diagnose.ts';
import { unansweredState } from './read-server-state.ts';

const address = { host: 'db', port: 3306, user: 'u', tls: {} };
const facts = { flavor: 'mysql', version: '9.7.4', serverUuid: 'u' };
const document = (change: Partial<ImportDocument> = {}): ImportDocument => ({
  ...importDocumentSchema.parse({
    id: 'shop',
    phase: 'switched_primaries',
    database: 'shop',
    source: address,
    target: address,
    sourceFacts: facts,
    targetFacts: facts,
    replicaHost: null,
    options: {},
    tables: ['a', 'b'],
    findings: [],
    created: { schema: false, tables: [] },
    startPosition: null,
    copiedPosition: null,
    copy: { rows: 0, bytes: 0, tableRows: {}, startedAtMs: null, finishedAtMs: null },
    replicasOnTarget: false,
    fence: { side: 'source', kind: 'read_only' },
    intent: null,
    verify: null,
    switches: [{ kind: 'primaries', to: 'target', atMs: 1, pauseMs: 1, fence: 'read_only', forced: [] }],
    error: null,
    createdAtMs: 1,
    createdBy: 'test',
    updatedAtMs: 1,
  }),
  ...change,
});
const route = routingRecordSchema.parse({
  epoch: 7,
  importId: 'shop',
  database: 'shop',
  primary: 'target',
  replica: 'target',
  hold: 'none',
  deadlineMs: null,
  fenced: false,
  endpoints: {
    source: { primary: { host: 's' }, replica: null },
    target: { primary: { host: 't' }, replica: null },
  },
});
const server = { ...unansweredState(''), answers: true, reason: null };
const sound: Examination = {
  document: document(),
  route,
  servers: {
    source: { ...server, readOnly: true, fenceStands: true, progress: [{ direction: 'reverse', position: '' }] },
    target: server,
  },
  streams: [
    {
      direction: 'reverse',
      state: 'running',
      lagMs: 0,
      position: '',
      transactionsApplied: 0,
      rowChangesApplied: 0,
    },
  ],
  strayWrites: null,
  proxies: [{ instanceId: 'p', epoch: 7, state: 'applied', sessions: 1, undrained: [] }],
  outdated: null,
  isBusy: false,
};
const intent: NonNullable<ImportDocument['intent']> = {
  switchId: 's',
  kind: 'primaries',
  to: 'source',
  fromPhase: 'switched_primaries',
  epoch: 7,
  fence: 'read_only',
  fencedAccounts: [],
  threads: { source: [], target: [] },
  forced: [],
  startedAtMs: 1,
};

const CASES: [string, Partial<Examination>, string[]][] = [
  ['sound', {}, []],
  [
    'the fence is gone',
    {
      servers: {
        source: { ...server, fenceStands: false, progress: sound.servers?.source.progress ?? [] },
        target: server,
      },
    },
    ['FENCE_MISSING'],
  ],
  [
    'nobody knows why the primary is read_only',
    {
      document: document({ switches: [] }),
      servers: { source: sound.servers?.source ?? server, target: { ...server, readOnly: true } },
    },
    ['PRIMARY_READ_ONLY'],
  ],
  [
    'the primary is read_only by us',
    {
      servers: {
        source: sound.servers?.source ?? server,
        target: { ...server, readOnly: true, readOnlyPersisted: true },
      },
    },
    ['PRIMARY_FENCED', 'READ_ONLY_PERSISTED'],
  ],
  [
    'a switch without an end',
    { document: document({ intent, phase: 'switching_primaries' }), route: { ...route, hold: 'all' } },
    ['SWITCH_INTERRUPTED'],
  ],
  [
    'the same while it runs',
    { document: document({ intent, phase: 'switching_primaries' }), route: { ...route, hold: 'all' }, isBusy: true },
    [],
  ],
  [
    'route and phase',
    {
      route: { ...route, primary: 'source' },
      servers: { source: { ...server, progress: sound.servers?.source.progress ?? [] }, target: server },
    },
    ['ROUTE_AND_PHASE_DIFFER'],
  ],
  ['no stream', { streams: [] }, ['STREAM_STOPPED']],
  [
    'an old state: nothing is judged by it',
    { outdated: 'told', streams: [], route: { ...route, primary: 'source', hold: 'all' } },
    ['STATE_OUTDATED'],
  ],
  [
    'a proxy behind',
    { proxies: [{ instanceId: 'p', epoch: 6, state: 'applied', sessions: 1, undrained: [] }] },
    ['PROXY_BEHIND'],
  ],
  ['no proxy', { proxies: [] }, ['PROXIES_MISSING']],
  ['events that run nowhere', { document: document({ eventsLeft: ['target'] }) }, ['EVENTS_LEFT']],
  ['progress gone', { servers: { source: { ...server, readOnly: true }, target: server } }, ['PROGRESS_MISSING']],
  [
    'strays',
    { strayWrites: { count: 3, unapplied: 2, lastAtMs: 1, watch: 'failed' } },
    ['STRAY_WATCH_FAILED', 'STRAY_WRITES_UNAPPLIED'],
  ],
  [
    'completed, credentials erased',
    { document: document({ phase: 'completed' }), servers: null, streams: [], proxies: [] },
    [],
  ],
];

test.each(CASES)('%s', (_name, change, codes) => {
  expect(diagnose({ ...sound, ...change }).map(({ code }) => code)).toEqual(codes);
});
