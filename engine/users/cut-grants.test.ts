import { describe, expect, test } from 'vitest';
import { completedGrant, cutGrants, grantsElsewhere, missingGrant, privilegesText, scopeText } from './cut-grants.ts';
import { parseGrantStatement } from './grant-statement.ts';

const MY_SHOP = { database: 'my_shop', partialRevokes: false };

function cut(lines: string[], place = MY_SHOP): string[] {
  return cutGrants(lines.map(parseGrantStatement), place).map(
    ({ privileges, scope, grantOption }) =>
      `${privilegesText(privileges)} ON ${scopeText(scope, { literally: place.partialRevokes })}${grantOption ? ' +' : ''}`,
  );
}

describe('grants cut to one schema', () => {
  test.each<[string, string[], string[]]>([
    [
      'escaped',
      [String.raw`GRANT SELECT ON ${'`'}my\_shop${'`'}.* TO ${'`'}a${'`'}@${'`'}%${'`'}`],
      ['SELECT ON `my\\_shop`.*'],
    ],
    ['a pattern becomes the schema', ['GRANT SELECT ON `my%`.* TO `a`@`%`'], ['SELECT ON `my\\_shop`.*']],
    ['_ is a wildcard', ['GRANT SELECT ON `my_shop`.* TO `a`@`%`'], ['SELECT ON `my\\_shop`.*']],
    [
      'another schema',
      [
        String.raw`GRANT ALL PRIVILEGES ON ${'`'}my\%${'`'}.* TO ${'`'}a${'`'}@${'`'}%${'`'}`,
        'GRANT SELECT ON `shop`.* TO `a`@`%`',
      ],
      [],
    ],
    // https://dev.mysql.com/doc/refman/9.7/en/grant.html: the most exact one counts, not the union.
    [
      'the most exact pattern alone',
      ['GRANT INSERT ON `m%`.* TO `a`@`%`', 'GRANT SELECT ON `my\\_s%`.* TO `a`@`%`'],
      ['SELECT ON `my\\_shop`.*'],
    ],
    [
      'columns',
      ['GRANT SELECT, INSERT (`a`, `b``c`) ON `my_shop`.`t,(x` TO `a`@`%` WITH GRANT OPTION'],
      ['SELECT, INSERT (`a`, `b``c`) ON `my_shop`.`t,(x` +'],
    ],
    [
      'routines',
      [
        'GRANT EXECUTE, ALTER ROUTINE ON FUNCTION `my_shop`.`f` TO `a`@`%`',
        'GRANT EXECUTE ON PROCEDURE `other`.`p` TO `a`@`%`',
      ],
      ['EXECUTE, ALTER ROUTINE ON FUNCTION `my_shop`.`f`'],
    ],
    [
      'a table called by words',
      ['GRANT SELECT ON `my_shop`.`TO ON GRANT` TO `a`@`%`'],
      ['SELECT ON `my_shop`.`TO ON GRANT`'],
    ],
    [
      'the whole server',
      ['GRANT SELECT, PROCESS ON *.* TO `a`@`%` WITH GRANT OPTION', 'REVOKE INSERT ON `my_shop`.* FROM `a`@`%`'],
      [],
    ],
    [
      'the right to give alone',
      ['GRANT USAGE ON `my_shop`.`t` TO `a`@`%` WITH GRANT OPTION'],
      ['USAGE ON `my_shop`.`t` +'],
    ],
    ['MySQL 5.7', ["GRANT SELECT ON `my_shop`.* TO 'a'@'%'"], ['SELECT ON `my\\_shop`.*']],
    [
      'roles and proxies',
      ['GRANT `r`@`%`,`s`@`%` TO `a`@`%`', "GRANT PROXY ON 'x'@'%' TO 'a'@'%' WITH GRANT OPTION"],
      [],
    ],
  ])('%s', (_, lines, expected) => {
    expect(cut(lines)).toEqual(expected);
  });

  test('with partial revokes names are names', () => {
    const place = { database: 'my_shop', partialRevokes: true };
    expect(cut(['GRANT SELECT ON `my_shop`.* TO `a`@`%`'], place)).toEqual(['SELECT ON `my_shop`.*']);
    expect(cut(['GRANT SELECT ON `my%`.* TO `a`@`%`'], place)).toEqual([]);
  });

  test('what is left is told', () => {
    const lines = [
      'GRANT SELECT, PROCESS ON *.* TO `a`@`%`',
      'GRANT SELECT ON `my%`.* TO `a`@`%`',
      'GRANT SELECT ON `other`.* TO `a`@`%`',
      "GRANT PROXY ON 'x'@'%' TO 'a'@'%'",
      'GRANT SOMETHING NEW AT `x` TO `a`@`%`',
    ];
    expect(grantsElsewhere(lines.map(parseGrantStatement), MY_SHOP)).toEqual([
      'SELECT, PROCESS ON *.*',
      'SELECT ON `other`.*',
      "PROXY ON 'x'@'%'",
      'a grant of a kind that Switchyard does not know',
    ]);
  });
});

