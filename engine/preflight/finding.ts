import type { Finding } from '../api.ts';
import type { Side } from '../../core/phase.ts';
import { FINDINGS, type FindingCode } from './finding-table.ts';

/** A finding of `code`; what to do comes from the table unless the case has a statement of its own. */
export function finding(
  code: FindingCode,
  side: Side,
  subject: string | null,
  message: string,
  fix: string = FINDINGS[code].fix,
): Finding {
  const { severity, skippable } = FINDINGS[code];
  return { code, severity, skippable, side, subject, message, fix };
}

/** `a, b, c and 7 more`, so that a thousand names do not fill a screen. */
export function listed(names: readonly string[], most = 20): string {
  return names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}
