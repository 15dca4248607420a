import type { ServerConnection } from '../server/connection.ts';
import { globalVariables } from '../schema/inspect.ts';

/** Who runs a server, as far as it shows; findings are worded for it. */
export type Provider = 'aurora' | 'rds' | 'azure' | 'google' | 'digitalocean' | 'self-managed';

export async function detectProvider(connection: ServerConnection): Promise<Provider> {
  const { host } = connection.server;
  const variables = await globalVariables(connection, [
    'aurora_version',
    'basedir',
    'version_comment',
    'version',
    'datadir',
    'cloudsql_iam_authentication',
    'aad_auth_only',
  ]);
  if (variables.has('aurora_version')) return 'aurora';
  if (variables.get('basedir')?.startsWith('/rdsdbbin') === true || host.endsWith('.rds.amazonaws.com')) return 'rds';
  if (variables.has('aad_auth_only') || host.endsWith('.mysql.database.azure.com')) return 'azure';
  if (
    variables.has('cloudsql_iam_authentication') ||
    /google/i.test(`${variables.get('version')} ${variables.get('version_comment')}`)
  )
    return 'google';
  return host.endsWith('.db.ondigitalocean.com') ? 'digitalocean' : 'self-managed';
}

/** How a global variable is set there. */
export function howToSet(provider: Provider, variable: string, value: string): string {
  switch (provider) {
    case 'aurora':
      return `In the DB cluster parameter group set ${variable} = ${value} and reboot the writer.`;
    case 'rds':
      return `In the DB parameter group set ${variable} = ${value}; reboot where the console says so.`;
    case 'azure':
      return `Under "Server parameters" set ${variable} = ${value}.`;
    case 'google':
      return `Set the database flag ${variable} = ${value}.`;
    case 'digitalocean':
      return `Set ${variable} = ${value} through the configuration of the database cluster (API or doctl).`;
    case 'self-managed':
      return `SET GLOBAL ${variable} = ${value}; and in the configuration file, for the next start.`;
    default:
      return provider satisfies never;
  }
}
