import { expect, test } from 'vitest';
import { errorOfWritten } from './shown-error.ts';

const near = (shown: string) => `You have an error in your SQL syntax; use near '${shown.slice(0, 80)}' at line 1`;
const SHOWN = `SELECT 'Error' AS \`Level\`, 1094 AS \`Code\`, _utf8mb4 X'00' AS \`Message\` LIMIT 18446744073709551615`;
const WRITTEN = `DO 1; SHOW WARNINGS; DO 2; SHOW WARNINGS; DO 3, ${'4, '.repeat(40)}`;

const edits = [6, 27].map((start) => ({ start, end: start + 'SHOW WARNINGS'.length, text: SHOWN }));
const sent = { text: WRITTEN.replaceAll('SHOW WARNINGS', SHOWN), edits };

test.each(['DO 1', ' DO 2', 'DO 3', 'DO 3, 4, 4, '])('an error near %s shows the text of the client', (place) => {
  const shown = near(sent.text.slice(sent.text.indexOf(place)));
  expect(errorOfWritten(shown, WRITTEN, sent)).toBe(near(WRITTEN.slice(WRITTEN.indexOf(place))));
});

test('an error that shows none of it stays', () => {
  expect(errorOfWritten(near('nothing of the text'), WRITTEN, sent)).toBe(near('nothing of the text'));
});
