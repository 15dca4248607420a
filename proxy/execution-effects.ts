import { amongOthers, type StatementEffect } from './statement-effects.ts';

/** With what the executions of SQL's PREPARE in it may do. `prepared`: those that the session has before the text. */
export function withExecutions(
  effects: readonly StatementEffect[],
  prepared: ReadonlyMap<string, { effects: readonly StatementEffect[] }>,
): readonly StatementEffect[] {
  if (!effects.some(({ kind }) => kind === 'text-execute')) return effects;
  // By an earlier statement of the same text.
  const own = new Map<string, readonly StatementEffect[]>();
  const isAmongOthers = effects.some(({ kind }) => kind === 'several');
  return effects.flatMap((effect) => {
    if (effect.kind === 'text-prepare') own.set(effect.name, effect.inner);
    if (effect.kind !== 'text-execute') return [effect];
    const executed = own.get(effect.name) ?? prepared.get(effect.name)?.effects ?? [];
    return [effect, ...(isAmongOthers ? executed.map(amongOthers) : executed)];
  });
}

/** Names without a schema are resolved where a statement is prepared. */
export function inSchema(effects: readonly StatementEffect[], schema: string | null): readonly StatementEffect[] {
  return effects.map((effect) => {
    if (effect.kind === 'calls-functions')
      return { ...effect, names: effect.names.map((called) => ({ ...called, schema: called.schema ?? schema })) };
    return 'schema' in effect && effect.schema === null ? { ...effect, schema } : effect;
  });
}
