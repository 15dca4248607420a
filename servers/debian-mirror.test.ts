import { expect, test } from 'vitest';
import { mirrorIn } from './debian-mirror.ts';

test('the mirror is found in both formats of apt sources', () => {
  expect(mirrorIn('Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n')).toBe(
    'http://mirror.example/debian',
  );
  expect(mirrorIn('deb http://mirror.example/debian bookworm main\n')).toBe('http://mirror.example/debian');
  expect(mirrorIn('deb [arch=amd64 signed-by=/k] http://mirror.example/debian/ bookworm main\n')).toBe(
    'http://mirror.example/debian/',
  );
});

test('security updates and other repositories are not the archive', () => {
  expect(mirrorIn('deb http://mirror.example/debian-security bookworm-security main\n')).toBeUndefined();
  expect(mirrorIn('deb http://other.example/tool nodistro main\n')).toBeUndefined();
  expect(mirrorIn('# deb http://mirror.example/debian bookworm main\n')).toBeUndefined();
});
