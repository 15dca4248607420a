import { afterAll, beforeAll, test } from 'vitest';
import { BACK_POINTS, FORTH_POINTS, HarmStage, UNDO_POINTS, VICTIMS, type Harm } from '../support/switch-harm.ts';

/** Every victim at every failpoint of the switch, in both directions, and on the way back of one that is given up. */
const MATRIX: Harm[] = VICTIMS.flatMap((victim) => [
  ...[...FORTH_POINTS, ...UNDO_POINTS].map((point) => ({ victim, point, back: false })),
  ...[...BACK_POINTS, ...UNDO_POINTS].map((point) => ({ victim, point, back: true })),
]);

let stage: HarmStage;
beforeAll(async () => {
  stage = await HarmStage.start();
}, 180_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test.each(MATRIX.map((harm) => [`${harm.victim} at ${harm.point}${harm.back ? ', back' : ''}`, harm] as const))(
  '%s',
  async (_name, harm) => {
    await stage.suffer(harm);
  },
  180_000,
);
