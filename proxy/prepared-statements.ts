import { ByteReader } from '../core/wire/byte-reader.ts';
import { CAPABILITY, hasCapability } from '../core/wire/capabilities.ts';
import { COMMAND } from '../core/wire/command.ts';
import type { OwnError } from './client-error.ts';
import type { StatementEffect } from './statement-effects.ts';
import { stillMeansTheSame, type Reading, type TextMeaning } from './statement-reading.ts';

/** One statement of the binary protocol, as the client knows it. */
export interface PreparedStatement {
  readonly clientId: number;
  readonly text: Buffer;
  /** The default schema when it was prepared: names in it stay resolved against that one. */
  readonly schema: string | null;
  readonly effects: readonly StatementEffect[];
  readonly meaning: TextMeaning;
  parameterCount: number;
  /** Its id on the server that the session uses now; null until it is prepared there. */
  backendId: number | null;
  /** Why it could not be prepared there, said to the command that wanted it. */
  refusal: OwnError | null;
  /** As the client bound them last; drivers send them with the first execution only. */
  parameterTypes: Buffer | null;
  /** The server on which the parameter types were told; a new one has not heard them. */
  typesKnown: boolean;
  hasLongData: boolean;
  hasCursor: boolean;
}

/** The same text would be read in another way now. */
export const OTHER_MEANING_PIN = 'a statement that was prepared under another character set or sql_mode';

/** EXECUTE flag: the packet tells its number of parameters (query attributes). */
const PARAMETER_COUNT_AVAILABLE = 0x08;
const CURSOR_FLAGS = 0x07;
/** VARCHAR, the BLOBs, VAR_STRING, STRING. Source: MySQL internals, enum_field_types. */
const TEXT_TYPES: ReadonlySet<number> = new Set([15, 249, 250, 251, 252, 253, 254]);
/** From here on a length takes more than its first byte. */
const LONGER_LENGTH = 0xfb;

/**
 * The statements of a session. Clients see ids of our own, so that those of a server that the session left never
 * clash with new ones.
 */
export class PreparedStatements {
  readonly #byClientId = new Map<number, PreparedStatement>();
  #lastClientId = 0;
  /** Some could not be prepared on the server that the session came to. */
  #hasMissing = false;

  get size(): number {
    return this.#byClientId.size;
  }

  get hasMissing(): boolean {
    return this.#hasMissing;
  }

  get(clientId: number): PreparedStatement | undefined {
    return this.#byClientId.get(clientId);
  }

