import { expect, test } from 'vitest';
import { CAPABILITY } from '../core/wire/capabilities.ts';
import { PreparedStatements, executeLayout, firstTextParameter, withParameterTypes } from './prepared-statements.ts';
import { queryTextOffset } from './query-text.ts';

function statementWith(parameterCount: number) {
  return new PreparedStatements().add({
    text: Buffer.from('x'),
    schema: null,
    effects: [],
    meaning: { charset: null, modes: null },
    parameterCount,
    backendId: 9,
  });
}

/** Command, id 9, flags, one iteration. */
const head = (flags: number) => Buffer.of(0x17, 9, 0, 0, 0, flags, 1, 0, 0, 0);

test('where the types of an execution are, and how they are put into one without', () => {
  const statement = statementWith(2);
  const types = Buffer.of(8, 0, 253, 0);
  const values = Buffer.of(1, 2, 3);
  const bound = Buffer.concat([head(0), Buffer.of(0, 1), types, values]);
  const told = executeLayout(bound, statement, 0);
  expect(told).toEqual({ wantsCursor: false, boundFlagOffset: 11, types, nullBitsOffset: 10 });
  const unbound = Buffer.concat([head(1), Buffer.of(0, 0), values]);
  const layout = executeLayout(unbound, statement, 0);
  expect(layout).toEqual({ wantsCursor: true, boundFlagOffset: 11, types: null, nullBitsOffset: 10 });
  expect(withParameterTypes(unbound, 11, types)).toEqual(Buffer.concat([head(1), Buffer.of(0, 1), types, values]));
});

test('with query attributes the packet tells its number of parameters, and their names', () => {
  const statement = statementWith(0);
  const typesAndNames = Buffer.concat([Buffer.of(8, 0, 3), Buffer.from('abc')]);
  const payload = Buffer.concat([head(0x08), Buffer.of(1, 0, 1), typesAndNames, Buffer.alloc(8)]);
  expect(executeLayout(payload, statement, CAPABILITY.QUERY_ATTRIBUTES)).toEqual({
    wantsCursor: false,
    boundFlagOffset: 12,
    types: typesAndNames,
    nullBitsOffset: 11,
  });
  const none = { wantsCursor: false, boundFlagOffset: null, types: null, nullBitsOffset: 10 };
  expect(executeLayout(head(0), statement, 0)).toEqual(none);
});

test.each([
  ['a text', [0, 1, 253, 0, 8, 0, 2, 97, 98, 5, 0], 'ab'],
  ['NULL', [1, 1, 253, 0, 8, 0, 5, 0], null],
  ['a number', [0, 1, 8, 0, 253, 0, 2, 97, 98], null],
  ['a text that is cut off', [0, 1, 253, 0, 8, 0, 9, 97, 98], null],
  ['a text of which the types are not told', [0, 0, 2, 97, 98], null],
] as const)('the first parameter where it is %s', (_, bytes, expected) => {
  const statement = statementWith(2);
  const payload = Buffer.concat([head(0), Buffer.from(bytes)]);
  expect(firstTextParameter(payload, executeLayout(payload, statement, 0), statement)).toBe(expected);
});

test('ids of our own are never given twice, also after a move', () => {
  const statements = new PreparedStatements();
  const add = () =>
    statements.add({
      text: Buffer.from('x'),
      schema: null,
      effects: [],
      meaning: { charset: null, modes: null },
      parameterCount: 0,
      backendId: 1,
    });
  const first = add();
  statements.remove(first.clientId);
  const second = add();
  expect(second.clientId).not.toBe(first.clientId);
  statements.rebind(new Map([[second.clientId, 5]]));
  expect(second).toMatchObject({ backendId: 5, typesKnown: false });
  statements.rebind(new Map());
  expect(second.backendId).toBeNull();
});

test('the text of a query begins after its attributes', () => {
  const sql = Buffer.from('SELECT 1');
  expect(queryTextOffset(Buffer.concat([Buffer.of(3), sql]), 0)).toBe(1);
  expect(queryTextOffset(Buffer.concat([Buffer.of(3, 0, 1), sql]), CAPABILITY.QUERY_ATTRIBUTES)).toBe(3);
  const attributes = Buffer.concat([
    Buffer.of(3, 1, 1, 0, 1, 254, 0, 1),
    Buffer.from('k'),
    Buffer.of(3),
    Buffer.from('val'),
  ]);
  expect(queryTextOffset(Buffer.concat([attributes, sql]), CAPABILITY.QUERY_ATTRIBUTES)).toBe(attributes.length);
});
