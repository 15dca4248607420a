import type { PinnedSession, SessionView } from '../core/control/protocol.ts';
import type { Relay } from './relay.ts';
import type { SessionLogin } from './session-login.ts';
import type { Role } from '../core/routing-record.ts';

/** What a session is shown as. */
export class SessionPortrait {
  readonly #sessionId: string;
  readonly #instanceId: string;
  readonly #role: Role;
  readonly #address: string;
  readonly #startedAt = performance.now();

  constructor(of: { sessionId: string; instanceId: string; role: Role; address: string }) {
    this.#sessionId = of.sessionId;
    this.#instanceId = of.instanceId;
    this.#role = of.role;
    this.#address = of.address;
  }

  pinned({ profile }: SessionLogin, reasons: string[]): PinnedSession {
    const user = profile.credentials.user.toString('utf8');
    return { sessionId: this.#sessionId, user, address: this.#address, reasons };
  }

  view(login: SessionLogin, relay: Relay, state: SessionView['state']): SessionView {
    const nowMs = performance.now();
    const { transactionSinceMs } = login.state;
    return {
      sessionId: this.#sessionId,
      instanceId: this.#instanceId,
      user: login.profile.credentials.user.toString('utf8'),
      address: this.#address,
      database: login.state.schema,
      role: this.#role,
      side: login.backend.destination.side,
      state,
      inTransaction: login.state.inTransaction,
      transactionAgeMs: transactionSinceMs === null ? null : Math.round(nowMs - transactionSinceMs),
      pins: login.pins(),
      bytesIn: relay.bytesIn,
      bytesOut: relay.bytesOut,
      ageMs: Math.round(nowMs - this.#startedAt),
    };
  }
}
