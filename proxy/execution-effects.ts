import type { StatementEffect } from './statement-effects.ts';

/** With what the executions of SQL's PREPARE in it may do. `prepared`: those that the session has before the text. */
export function withExecutions(
  effects: readonly StatementEffect[],
  prepared: ReadonlyMap<string, { effects: readonly StatementEffect[] }>,
): readonly StatementEffect[] {
  if (!effects.some(({ kind }) => kind === 'text-execute')) return effects;
  // By an earlier statement of the same text.
  const own = new Map<string, readonly StatementEffect[]>();
  return effects.flatMap((effect) => {
    if (effect.kind === 'text-prepare') own.set(effect.name, effect.inner);
    if (effect.kind !== 'text-execute') return [effect];
    return [effect, ...(own.get(effect.name) ?? prepared.get(effect.name)?.effects ?? [])];
  });
}

/** Names without a schema are resolved where a statement is prepared. */
export function inSchema(effects: readonly StatementEffect[], schema: string | null): readonly StatementEffect[] {
  return effects.map((effect) => ('schema' in effect && effect.schema === null ? { ...effect, schema } : effect));
}
