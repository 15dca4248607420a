/** One process's metrics, and the labels that tell its samples from those of the others. */
export interface MetricsPart {
  labels: Record<string, string>;
  /** Prometheus text format 0.0.4, as prom-client writes it. */
  text: string;
}

interface Family {
  help: string | undefined;
  type: string | undefined;
  samples: string[];
}

const SUFFIXES = /_(?:bucket|sum|count)$/;

/**
 * Several expositions as one valid exposition. Just joining them is not: a family may have one HELP, one TYPE and its
 * samples must be in one group (Prometheus text format, "grouping and sorting"). A label that a sample already has
 * stays as it is.
 */
export function mergeMetrics(parts: readonly MetricsPart[]): string {
  const families = new Map<string, Family>();
  for (const { labels, text } of parts) addPart(families, labels, text);
  const lines: string[] = [];
  for (const [name, { help, type, samples }] of families) {
    if (help !== undefined) lines.push(`# HELP ${name} ${help}`);
    if (type !== undefined) lines.push(`# TYPE ${name} ${type}`);
    lines.push(...samples);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function addPart(families: Map<string, Family>, labels: Record<string, string>, text: string): void {
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) ?(.*)$/.exec(line);
    if (meta !== null) {
      const [, keyword, name = '', rest = ''] = meta;
      const family = familyOf(families, name);
      if (keyword === 'HELP') family.help ??= rest;
      else family.type ??= rest.trim();
      continue;
    }
    if (line.startsWith('#')) continue;
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?(\s.*)$/.exec(line);
    if (sample === null) continue;
    const [, name = '', own = '', value = ''] = sample;
    familyOf(families, familyNameOf(families, name)).samples.push(`${name}${labelsText(own, labels)}${value}`);
  }
}

function familyOf(families: Map<string, Family>, name: string): Family {
  const known = families.get(name);
  if (known !== undefined) return known;
  const family: Family = { help: undefined, type: undefined, samples: [] };
  families.set(name, family);
  return family;
}

/** Samples of a histogram or summary carry a suffix behind the name of their family. */
function familyNameOf(families: Map<string, Family>, name: string): string {
  const base = name.replace(SUFFIXES, '');
  const type = families.get(base)?.type;
  return base !== name && (type === 'histogram' || type === 'summary') ? base : name;
}

function labelsText(own: string, added: Record<string, string>): string {
  const ownNames = new Set([...own.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)].map(([, name]) => name));
  const more = Object.entries(added)
    .filter(([name]) => !ownNames.has(name))
    .map(
      ([name, value]) =>
        `${name}="${value
          .replace(/\\/g, '\\\\')
          .replace(/"/g, String.raw`\"`)
          .replace(/\n/g, '\\n')}"`,
    );
  const all = [own.replace(/,\s*$/, ''), ...more].filter((part) => part !== '');
  return all.length === 0 ? '' : `{${all.join(',')}}`;
}
