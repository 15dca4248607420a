import { CAPABILITY } from '../../core/wire/capabilities.ts';
import { ByteWriter } from '../../core/wire/byte-writer.ts';
import { COMMAND } from '../../core/wire/command.ts';
import { ERR_HEADER } from '../../core/wire/err-packet.ts';
import { OK_HEADER } from '../../core/wire/ok-packet.ts';
import { RawClient } from '../support/raw-client.ts';
import type { StepAnswer } from './readable-answer.ts';

/** What a client does on its connection. `nth` counts the statements that were prepared since the last reset. */
export type SessionStep =
  /** As latin1: every character one byte; `PLACE` stands for the session's own schema, and begins its other names. */
  | { kind: 'query'; text: string }
  | { kind: 'prepare'; text: string }
  /** `parameter`: for all of them. */
  | { kind: 'execute'; nth: number; parameter: string | number | null; cursor?: boolean }
  | { kind: 'fetch' | 'close' | 'reset-statement'; nth: number }
  /** The first parameter's value, ahead of an execution. */
  | { kind: 'long-data'; nth: number; text: string }
  | { kind: 'set-option'; multiStatements: boolean }
  | { kind: 'init-db'; schema: string }
  | { kind: 'reset-connection' }
  | { kind: 'change-user'; collation: number };

export interface SessionLoginChoice {
  collation: number;
  isOld: boolean;
  schema: string;
}

interface BinaryStatement {
  id: number;
  text: string;
  parameters: number;
  /** From then on every execution has one: MySQL does not answer one without a cursor behind one with it. */
  hadCursor: boolean;
  hasLongData: boolean;
  /** As it was bound first: MySQL takes every later value for one of that type, where the statement's text tells none. */
  bound: string | number | null;
}

const TYPE = { LONGLONG: 8, NULL: 6, VAR_STRING: 253 } as const;

/** One connection that carries out steps; the same ones do the same on any server. */
export class StepClient implements AsyncDisposable {
  readonly #client: RawClient;
  readonly #schema: string;
  #statements: BinaryStatement[] = [];

  private constructor(client: RawClient, schema: string) {
    this.#client = client;
    this.#schema = schema;
  }

  static async open(port: number, { collation, isOld, schema }: SessionLoginChoice): Promise<StepClient> {
    const capabilities = [...(isOld ? [] : [CAPABILITY.DEPRECATE_EOF]), CAPABILITY.MULTI_STATEMENTS];
    return new StepClient(await RawClient.open(port, { capabilities, collation, database: schema }), schema);
  }

  /** Of this end of the connection. */
  get localPort(): number {
    return this.#client.localPort;
  }

  get prepared(): string[] {
    return this.#statements.map(({ text }) => text);
  }

  async do(step: SessionStep): Promise<StepAnswer> {
    switch (step.kind) {
      case 'query':
        return this.#client.askAlone(command(COMMAND.QUERY, this.#own(step.text)));
      case 'prepare':
        return this.#prepare(this.#own(step.text));
      case 'init-db':
        return this.#client.askAlone(command(COMMAND.INIT_DB, this.#own(step.schema)));
      case 'set-option':
        return this.#client.askAlone(Buffer.of(COMMAND.SET_OPTION, step.multiStatements ? 0 : 1, 0));
      case 'reset-connection':
        this.#statements = [];
        return this.#client.askAlone(Buffer.of(COMMAND.RESET_CONNECTION));
      case 'change-user':
        this.#statements = [];
        // Only whether it is taken: the way there, with another salt each time, is not for comparison.
        return (await this.#client.changeUser(step.collation)) === OK_HEADER ? [] : [Buffer.of(ERR_HEADER)];
      default: {
        const statement = this.#statements[step.nth];
        return statement === undefined ? [] : this.#withStatement(step, statement);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  #own(text: string): string {
    return text.replaceAll('PLACE', this.#schema);
  }

  async #prepare(text: string): Promise<StepAnswer> {
    const [first, ...rest] = await this.#client.askAlone(command(COMMAND.STMT_PREPARE, text));
    if (!(first instanceof Buffer) || first[0] !== 0) return [first ?? 'closed', ...rest];
    this.#statements.push({
      id: first.readUInt32LE(1),
      text,
      parameters: first.readUInt16LE(7),
      hadCursor: false,
      hasLongData: false,
      bound: null,
    });
    first.writeUInt32LE(this.#statements.length, 1);
    return [first, ...rest];
  }

  async #withStatement(step: Extract<SessionStep, { nth: number }>, statement: BinaryStatement): Promise<StepAnswer> {
    const { id, parameters } = statement;
    switch (step.kind) {
      case 'execute': {
        statement.hadCursor ||= step.cursor ?? false;
        // Names of locks are the whole server's.
        const isOwnName = step.parameter !== null && statement.text.includes('_LOCK(');
        const parameter = isOwnName ? `${this.#schema}_${step.parameter}` : step.parameter;
        statement.bound ??= statement.hasLongData ? 'sent ahead' : parameter;
        const isOfType = parameter === null || typeof parameter === typeof statement.bound;
        const sent = executeCommand(
          { ...step, parameter: isOfType ? parameter : statement.bound, cursor: statement.hadCursor },
          statement,
        );
        statement.hasLongData = false;
        return this.#client.askAlone(sent);
      }
      case 'long-data':
        if (parameters === 0) return [];
        statement.hasLongData = true;
        this.#client.tell(
          new ByteWriter()
            .uint8(COMMAND.STMT_SEND_LONG_DATA)
            .uint32(id)
            .uint16(0)
            .bytes(Buffer.from(step.text))
            .toBuffer(),
        );
        return [];
      case 'fetch':
        return this.#client.askAlone(new ByteWriter().uint8(COMMAND.STMT_FETCH).uint32(id).uint32(1).toBuffer());
      case 'reset-statement':
        statement.hasLongData = false;
        return this.#client.askAlone(new ByteWriter().uint8(COMMAND.STMT_RESET).uint32(id).toBuffer());
      case 'close':
        this.#client.tell(new ByteWriter().uint8(COMMAND.STMT_CLOSE).uint32(id).toBuffer());
        return [];
      default:
        throw new Error(`unknown step ${JSON.stringify(step satisfies never)}`);
    }
  }
}

function command(code: number, text: string): Buffer {
  return Buffer.concat([Buffer.of(code), Buffer.from(text, 'latin1')]);
}

function executeCommand(
  { parameter, cursor = false }: Extract<SessionStep, { kind: 'execute' }>,
  { id, parameters, hasLongData }: BinaryStatement,
): Buffer {
  const writer = new ByteWriter()
    .uint8(COMMAND.STMT_EXECUTE)
    .uint32(id)
    .uint8(cursor ? 1 : 0)
    .uint32(1);
  if (parameters === 0) return writer.toBuffer();
  const isNull = parameter === null && !hasLongData;
  for (let index = 0; index < (parameters + 7) >> 3; index += 1) writer.uint8(isNull ? 0xff : 0);
  writer.uint8(1);
  const type = isNull ? TYPE.NULL : typeof parameter === 'number' && !hasLongData ? TYPE.LONGLONG : TYPE.VAR_STRING;
  for (let index = 0; index < parameters; index += 1) writer.uint16(type);
  // What was sent ahead stands for the first one.
  const first = hasLongData ? 1 : 0;
  const last = isNull ? 0 : parameters;
  for (let index = first; index < last; index += 1) {
    if (type === TYPE.LONGLONG) writer.uint32(Number(parameter)).uint32(0);
    else writer.lenencBytes(Buffer.from(String(parameter), 'latin1'));
  }
  return writer.toBuffer();
}