describe('what of a grant is missing', () => {
  const wanted = (line: string) => {
    const [grant] = cutGrants([parseGrantStatement(line)], MY_SHOP);
    if (grant === undefined) throw new Error(line);
    return grant;
  };
  test('what is added does not take the place of a pattern', () => {
    const given = ['GRANT SELECT, DELETE ON `my_shop`.* TO `a`@`%` WITH GRANT OPTION'].map(parseGrantStatement);
    const missing = missingGrant(wanted('GRANT SELECT, INSERT ON `my_shop`.* TO `a`@`%`'), given, MY_SHOP);
    const { privileges, grantOption } = completedGrant(missing ?? wanted(''), given, MY_SHOP);
    expect([privilegesText(privileges), grantOption]).toEqual(['SELECT, DELETE, INSERT', true]);
    const whole = completedGrant(wanted('GRANT ALL PRIVILEGES ON `my_shop`.* TO `a`@`%`'), given, MY_SHOP);
    expect(privilegesText(whole.privileges)).toBe('ALL PRIVILEGES');
  });

  test('a wider pattern that a more exact one hides covers nothing', () => {
    const given = ['GRANT INSERT ON `m%`.* TO `a`@`%`', 'GRANT SELECT ON `my_shop`.* TO `a`@`%`'].map(
      parseGrantStatement,
    );
    expect(missingGrant(wanted('GRANT INSERT ON `my_shop`.* TO `a`@`%`'), given, MY_SHOP)).not.toBe(null);
  });

  test.each<[string, string[], string | null]>([
    ['GRANT SELECT ON `my_shop`.`t` TO `a`@`%`', ['GRANT SELECT ON *.* TO `a`@`%`'], null],
    ['GRANT SELECT ON `my_shop`.`t` TO `a`@`%`', ['GRANT ALL PRIVILEGES ON `my%`.* TO `a`@`%`'], null],
    ['GRANT SELECT ON `my_shop`.`t` TO `a`@`%`', ['GRANT SELECT (`b`) ON `my_shop`.`t` TO `a`@`%`'], 'SELECT'],
    [
      'GRANT SELECT (`a`, `b`) ON `my_shop`.`t` TO `a`@`%`',
      ['GRANT SELECT (`b`) ON `my_shop`.`t` TO `a`@`%`'],
      'SELECT (`a`)',
    ],
    ['GRANT SELECT (`b`) ON `my_shop`.`t` TO `a`@`%`', ['GRANT SELECT ON `my_shop`.`t` TO `a`@`%`'], null],
    [
      'GRANT SELECT, INSERT ON `my_shop`.* TO `a`@`%`',
      ['GRANT SELECT ON `my_shop`.* TO `a`@`%`', 'GRANT INSERT ON `my_shop`.`t` TO `a`@`%`'],
      'INSERT',
    ],
    ['GRANT SELECT ON `my_shop`.* TO `a`@`%` WITH GRANT OPTION', ['GRANT SELECT ON `my_shop`.* TO `a`@`%`'], 'USAGE'],
    // A partial revoke may have taken it away.
    [
      'GRANT INSERT ON `my_shop`.* TO `a`@`%`',
      ['GRANT INSERT ON *.* TO `a`@`%`', 'REVOKE INSERT ON `my_shop`.* FROM `a`@`%`'],
      'INSERT',
    ],
  ])('%s', (line, given, expected) => {
    const missing = missingGrant(wanted(line), given.map(parseGrantStatement), MY_SHOP);
    expect(missing === null ? null : privilegesText(missing.privileges)).toBe(expected);
  });
});
