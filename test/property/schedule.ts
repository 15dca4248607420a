import { z } from 'zod';
import { FENCES } from '../../engine/api.ts';
import { FLAVORS } from '../../servers/flavor.ts';

/** One transaction of a writer; a statement that fails is no failure of the test. */
const transactionSchema = z.strictObject({
  begin: z.enum(['autocommit', 'begin', 'xa']),
  statements: z.array(z.string()),
  /** `one_phase`: of XA alone, as a commit for others. */
  end: z.enum(['commit', 'rollback', 'one_phase']),
});

const writerSchema = z.strictObject({
  session: z.array(z.string()),
  pauseMs: z.number(),
  transactions: z.array(transactionSchema),
  /** Of those that write through the proxy: the endpoint that they log in to. */
  endpoint: z.enum(['primary', 'replica']).default('primary'),
  /** Statements are prepared: binary protocol. */
  prepared: z.boolean().default(false),
});

const basicSteps = [
  z.strictObject({ kind: z.literal('wait'), ms: z.number() }),
  z.strictObject({
    kind: z.enum([
      'kill_engine',
      'kill_proxy',
      'kill_supervisor',
      'kill_everything',
      'replace',
      'running',
      'verify',
      'caught_up',
      'apply_strays',
    ]),
  }),
  z.strictObject({
    kind: z.enum(['kill_sessions', 'rotate', 'restart', 'crash']),
    side: z.enum(['source', 'target']),
  }),
  z.strictObject({ kind: z.enum(['stall', 'refuse']), side: z.enum(['source', 'target']), ms: z.number() }),
  /** The replica that is copied from. */
  z.strictObject({ kind: z.literal('replica'), how: z.enum(['behind', 'restart', 'crash']), ms: z.number() }),
  z.strictObject({ kind: z.literal('cut'), side: z.enum(['source', 'target']), how: z.enum(['fin', 'reset']) }),
  /** Writes on the source past the proxy, numbered from `from` on. */
  z.strictObject({ kind: z.literal('stray'), from: z.number(), count: z.number() }),
  z.strictObject({
    kind: z.literal('ddl'),
    session: z.array(z.string()).default([]),
    sql: z.array(z.string()),
    /** Codes with which the import may stop because of it; then the schedule ends. */
    mayStop: z.array(z.string()).default([]),
  }),
] as const;
const stepSchema = z.discriminatedUnion('kind', [
  ...basicSteps,
  z.strictObject({
    kind: z.literal('switch'),
    what: z.enum(['primaries', 'replicas']).default('primaries'),
    back: z.boolean(),
    force: z.boolean().default(true),
    /** While it is under way, or has just ended. */
    during: z
      .strictObject({ afterMs: z.number(), step: z.discriminatedUnion('kind', basicSteps) })
      .nullable()
      .default(null),
  }),
]);

/**
 * Everything that a run does, made from a seed alone. What a run cannot repeat is time: how the statements of several
 * writers, the engine and the faults fall between each other.
 */
export const scheduleSchema = z.strictObject({
  seed: z.number(),
  source: z.enum(FLAVORS),
  /** Where the writers connect. Only through the proxy can the direction be changed under them. */
  writersThrough: z.enum(['server', 'proxy']),
  /** Writers wait until the copy is done: what foreign keys do meanwhile and the source does not log has limits (ADR 22). */
  quietCopy: z.boolean().default(false),
  /** Rows are read from a replica of the source. */
  fromReplica: z.boolean().default(false),
  options: z.strictObject({
    connections: z.number(),
    chunkBytes: z.number(),
    deferIndexes: z.boolean(),
    ddl: z.enum(['STOP', 'EXEC']),
    fence: z.enum(FENCES),
    reverse: z.enum(['from_switch', 'off', 'always']).default('from_switch'),
  }),
  /** Codes with which it may stop at any time. */
  mayStop: z.array(z.string()).default([]),
  /** Of the source, run in order before anything else: what its log looks like. A restart forgets them. */
  settings: z.array(z.string()).default([]),
  /** Run in order on the source before anything else: tables with their first rows. */
  tables: z.array(z.strictObject({ name: z.string(), statements: z.array(z.string()) })),
  writers: z.array(writerSchema),
  /** On the target from `running` on, whoever is primary (`reverse: always`). */
  testers: z.array(writerSchema).default([]),
  /** One after the other, while the writers go through their transactions again and again. */
  steps: z.array(stepSchema),
});

export type Schedule = z.infer<typeof scheduleSchema>;
export type Transaction = z.infer<typeof transactionSchema>;
export type Step = z.infer<typeof stepSchema>;
/** What may also happen while a switch is under way. */
export type BasicStep = z.infer<(typeof basicSteps)[number]>;
