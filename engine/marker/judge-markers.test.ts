import { expect, test } from 'vitest';
import { routingRecordSchema } from '../../core/routing-record.ts';
import { importDocumentSchema, type ImportDocument } from '../import-document.ts';
import { markerToAdopt, rivalMarker, unknownMarkers, type Markers } from './judge-markers.ts';
import { knownOutdated } from './known-outdated.ts';
import { markedStateSchema, markerOf, type RouteMarker } from './route-marker.ts';

const address = { host: 'db', port: 3306, user: 'u', tls: {} };
const facts = { flavor: 'mysql', version: '9.7.4', serverUuid: 'u' };
const document = (change: Partial<ImportDocument> = {}): ImportDocument => ({
  ...importDocumentSchema.parse({
    id: 'shop',
    phase: 'running',
    database: 'shop',
    source: address,
    target: address,
    sourceFacts: facts,
    targetFacts: facts,
    replicaHost: null,
    options: {},
    tables: ['a'],
    findings: [],
    created: { schema: false, tables: [] },
    startPosition: null,
    copiedPosition: null,
    copy: { rows: 0, bytes: 0, tableRows: {}, startedAtMs: null, finishedAtMs: null },
    replicasOnTarget: false,
    fence: null,
    intent: null,
    verify: null,
    switches: [],
    error: null,
    createdAtMs: 5,
    createdBy: 'test',
    updatedAtMs: 1,
  }),
  ...change,
});
const route = routingRecordSchema.parse({
  epoch: 100,
  importId: 'shop',
  database: 'shop',
  primary: 'source',
  replica: 'source',
  hold: 'none',
  deadlineMs: null,
  fenced: false,
  endpoints: {
    source: { primary: { host: 's' }, replica: null },
    target: { primary: { host: 't' }, replica: null },
  },
});
const marker = (change: Partial<RouteMarker> = {}): RouteMarker => ({
  importId: 'shop',
  database: 'shop',
  createdAtMs: 5,
  decision: 'first',
  epoch: 4,
  primary: 'target',
  replica: 'target',
  writtenAtMs: 1,
  state: '{}',
  ...change,
});
const both = (one: RouteMarker, other = one): Markers => ({ source: [one], target: [other] });
const rival = { importId: 'other', createdAtMs: 9, decision: 'begin-9', primary: 'source', replica: 'source' } as const;
const first = { id: 'first', epoch: 4, isFormer: false };
const intent = { switchId: 'first', kind: 'primaries', to: 'target', fromPhase: 'running', epoch: 3 } as const;
const withIntent = document({
  intent: {
    ...intent,
    fence: 'none',
    fencedAccounts: [],
    threads: { source: [], target: [] },
    forced: [],
    startedAtMs: 1,
  },
});

const outdated: ImportDocument['error'] = {
  code: 'STATE_OUTDATED',
  message: 'told',
  details: {},
  fromPhase: 'switching_primaries',
  atMs: 1,
};
const unfinished: ImportDocument['error'] = { ...outdated, code: 'CANCEL_UNFINISHED', fromPhase: 'running' };

test.each<[string, ImportDocument, Partial<typeof route>, Markers, number]>([
  ['nothing is told', document(), {}, { source: [], target: null }, 0],
  ['what is known', document({ decisions: [first] }), {}, both(marker()), 0],
  ['the beginning', document(), {}, both(marker({ decision: 'begin-5' })), 0],
  [
    'a decision that is not known, though this state counted on far beyond its epoch',
    document(),
    {},
    both(marker()),
    2,
  ],
  ['on one server alone', document(), {}, { source: null, target: [marker()] }, 1],
  ['a switch that was decided, before the engine died', withIntent, { primary: 'target' }, both(marker()), 0],
  ['a backup of the middle of a switch, before its decision', withIntent, {}, both(marker()), 2],
  ['a later import of the same name', document(), {}, both(marker({ createdAtMs: 9, decision: 'begin-9' })), 2],
  [
    'a later import of the same database, on the target',
    document(),
    {},
    both(marker({ importId: 'other', createdAtMs: 9 })),
    1,
  ],
  [
    'a later import of other tables of the same database',
    document(),
    {},
    both(marker({ importId: 'other', createdAtMs: 9, state: '{"tables":["b"]}' })),
    0,
  ],
  [
    'a later import that is not switched, of the same tables: where primary traffic is on them',
    document(),
    { primary: 'target' },
    both(marker({ ...rival, state: '{"tables":["A"]}' })),
    1,
  ],
  ['and where replica traffic is', document(), { replica: 'target' }, both(marker(rival)), 1],
  [
    'a later import that was switched, of the same source',
    document(),
    {},
    both(marker({ importId: 'other', createdAtMs: 9, state: '{"tables":["a"],"sourceServer":"u"}' })),
    1,
  ],
  [
    'an earlier import of the same name, which a server that was put back from a backup tells of again',
    document({ createdAtMs: 9 }),
    {},
    both(marker({ createdAtMs: 5 })),
    0,
  ],
  [
    'an earlier import of the same database, on the target',
    document({ createdAtMs: 9 }),
    {},
    both(marker({ importId: 'other', createdAtMs: 5 })),
    0,
  ],
  [
    'the middle of a switch whose decision was taken over, by an engine that died before it was done with that',
    document({ intent: withIntent.intent, error: outdated }),
    { primary: 'target' },
    both(marker()),
    2,
  ],
  ['another database', document(), {}, both(marker({ importId: 'other', database: 'other' })), 0],
  [
    'a former import, which this one took the place of',
    document({ decisions: [{ ...first, isFormer: true }] }),
    {},
    both(marker({ createdAtMs: 1 })),
    0,
  ],
])('%s', (_what, state, change, markers, count) => {
  expect(unknownMarkers(state, { ...route, ...change }, markers)).toHaveLength(count);
});

