/** What decides how a server reads the bytes of a statement. */
export interface Reading {
  /** False with NO_BACKSLASH_ESCAPES: then a backslash does not keep a string open. */
  readonly escapesByBackslash: boolean;
  /** The client's characters may end in a byte that looks like a backslash or a quote. */
  readonly hasWideCharacters: boolean;
  readonly systemVariables: ReadonlyMap<string, Buffer>;
  /** Of the connection, where it is not the default one of its character set. */
  readonly collation: string;
}

export const PLAIN_READING: Reading = {
  escapesByBackslash: true,
  hasWideCharacters: false,
  systemVariables: new Map(),
  collation: '',
};

/** Character sets whose second bytes reach into ASCII. The server's other multi-byte ones that clients may use do not. */
export const WIDE_CHARSETS: ReadonlySet<string> = new Set(['big5', 'cp932', 'gb18030', 'gbk', 'sjis']);

/** The ids of their collations, for a login that names one. Source: information_schema.COLLATIONS. */
export const WIDE_COLLATIONS: ReadonlySet<number> = new Set([1, 13, 28, 84, 87, 88, 95, 96, 248, 249, 250]);

const WIDE_CHARACTER = /([\x81-\xfe])[\x40-\x7e]/g;

/** The same text with no byte in it that only looks like ASCII; as latin1, of the same length. */
export function narrowed(text: string): string {
  return text.replaceAll(WIDE_CHARACTER, '$1\xff');
}

export function hasHighBytes(text: string): boolean {
  return /[\x80-\xff]/.test(text);
}

/** Only ASCII: other bytes are parts of characters that nobody has decoded. */
export function lowerCase(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (capitals) => capitals.toLowerCase());
}

/** What the text of a prepared statement was read by; null: it means the same whatever that is. */
export interface TextMeaning {
  readonly charset: string | null;
  readonly modes: string | null;
}

const DEPENDS_ON_MODES = /["|\\]/;
/** A text in quotes, and what functions make of numbers and times, has the collation of the connection. */
const DEPENDS_ON_COLLATION = /["'(\x80-\xff]/;
const MODES = ['ANSI_QUOTES', 'PIPES_AS_CONCAT', 'NO_BACKSLASH_ESCAPES', 'ANSI', 'ORACLE'];

/** Prepared anew on another server, the text is read by what holds then: that has to be the same (I5). */
export function meaningOf(text: string, reading: Reading): TextMeaning {
  return {
    charset: DEPENDS_ON_COLLATION.test(text) ? charsetOf(reading) : null,
    modes: DEPENDS_ON_MODES.test(text) ? modesOf(reading) : null,
  };
}

export function stillMeansTheSame({ charset, modes }: TextMeaning, reading: Reading): boolean {
  return (charset === null || charset === charsetOf(reading)) && (modes === null || modes === modesOf(reading));
}

/** Empty where only the login said it. */
function charsetOf({ systemVariables, collation }: Reading): string {
  const said = ['character_set_client', 'character_set_connection'].map((name) => systemVariables.get(name));
  return [...said.map((value) => value?.toString('latin1') ?? ''), collation].join();
}

function modesOf({ systemVariables }: Reading): string {
  const said = systemVariables.get('sql_mode')?.toString('latin1');
  if (said === undefined) return 'as at the login';
  const modes = new Set(said.toUpperCase().split(','));
  return MODES.filter((mode) => modes.has(mode)).join();
}
