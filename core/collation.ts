/** MariaDB's language names, and MySQL's for the same rules (Unicode 9.0 collations of utf8mb4). */
const LANGUAGES: Record<string, string> = {
  icelandic: 'is',
  latvian: 'lv',
  romanian: 'ro',
  slovenian: 'sl',
  polish: 'pl',
  estonian: 'et',
  spanish: 'es',
  swedish: 'sv',
  turkish: 'tr',
  czech: 'cs',
  danish: 'da',
  lithuanian: 'lt',
  slovak: 'sk',
  spanish2: 'es_trad',
  roman: 'la',
  esperanto: 'eo',
  hungarian: 'hu',
  croatian: 'hr',
  german2: 'de_pb',
  vietnamese: 'vi',
};

/**
 * The collation for `name` on a server that knows `known`: itself, else the nearest one, else null. MariaDB's
 * `uca1400` collations become MySQL's `0900`: younger tables of the same algorithm, and NO PAD where MariaDB pads. So
 * what was equal with a trailing space is different there, and a few rare characters compare otherwise.
 */
export function translateCollation(name: string, known: ReadonlySet<string>): string | null {
  const candidates = [name, ...nearest(name)];
  return candidates.find((candidate) => known.has(candidate)) ?? null;
}

function nearest(name: string): string[] {
  const plain = name.replace('_nopad', '');
  const uca = /^(\w+?)_uca1400(?:_(\w+?))?_(ai|as)_(ci|cs)$/.exec(plain);
  if (uca !== null) {
    const [, charset = '', language, accents = 'ai', cases = 'ci'] = uca;
    if (charset !== 'utf8mb4') {
      // There is none that is sensitive, but the binary one: the others would make keys equal.
      if (accents === 'as' || cases === 'cs') return [`${charset}_bin`];
      return [language === undefined ? '' : `${charset}_${language}_ci`, `${charset}_unicode_520_ci`];
    }
    const prefix = language === undefined ? 'utf8mb4' : `utf8mb4_${LANGUAGES[language] ?? language}`;
    // The one that tells more apart, where there is no exact one: it never makes two keys of the source equal.
    return [`${prefix}_0900_${accents}_${cases}`, `${prefix}_0900_as_cs`, 'utf8mb4_0900_as_cs'];
  }
  if (plain === 'utf8mb4_bin' && name !== plain) return ['utf8mb4_0900_bin'];
  const alias = name.startsWith('utf8_') ? name.replace('utf8_', 'utf8mb3_') : name.replace('utf8mb3_', 'utf8_');
  return [plain, plain.replace('_mysql561', ''), alias];
}

const UCA_1400 = /^(utf8mb3|utf8mb4|ucs2|utf16|utf32)_uca1400(?:_([a-z]+2?))?_(ai|as)_(ci|cs)$/;
const UCA_0900 = /^utf8mb4(?:_([a-z]+(?:_[a-z]+)??))?_0900_(ai|as)_(ci|cs)$/;

/**
 * The collation that a session with `name` has on a server of the other family, where it is the default of so many
 * sessions that they could not move without: MariaDB's `uca1400`, and MySQL's `0900`, which columns with it become as well. Any other name stays as it is, and is refused by a server that does not know it.
 */
export function collationOfSession(name: string, { isMariaDb }: { isMariaDb: boolean }): string {
  if (isMariaDb) {
    if (name === 'utf8mb4_0900_bin') return 'utf8mb4_nopad_bin';
    const found = UCA_0900.exec(name);
    if (found === null) return name;
    const [, code, accents = 'ai', cases = 'ci'] = found;
    const language = Object.entries(LANGUAGES).find(([, other]) => other === code)?.[0];
    if (code !== undefined && language === undefined) return name;
    return `utf8mb4_uca1400${language === undefined ? '' : `_${language}`}_${accents}_${cases}`;
  }
  const found = UCA_1400.exec(name.replace('_nopad', ''));
  if (found === null) return name;
  const [, charset = '', language, accents = 'ai', cases = 'ci'] = found;
  if (charset !== 'utf8mb4') return nearest(name).find((candidate) => candidate !== '') ?? name;
  const prefix = language === undefined ? 'utf8mb4' : `utf8mb4_${LANGUAGES[language] ?? language}`;
  if (accents === 'ai' && cases === 'ci') return `${prefix}_0900_ai_ci`;
  // MySQL has no others for languages, and none that is sensitive to case alone.
  return accents === 'as' && cases === 'ci' && language === undefined ? 'utf8mb4_0900_as_ci' : `${prefix}_0900_as_cs`;
}
