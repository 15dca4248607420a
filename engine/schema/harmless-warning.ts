/**
 * Charsets of one byte a character, some of whose bytes stand for no character. Columns hold them all the same (0x98 in
 * cp1251), and a literal draws warning 1300 but keeps its bytes.
 */
const SINGLE_BYTE_CHARSETS: ReadonlySet<string> = new Set(
  (
    'armscii8 ascii cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 dec8 geostd8 greek hebrew hp8 keybcs2 koi8r koi8u ' +
    'latin1 latin2 latin5 latin7 macce macroman swe7 tis620'
  ).split(' '),
);

/** Whether a warning (`CODE: message`) of a statement with `literal`s says nothing about the value: notes on syntax. */
export function isHarmlessWarning(warning: string): boolean {
  if (/^(1287|3719|3720|3778|1681):/.test(warning)) return true;
  // MariaDB, of the 64th member of a SET.
  if (warning.startsWith('1105: Cast to unsigned converted negative integer')) return true;
  const charset = /^1300: Invalid (\w+) character string/.exec(warning)?.[1];
  return charset !== undefined && SINGLE_BYTE_CHARSETS.has(charset);
}