test.each<[string, Partial<RouteMarker>]>([
  ['it is not switched', rival],
  [
    'it brings another source, be it switched or not',
    { importId: 'other', createdAtMs: 9, state: '{"tables":["a"],"sourceServer":"another"}' },
  ],
])('another import of the same tables, while all traffic is on the source: %s, so traffic goes on', (_what, change) => {
  const markers = both(marker(change));
  expect(unknownMarkers(document(), route, markers)).toEqual([]);
  expect(rivalMarker(document(), route, markers)).toMatchObject({ importId: 'other', side: 'target' });
  expect(rivalMarker(document({ createdAtMs: 9 }), route, markers)).toBeUndefined();
});

test.each<[string, Markers, string]>([
  ['both agree', both(marker()), 'target'],
  ['the new primary alone was told', { source: [], target: [marker()] }, 'target'],
  ['the old primary was not told of the last one', both(marker(), marker({ decision: 'second', epoch: 8 })), 'target'],
  ['the old primary alone was told', { source: [marker()], target: [] }, 'source'],
  ['the old primary is gone', { source: null, target: [marker()] }, 'target'],
])('%s: taken over', (_what, markers, side) => {
  expect(markerToAdopt(document(), route, markers)).toMatchObject({ side });
});

test.each<[string, ImportDocument, Markers]>([
  ['the new primary does not answer', document(), { source: [marker()], target: null }],
  ['two decisions of one age', document(), both(marker(), marker({ decision: 'other' }))],
  [
    'the newest is our own',
    document({ decisions: [{ id: 'ours', epoch: 9, isFormer: false }] }),
    both(marker({ decision: 'ours', epoch: 9 }), marker()),
  ],
  ['another import', document(), both(marker(), marker({ importId: 'other', decision: 'x', createdAtMs: 9 }))],
  ['tables may have been dropped since', document({ error: unfinished }), both(marker())],
  ['nobody tells anything', document(), { source: [], target: [] }],
])('%s: for a person to decide', (_what, state, markers) => {
  expect(() => markerToAdopt(state, route, markers)).toThrow(/it cannot be told where traffic belongs/);
});

test('what was taken over half is taken over again', () => {
  const half = document({ intent: withIntent.intent, error: outdated });
  expect(markerToAdopt(half, { ...route, primary: 'target' }, both(marker()))).toMatchObject({ decision: 'first' });
});

test.each<[string, ImportDocument['error'], string | null]>([
  ['no error', null, null],
  ['the state is outdated', outdated, 'told'],
  ['half removed', unfinished, null],
  ['half removed by a state that is outdated', { ...unfinished, details: { outdated: 'told' } }, 'told'],
])('%s: remembered, whoever answers', (_what, error, message) => {
  expect(knownOutdated({ error })).toBe(message);
});

test('what a switch could not do yet is told with its decision: a fence that is left, events that run nowhere', () => {
  const leftFence: ImportDocument['leftFence'] = { side: 'target', kind: 'triggers', accounts: [], threads: [] };
  const { state } = markerOf(document({ eventsLeft: ['source'], leftFence }), route);
  expect(markedStateSchema.strip().parse(JSON.parse(state))).toMatchObject({ eventsLeft: ['source'], leftFence });
});
