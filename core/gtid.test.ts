import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePosition } from './gtid.ts';
import { MysqlGtidSet } from './gtid-mysql.ts';
import { MariadbGtidPosition } from './gtid-mariadb.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4f11fa47-71ca-11e1-9e33-c80aa9429562';

const source = fc.constantFrom(A, B, `${A}:blue`, `${A}:green_1`);
const gtid = fc.tuple(source, fc.integer({ min: 1, max: 40 })).map(([name, number]) => `${name}:${number}`);
const gtids = fc.uniqueArray(gtid, { maxLength: 60 });

function setOf(list: string[]): MysqlGtidSet {
  const set = new MysqlGtidSet();
  for (const item of list) set.advance(item);
  return set;
}

describe('MysqlGtidSet', () => {
  it('prints as the server does', () => {
    const text = `${A}:1-3:5:7-9:blue:1-2:green_1:4,${B}:1`;
    expect(MysqlGtidSet.parse(text).toString()).toBe(text);
    expect(MysqlGtidSet.parse(` ${B.toUpperCase()}:1 ,\n${A}:7-9:5:1-3:GREEN_1:4:blue:2:1`).toString()).toBe(text);
    expect(MysqlGtidSet.parse('').toString()).toBe('');
    expect(MysqlGtidSet.parse(`${A}:blue:1`).toString()).toBe(`${A}:blue:1`);
  });

  it('joins intervals that touch', () => {
    expect(MysqlGtidSet.parse(`${A}:1-3:4:6-8:5`).toString()).toBe(`${A}:1-8`);
    expect(MysqlGtidSet.parse(`${A}:10-20:1-30:40`).toString()).toBe(`${A}:1-30:40`);
  });

  it.each(['x', `${A}:0`, `${A}:3-1`, `${A}:1-`, `${A}:9007199254740993`, `${A}:1 2`])('refuses %s', (text) => {
    expect(() => MysqlGtidSet.parse(text)).toThrow(expect.objectContaining({ code: 'GTID_INVALID' }));
  });

  it('is a set: like one of strings in every operation', () => {
    fc.assert(
      fc.property(gtids, gtids, (left, right) => {
        const [a, b] = [setOf(left), setOf(right)];
        const [inA, inB] = [new Set(left), new Set(right)];
        for (const item of [...left, ...right]) {
          expect(a.coversGtid(item)).toBe(inA.has(item));
          expect(a.union(b).coversGtid(item)).toBe(true);
          expect(a.subtract(b).coversGtid(item)).toBe(inA.has(item) && !inB.has(item));
        }
        expect(a.covers(b)).toBe([...inB].every((item) => inA.has(item)));
        expect(a.union(b).covers(a)).toBe(true);
        expect(a.subtract(b).union(b).covers(a)).toBe(true);
        expect(a.subtract(a).empty).toBe(true);
      }),
    );
  });

  it('does not depend on the order of adding, and survives printing and parsing', () => {
    fc.assert(
      fc.property(gtids, (list) => {
        const set = setOf(list);
        expect(setOf(list.toReversed()).toString()).toBe(set.toString());
        expect(MysqlGtidSet.parse(set.toString()).toString()).toBe(set.toString());
        expect(set.clone().toString()).toBe(set.toString());
      }),
    );
  });

  it('clones without sharing', () => {
    const set = MysqlGtidSet.parse(`${A}:1-5`);
    const copy = set.clone();
    copy.advance(`${A}:6`);
    expect(set.toString()).toBe(`${A}:1-5`);
    expect(copy.toString()).toBe(`${A}:1-6`);
  });

  it('advances in constant time', () => {
    const set = MysqlGtidSet.parse(`${A}:1`);
    for (let number = 2; number <= 300_000; number += 1) set.advance(`${A}:${number}`);
    expect(set.toString()).toBe(`${A}:1-300000`);
  });

  it('encodes the two forms of COM_BINLOG_DUMP_GTID', () => {
    const plain = MysqlGtidSet.parse(`${A}:1-3:5`).encode();
    expect(plain.toString('hex')).toBe(
      `0100000000000000${A.replaceAll('-', '')}02000000000000000100000000000000040000000000000005000000000000000600000000000000`,
    );
    const tagged = MysqlGtidSet.parse(`${A}:1:ab:2`).encode();
    expect(tagged.toString('hex')).toBe(
      `0102000000000001${A.replaceAll('-', '')}00010000000000000001000000000000000200000000000000` +
        `${A.replaceAll('-', '')}046162010000000000000002000000000000000300000000000000`,
    );
  });
});

describe('MariadbGtidPosition', () => {
  it('keeps the last of each domain', () => {
    const position = MariadbGtidPosition.parse('1-10-5,0-1-100');
    position.advance('0-2-101');
    expect(position.toString()).toBe('0-2-101,1-10-5');
    position.advance('0-1-99');
    expect(position.toString()).toBe('0-2-101,1-10-5');
  });

  it('covers by sequence number within each domain', () => {
    const position = parsePosition('mariadb', '0-1-100,1-1-5');
    expect(position.covers(parsePosition('mariadb', '0-7-100'))).toBe(true);
    expect(position.covers(parsePosition('mariadb', '0-1-101'))).toBe(false);
    expect(position.covers(parsePosition('mariadb', '2-1-1'))).toBe(false);
    expect(position.covers(parsePosition('mariadb', ''))).toBe(true);
    expect(position.coversGtid('1-9-5')).toBe(true);
    expect(position.coversGtid('3-9-1')).toBe(false);
  });

  it.each(['1-2', 'a-b-c', '1-1-99999999999999999999'])('refuses %s', (text) => {
    expect(() => parsePosition('mariadb', text)).toThrow(expect.objectContaining({ code: 'GTID_INVALID' }));
  });

  it('is not compared with a MySQL set', () => {
    expect(() => parsePosition('mariadb', '0-1-1').covers(parsePosition('mysql', ''))).toThrow('assertion');
  });
});
