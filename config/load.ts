import { readFileSync } from 'node:fs';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { configSchema, type Config } from './schema.ts';

export interface LoadOptions {
  file?: string | undefined;
  environment?: NodeJS.ProcessEnv;
  /** `key.path=value`, from flags. */
  settings?: string[];
}

type Tree = { [key: string]: unknown };

/**
 * File, then SWITCHYARD_* environment (`proxy.replicaListen` is SWITCHYARD_PROXY_REPLICA_LISTEN), then settings.
 * Throws CONFIG_INVALID naming the key, its value and what is allowed. The value only where it cannot be a secret that was put in a wrong
 * place: what is said here ends in the log of whoever starts services.
 */
export function loadConfig({ file, environment = process.env, settings = [] }: LoadOptions): Config {
  const tree: Tree = file === undefined ? {} : readTree(file);
  const leaves = leafPaths(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
  for (const path of leaves.keys()) {
    const value = environment[environmentName(path)];
    if (value !== undefined) setPath(tree, path, scalar(value, leaves.get(path)));
  }
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    const path = setting.slice(0, equals);
    if (equals < 1 || !leaves.has(path)) {
      throw new AppError(
        'CONFIG_INVALID',
        `--set ${/^[\w.]+(?==)/.exec(setting)?.[0] ?? ''}: expected KEY=VALUE with a KEY of ${[...leaves.keys()].join(', ')}`,
      );
    }
    setPath(tree, path, scalar(setting.slice(equals + 1), leaves.get(path)));
  }
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success)
    throw new AppError(
      'CONFIG_INVALID',
      parsed.error.issues.map((issue) => describeIssue(issue, tree, leaves)).join('\n'),
    );
  return deepFreeze(parsed.data);
}

function readTree(file: string): Tree {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', `the configuration file ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  try {
    const tree: unknown = parseYaml(text) ?? {};
    if (typeof tree === 'object' && !Array.isArray(tree)) return tree as Tree;
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `the configuration file ${file} is not valid YAML: ${whereOf(error)}`);
  }
  throw new AppError('CONFIG_INVALID', `the configuration file ${file}: expected keys with values`);
}

/** The parser's own words quote the lines around the mistake. */
function whereOf(error: unknown): string {
  if (!(error instanceof YAMLParseError))
    return 'an alias (*) has no anchor (&); a text that begins with * belongs in quotes';
  const [at] = error.linePos ?? [];
  return at === undefined ? error.code : `line ${at.line}, column ${at.col} (${error.code})`;
}

interface JsonSchema {
  type?: string;
  properties?: Record<string, JsonSchema>;
}

/** Every configurable leaf with its JSON type. */
function leafPaths(schema: JsonSchema, prefix = ''): Map<string, string | undefined> {
  const paths = new Map<string, string | undefined>();
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (child.properties === undefined) paths.set(path, child.type);
    else for (const [leaf, type] of leafPaths(child, path)) paths.set(leaf, type);
  }
  return paths;
}

function environmentName(path: string): string {
  return `SWITCHYARD_${path
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .replaceAll('.', '_')
    .toUpperCase()}`;
}

function scalar(text: string, type: string | undefined): unknown {
  if ((type === 'integer' || type === 'number') && /^-?\d+$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  if (type === undefined && text === 'null') return null;
  return text;
}

function setPath(tree: Tree, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? path;
  let node = tree;
  for (const key of keys) {
    const next = node[key];
    node = typeof next === 'object' && next !== null ? (next as Tree) : (node[key] = {} as Tree);
  }
  node[last] = value;
}

const SECRET = /password|token|key$/i;

function describeIssue(issue: z.core.$ZodIssue, tree: Tree, leaves: ReturnType<typeof leafPaths>): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return `${path === '' ? '' : `${path}: `}unknown key ${issue.keys.join(', ')}; config/example.yaml shows every key`;
  }
  const value = issue.path.reduce<unknown>((node, key) => (node as Tree | undefined)?.[String(key)], tree);
  const isHarmless =
    leaves.has(path) && leaves.get(path) !== 'array' && !SECRET.test(path) && !String(value).includes('@');
  const shown = value === undefined ? 'missing' : isHarmless ? JSON.stringify(value) : 'the value given';
  return `${path}: ${shown} is not allowed: ${issue.message}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}
