import { pino, type Logger } from 'pino';
import { redactText } from './redact.ts';

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

/** JSON lines on stderr; secrets are cut out by name wherever an object is logged, and by their form in any text. */
export function createLogger(process: string, level: string): Logger {
  const stderr = pino.destination({ dest: 2, sync: true });
  return pino(
    { level, base: { process }, redact: { paths: SECRETS, censor: '[secret]' } },
    { write: (line) => stderr.write(redactText(line)) },
  );
}
