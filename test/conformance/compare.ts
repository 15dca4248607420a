/**
 * Lines in which two outputs differ, after what may differ was made equal: durations, and connection ids where a
 * client prints them.
 */
export function differences(direct: string, proxied: string): string[] {
  const [a, b] = [normalized(direct), normalized(proxied)];
  const found: string[] = [];
  for (let line = 0; line < Math.max(a.length, b.length); line += 1) {
    if (a[line] === b[line]) continue;
    found.push(`line ${line + 1}`, `  direct: ${shorten(a[line])}`, `  proxy:  ${shorten(b[line])}`);
  }
  return found;
}

function normalized(text: string): string[] {
  return text
    .replaceAll(/\((\d+ (?:min|hours?|days?) )*\d+[.,]\d+ secs?\)/g, '(… sec)')
    .replaceAll(/^-- Dump completed on .*$/gm, '-- Dump completed')
    .replaceAll(/127\.0\.0\.1:\d+|port[ =]\d+/gi, 'the server')
    .split('\n');
}

function shorten(line: string | undefined): string {
  return line === undefined ? '(nothing)' : line.slice(0, 400);
}
