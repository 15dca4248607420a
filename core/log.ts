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

/** Lines that cannot be written are kept up to here, for when they can; then they are lost. */
const KEPT_BYTES = 1024 * 1024;

/**
 * JSON lines on stderr; secrets are cut out by name wherever an object is logged, and by their form in any text. A full disk under
 * the log, or nobody who reads it, is no reason to end: sessions would end with the process.
 */
export function createLogger(process: string, level: string): Logger {
  const stderr = pino.destination({ dest: 2, sync: true, maxLength: KEPT_BYTES });
  stderr.on('error', () => {});
  return pino(
    { level, base: { process }, redact: { paths: SECRETS, censor: '[secret]' } },
    { write: (line) => stderr.write(redactText(line)) },
  );
}
