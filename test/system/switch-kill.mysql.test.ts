import { expect, test } from 'vitest';
import { HarmStage, type Harm } from '../support/switch-harm.ts';

/** Each victim at the step where it hurts most; the whole matrix is switch-kill.long.test.ts. */
const HARMS: Harm[] = [
  { victim: 'engine', point: 'switch.fenced', back: false },
  { victim: 'engine', point: 'switch.decided', back: true },
  { victim: 'supervisor', point: 'switch.reverse_ready', back: false },
  { victim: 'proxy', point: 'switch.sealed', back: true },
  { victim: 'target', point: 'switch.caught_up', back: true },
  { victim: 'source cut off', point: 'switch.sealed', back: false },
];

test('killed or cut off in the middle of a switch: the ledger is exact, traffic is on one side, the switch can be repeated', async () => {
  await using stage = await HarmStage.start();
  for (const harm of HARMS) {
    const { victim, point, back } = harm;
    await expect(stage.suffer(harm), `${victim} at ${point}${back ? ', back' : ''}`).resolves.toBeUndefined();
  }
});
