/**
 * Characters that MariaDB's `uca1400` collations tell apart and the `0900` ones that they become do not: of each group that
 * MySQL merges, all but the most common. Found by comparing WEIGHT_STRING of each character alone on MySQL 9.7 and MariaDB
 * 11.8 (all of the root's collations; of the languages' the Latin, Greek, Cyrillic and Hangul ones). Contractions were not
 * looked at.
 */
const INSENSITIVE = '\u326e-\u327b\u327e';
const SENSITIVE = `${INSENSITIVE}\ua784\ua785`;

/** Beyond those, by the language in the collation's name. */
const INSENSITIVE_OF: Record<string, string> = {
  croatian: '\u1e08\u1e09\u1e66\u1e67',
  czech: '\u1e66\u1e67',
  danish: '\u0152\u0153\u01d5-\u01dc\u01de\u01df\u01e2\u01e3\u01fa-\u01ff\u022a\u022b\u1d7a\u212b',
  estonian: '\u0179-\u017c\u01d5-\u01dc\u01de\u01df\u022a-\u022d\u1e4c-\u1e4f\u1e66\u1e67\u1e90-\u1e95\u1ee0\u1ee1',
  german2: '\u01d5-\u01dc\u01de\u01df\u022a\u022b',
  hungarian: '\u01d5-\u01dc\u022a\u022b',
  icelandic: '\u01de\u01df\u01e2\u01e3\u01fa-\u01ff\u022a\u022b\u1eda\u1edb\u1ee8\u1ee9\u212b',
  latvian: '\u0059\u0079\u00dd\u00fd\u00ff\u0176-\u0178\u0232\u0233\u1e66\u1e67\u1e8e\u1e8f\u1e99\u1ef2-\u1ef9',
  lithuanian: '\u00dd\u00fd\u00ff\u0176-\u0178\u0232\u0233\u1e66\u1e67\u1e8e\u1e8f\u1e99\u1ef2-\u1ef9',
  polish: '\u1e08\u1e09\u1e64\u1e65\u1eda\u1edb',
  roman:
    '\u00d9-\u00dc\u00f9-\u00fc\u0134\u0135\u0168-\u0173\u01af\u01b0\u01d3-\u01dc\u01f0\u0214-\u0217\u1e72-\u1e7b\u1ee4-\u1ef1',
  romanian: '\u1ea4-\u1eb7',
  slovak: '\u01de\u01df\u1e66\u1e67\u1ed0-\u1ed9',
  slovenian: '\u1e66\u1e67',
  swedish:
    '\u00d4\u00f4\u0118\u0119\u0150-\u0153\u0170\u0171\u01d5-\u01dc\u01de\u01df\u01e2\u01e3\u01fa-\u01ff\u022a\u022b\u1d7a\u1ed0-\u1ed9\u212b',
  turkish:
    '\u00cc-\u00cf\u0128\u012a\u012c\u012e\u01cf\u01d5-\u01dc\u0208\u020a\u022a\u022b\u1e08\u1e09\u1e2c\u1e2e\u1ec8\u1eca',
};
const SENSITIVE_OF: Record<string, string> = {
  danish: '\u212b',
  german2: '\u1dd4',
  icelandic: '\u212b',
  romanian: '\u0218-\u021b',
  swedish: '\u212b',
};

/** For a regular expression's character class; empty for collations of other families. */
export function mergedCharacters(collation: string): string {
  const found = /_uca1400(?:_([a-z]+2?))??(?:_nopad)?_(ai|as)_(?:ci|cs)$/.exec(collation);
  if (found === null) return '';
  const [, language = '', accents] = found;
  return accents === 'ai' ? INSENSITIVE + (INSENSITIVE_OF[language] ?? '') : SENSITIVE + (SENSITIVE_OF[language] ?? '');
}