  all(): PreparedStatement[] {
    return [...this.#byClientId.values()];
  }

  add(
    prepared: Pick<PreparedStatement, 'text' | 'schema' | 'effects' | 'meaning' | 'parameterCount'> & {
      backendId: number;
    },
  ): PreparedStatement {
    this.#lastClientId += 1;
    const statement: PreparedStatement = {
      ...prepared,
      clientId: this.#lastClientId,
      refusal: null,
      parameterTypes: null,
      typesKnown: false,
      hasLongData: false,
      hasCursor: false,
    };
    this.#byClientId.set(statement.clientId, statement);
    return statement;
  }

  remove(clientId: number): void {
    this.#byClientId.delete(clientId);
  }

  clear(): void {
    this.#byClientId.clear();
  }

  /** After a move: every statement has the id that it has on the new server, or none yet. */
  rebind(ids: ReadonlyMap<number, number>): void {
    for (const statement of this.#byClientId.values()) {
      statement.backendId = ids.get(statement.clientId) ?? null;
      // What was said in the move need not hold any more when it is executed: then it is tried again.
      statement.refusal = null;
      statement.typesKnown = false;
    }
    this.#hasMissing = this.all().some(({ backendId }) => backendId === null);
  }

  /** Why the session cannot leave its server because of its statements. */
  pins(reading: Reading): string[] {
    const reasons: string[] = [];
    for (const { hasCursor, hasLongData, meaning } of this.#byClientId.values()) {
      if (hasCursor) reasons.push('open cursor');
      if (hasLongData) reasons.push('parameter data sent ahead of an execution');
      if (!stillMeansTheSame(meaning, reading)) reasons.push(OTHER_MEANING_PIN);
    }
    return reasons;
  }
}

export function statementIdOf(payload: Buffer): number {
  return payload.length >= 5 ? payload.readUInt32LE(1) : 0;
}

export interface ExecuteLayout {
  wantsCursor: boolean;
  /** Offset of the new-params-bound byte; null when there are no parameters. */
  boundFlagOffset: number | null;
  /** Types (and names, with query attributes), present only when the flag is 1. */
  types: Buffer | null;
  /** Where the bits of the parameters that are NULL begin. */
  nullBitsOffset: number;
}

/** Where things are in a COM_STMT_EXECUTE payload. Source: MySQL internals, COM_STMT_EXECUTE. */
export function executeLayout(payload: Buffer, statement: PreparedStatement, capabilities: number): ExecuteLayout {
  const hasAttributes = hasCapability(capabilities, CAPABILITY.QUERY_ATTRIBUTES);
  const reader = new ByteReader(payload, 5);
  const flags = reader.uint8();
  reader.skip(4);
  const wantsCursor = (flags & CURSOR_FLAGS) !== 0;
  const tellsCount = hasAttributes && (flags & PARAMETER_COUNT_AVAILABLE) !== 0;
  let count = statement.parameterCount;
  if (tellsCount) count = reader.lenenc();
  const nullBitsOffset = reader.offset;
  if (count === 0) return { wantsCursor, boundFlagOffset: null, types: null, nullBitsOffset };
  reader.skip((count + 7) >> 3);
  const boundFlagOffset = reader.offset;
  if (reader.uint8() !== 1) return { wantsCursor, boundFlagOffset, types: null, nullBitsOffset };
  const start = reader.offset;
  for (let index = 0; index < count; index += 1) {
    reader.skip(2);
    if (tellsCount) reader.skip(reader.lenenc());
  }
  return { wantsCursor, boundFlagOffset, types: payload.subarray(start, reader.offset), nullBitsOffset };
}

/** As latin1; null where it is no text, or does not stand in this packet. Source: MySQL internals, COM_STMT_EXECUTE. */
export function firstTextParameter(
  payload: Buffer,
  { boundFlagOffset, types, nullBitsOffset }: ExecuteLayout,
  { parameterTypes, hasLongData }: PreparedStatement,
): string | null {
  const told = types ?? parameterTypes;
  if (boundFlagOffset === null || told === null || hasLongData) return null;
  const isNull = (payload.readUInt8(nullBitsOffset) & 1) !== 0;
  if (isNull || !TEXT_TYPES.has(told.readUInt8(0))) return null;
  const reader = new ByteReader(payload, boundFlagOffset + 1 + (types?.length ?? 0));
  const isShort = reader.remaining > 0 && payload.readUInt8(reader.offset) <= reader.remaining - 1;
  return isShort && payload.readUInt8(reader.offset) < LONGER_LENGTH ? reader.lenencBytes().toString('latin1') : null;
}

/** The same execution with the parameter types in it, for a server that has not heard them. */
export function withParameterTypes(payload: Buffer, boundFlagOffset: number, types: Buffer): Buffer {
  const before = payload.subarray(0, boundFlagOffset);
  return Buffer.concat([before, Buffer.of(1), types, payload.subarray(boundFlagOffset + 1)]);
}

export function prepareCommand(text: Buffer): Buffer {
  return Buffer.concat([Buffer.of(COMMAND.STMT_PREPARE), text]);
}

export function closeCommand(statementId: number): Buffer {
  const command = Buffer.alloc(5);
  command.writeUInt8(COMMAND.STMT_CLOSE);
  command.writeUInt32LE(statementId, 1);
  return command;
}
