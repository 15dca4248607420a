import { pino, type Logger } from 'pino';

const SECRETS = [
  'password',
  '*.password',
  '*.*.password',
  'token',
  '*.token',
  '*.*.token',
  'key',
  '*.tls.key',
  '*.*.tls.key',
];

/** JSON lines on stderr; secrets are cut out by name wherever an object is logged. */
export function createLogger(process: string, level: string): Logger {
  return pino(
    { level, base: { process }, redact: { paths: SECRETS, censor: '[secret]' } },
    pino.destination({ dest: 2, sync: true }),
  );
}
