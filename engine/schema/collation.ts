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
