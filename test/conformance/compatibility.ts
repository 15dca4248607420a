import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ClientResult } from './check-client.ts';

/** One client of docs/compatibility.md, which is made from results.json, which a whole run writes. */
export interface CompatibilityRow {
  client: string;
  from: string;
  version: string;
  /** By server. */
  verdicts: Record<string, Record<'tls' | 'plain', ClientResult['verdict']>>;
}

export function compatibilityPage(): string {
  const rows = JSON.parse(readFileSync(path.join(import.meta.dirname, 'results.json'), 'utf8')) as CompatibilityRow[];
  const servers = Object.keys(rows[0]?.verdicts ?? {});
  const columns = servers.flatMap((server) => [`${server}, TLS`, `${server}, no TLS`]);
  const cells = ({ verdicts }: CompatibilityRow) =>
    servers.flatMap((server) => [verdicts[server]?.tls ?? 'absent', verdicts[server]?.plain ?? 'absent']);
  const lines = rows.map((row) => `| ${[row.client, row.version, row.from, ...cells(row)].join(' | ')} |`);
  return `# Compatibility

Made from \`test/conformance/results.json\` by \`npm run docs\`; \`npm run conformance -- --write\` makes that. Each client runs a
program (types, prepared statements, transactions, errors, several results, charsets, rows over 16 MiB; an ORM a small schema with
its migrations) directly and through the proxy, on a fresh schema. *equal*: it printed the same. *equal but for*: JSON columns of
MariaDB, which come as text, since their extended metadata is not offered (MySQL does not have it, and sessions move there). *excluded*: it
cannot talk to this server directly either, or not in this way.

| client | version | from | ${columns.join(' | ')} |
| --- | --- | --- | ${columns.map(() => '---').join(' | ')} |
${lines.join('\n')}
`;
}
