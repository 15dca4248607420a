import type { ClientOutput, ConformanceClient } from './client.ts';
import { differences } from './compare.ts';
import { runClient } from './run-client.ts';
import type { ConformanceStage } from './stage.ts';

export interface ClientResult {
  client: string;
  from: string;
  version: string;
  tls: boolean;
  verdict: 'equal' | 'equal but for' | 'different' | 'absent' | 'excluded' | 'broken';
  /** Where they differ; why it was not run; how the program failed on the direct connection as well. */
  details: string[];
  /** Lines compared. */
  lines: number;
}

/** Runs a client directly and through the proxy, each on a fresh schema, and compares what it prints. */
export async function checkClient(
  stage: ConformanceStage,
  client: ConformanceClient,
  { family, tls }: { family: 'mysql' | 'mariadb'; tls: boolean },
): Promise<ClientResult> {
  const version = await versionOf(client);
  const result = { client: client.name, from: client.from, version: version ?? '', tls, lines: 0 };
  if (version === undefined) return { ...result, verdict: 'absent', details: [`not installed (${client.from})`] };
  const excluded = client.excluded?.[family] ?? (tls ? client.excludedTls : undefined);
  if (excluded !== undefined) return { ...result, verdict: 'excluded', details: [excluded] };
  const direct = await runClient(client.program, await stage.target('direct', tls));
  if (direct.code !== 0)
    return {
      ...result,
      verdict: 'broken',
      details: [`exit ${direct.code} on a direct connection`, ...direct.text.split('\n').slice(-8)],
    };
  const proxied = await runClient(client.program, await stage.target('proxy', tls));
  const exception = client.exceptions?.[family];
  const compared = ({ text }: ClientOutput) =>
    exception === undefined
      ? text
      : text
          .split('\n')
          .filter((line) => !exception.lines.test(line))
          .join('\n');
  const details = differences(compared(direct), compared(proxied));
  if (proxied.code !== 0) details.unshift(`exit ${proxied.code} through the proxy`);
  return {
    ...result,
    verdict: details.length > 0 ? 'different' : exception === undefined ? 'equal' : 'equal but for',
    details: details.length === 0 && exception !== undefined ? [exception.why] : details,
    lines: direct.text.split('\n').length,
  };
}

async function versionOf({ version }: ConformanceClient): Promise<string | undefined> {
  const nowhere = { host: '', port: 0, user: '', password: '', database: '', tls: false };
  const output = await runClient(version, nowhere).catch(() => undefined);
  if (output === undefined || output.code !== 0) return undefined;
  const forms = [/Distrib (\d[\w.]*)/, /Ver\s+(\d+[.][\w.-]+)/, /(\d+(?:[.]\d+)+[\w.+-]*)/];
  const found = forms.map((form) => form.exec(output.text)?.[1]).find((match) => match !== undefined);
  return found ?? 'unknown';
}
