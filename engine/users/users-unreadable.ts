import { AppError } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';

export interface UnreadableSide {
  side: Side;
  /** The server's own words. */
  reason: string;
  /** What our user lacks there. */
  grant: string;
}

/** Every side at once, so that nobody has to come back for the second one. */
export class UsersUnreadable extends AppError {
  readonly sides: readonly UnreadableSide[];

  constructor(sides: readonly UnreadableSide[]) {
    const what = sides.map(
      ({ side, reason, grant }) => `the accounts of the ${side} cannot be read (${grant}): ${reason}`,
    );
    super('USERS_UNREADABLE', what.join('; '), { details: { sides } });
    this.sides = sides;
  }
}
