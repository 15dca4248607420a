/** The servers that tests, demo and benchmarks run against, and where each is to be had. */
export const FLAVORS = ['mysql-9.7', 'mysql-8.4', 'mysql-8.0', 'mariadb-11.8', 'mariadb-10.11'] as const;
export type Flavor = (typeof FLAVORS)[number];

export interface FlavorSpec {
  family: 'mysql' | 'mariadb';
  version: string;
  dockerImage: string;
  /** Debian's suite and packages; null where Debian has none, and only Docker or the PATH can serve. */
  debian: { suite: string; packages: readonly string[] } | null;
}

export const FLAVOR_SPECS: Readonly<Record<Flavor, FlavorSpec>> = {
  'mysql-9.7': {
    family: 'mysql',
    version: '9.7',
    dockerImage: 'mysql:9.7',
    debian: { suite: 'sid', packages: ['mysql-server-core', 'mysql-client-core'] },
  },
  'mysql-8.4': { family: 'mysql', version: '8.4', dockerImage: 'mysql:8.4', debian: null },
  'mysql-8.0': { family: 'mysql', version: '8.0', dockerImage: 'mysql:8.0', debian: null },
  'mariadb-11.8': {
    family: 'mariadb',
    version: '11.8',
    dockerImage: 'mariadb:11.8',
    debian: { suite: 'sid', packages: ['mariadb-server-core', 'mariadb-client-core'] },
  },
  'mariadb-10.11': {
    family: 'mariadb',
    version: '10.11',
    dockerImage: 'mariadb:10.11',
    debian: { suite: 'bookworm', packages: ['mariadb-server-core', 'mariadb-client-core'] },
  },
};

export function parseFlavor(text: string): Flavor | undefined {
  return FLAVORS.find((flavor) => flavor === text);
}
