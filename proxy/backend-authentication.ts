import {
  AUTH_MESSAGE,
  CACHING_SHA2,
  SHA256_REQUEST_PUBLIC_KEY,
  parseAuthSwitch,
  type AuthSwitch,
  type ReceivedAuthSwitch,
} from '../core/wire/auth-exchange.ts';
import { ed25519Response, parsecResponse } from '../core/wire/ed25519.ts';
import { parseErr } from '../core/wire/err-packet.ts';
import { cachingSha2Response, encryptPassword, nativePasswordResponse } from '../core/wire/scramble.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import type { MessageStream } from './message-stream.ts';

const NUL = Buffer.of(0);
/** Of MariaDB's own plugins. */
const LONG_SCRAMBLE_BYTES = 32;

/** The first answer to `plugin`, sent within the handshake response or after an AuthSwitchRequest; null: not supported. */
export function firstAuthResponse(
  { plugin, scramble, data = scramble }: AuthSwitch & Partial<ReceivedAuthSwitch>,
  password: Buffer,
  isSecure: boolean,
): Buffer | null {
  switch (plugin) {
    case 'caching_sha2_password':
      return cachingSha2Response(password, scramble);
    case 'mysql_native_password':
      return nativePasswordResponse(password, scramble);
    case 'sha256_password':
      if (password.length === 0) return NUL;
      return isSecure ? Buffer.concat([password, NUL]) : Buffer.of(SHA256_REQUEST_PUBLIC_KEY);
    case 'client_ed25519':
      return ed25519Response(password, data.subarray(0, LONG_SCRAMBLE_BYTES));
    case 'parsec':
      // Empty: asks for the salt.
      return Buffer.alloc(0);
    case 'mysql_clear_password':
      return isSecure ? Buffer.concat([password, NUL]) : null;
    default:
      return null;
  }
}

/**
 * Goes on after the handshake response until the server accepts; its refusal, and a plugin that we lack, come as
 * ClientError. Returns the OK payload.
 */
export async function finishBackendAuthentication(
  stream: MessageStream,
  first: AuthSwitch,
  { password, isSecure }: { password: Buffer; isSecure: boolean },
): Promise<Buffer> {
  let current: AuthSwitch & Partial<ReceivedAuthSwitch> = first;
  for (;;) {
    const payload = await stream.next();
    switch (payload[0]) {
      case AUTH_MESSAGE.OK:
        return payload;
      case AUTH_MESSAGE.ERROR:
        throw new ClientError(parseErr(payload));
      case AUTH_MESSAGE.SWITCH: {
        current = parseAuthSwitch(payload);
        const response = firstAuthResponse(current, password, isSecure);
        if (response === null) throw new ClientError(CLIENT_ERROR.unsupportedPlugin(current.plugin));
        stream.write(response);
        break;
      }
      case AUTH_MESSAGE.MORE_DATA: {
        const answer = answerMoreData(payload.subarray(1), current, { password, isSecure });
        if (answer !== null) stream.write(answer);
        break;
      }
      default:
        throw new ClientError(CLIENT_ERROR.unsupportedPlugin(current.plugin));
    }
  }
}

/** The client itself answers: only for mysql_native_password, whose answer is worth nothing to us. */
export async function relayBackendAuthentication(
  stream: MessageStream,
  answer: (challenge: Buffer) => Promise<Buffer>,
): Promise<void> {
  for (;;) {
    const payload = await stream.next();
    if (payload[0] === AUTH_MESSAGE.OK) return;
    if (payload[0] === AUTH_MESSAGE.ERROR) throw new ClientError(parseErr(payload));
    const plugin = payload[0] === AUTH_MESSAGE.SWITCH ? parseAuthSwitch(payload).plugin : 'without a challenge';
    if (plugin !== 'mysql_native_password') throw new ClientError(CLIENT_ERROR.unsupportedPlugin(plugin));
    stream.write(await answer(payload));
  }
}

function answerMoreData(
  data: Buffer,
  current: AuthSwitch & Partial<ReceivedAuthSwitch>,
  { password, isSecure }: { password: Buffer; isSecure: boolean },
): Buffer | null {
  if (current.plugin === 'parsec')
    return parsecResponse(password, (current.data ?? NUL).subarray(0, LONG_SCRAMBLE_BYTES), data);
  if (data.length === 1 && data[0] === CACHING_SHA2.FAST_SUCCESS) return null;
  if (data.length === 1 && data[0] === CACHING_SHA2.FULL_AUTHENTICATION) {
    return isSecure ? Buffer.concat([password, NUL]) : Buffer.of(CACHING_SHA2.REQUEST_PUBLIC_KEY);
  }
  // What is left is the server's public key.
  return encryptPassword(password, current.scramble, data);
}
