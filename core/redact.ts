const SECRET_NAMES = /^(?:pass(?:word|wd|phrase)?|pwd|secret|token|authorization|private_?key|api_?key|auth_?string)$/i;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
const IDENTIFIED =
  /(IDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)\s+(?:PASSWORD\s+)?)(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")/gi;
const DSN_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s"'<>]+@/gi;
const DEPTH_MAX = 12;

/**
 * The last net below "details and messages never hold a secret": what leaves through a problem document or a log line
 * passes here. By name of the property, and by forms that give a secret away inside a text (a private key, a CREATE USER
 * statement, the password in a DSN). A property called `key` is left alone: it mostly is a row's key.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return value;
  if (depth >= DEPTH_MAX) return '[cut]';
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, SECRET_NAMES.test(name) ? '[hidden]' : redact(item, depth + 1)]),
  );
}

export function redactText(text: string): string {
  return text
    .replace(PRIVATE_KEY, '[hidden private key]')
    .replace(IDENTIFIED, "$1'[hidden]'")
    .replace(DSN_PASSWORD, '$1[hidden]@');
}
