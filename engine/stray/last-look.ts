import type { ImportStreams } from '../import-streams.ts';
import type { ImportWorld } from '../import-world.ts';
import { executedPosition } from '../server/position.ts';

/** The old primary may be gone for good. */
const LOOK_MAX_MS = 10_000;

/** Before the stray watch ends: what reached the old primary by now is looked at, and kept, or it is said that it was not. */
export async function lookOnceMore(world: ImportWorld, streams: ImportStreams): Promise<void> {
  const { sourceFacts } = world.record.document;
  await world.tolerating('the source cannot be asked: whether there are more stray writes is not known', async () => {
    await using source = await world.connect('source', { connectTimeoutMs: LOOK_MAX_MS, silenceMs: LOOK_MAX_MS });
    const position = await executedPosition(source, sourceFacts.flavor);
    if (!(await streams.strayWatchReached(position, LOOK_MAX_MS)))
      world.log('warn', 'the log of the source could not be read to its end: there may be more stray writes');
  });
}
