import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { Channel } from './channel.ts';

describe('Channel', () => {
  test('a producer waits while the bound is reached, and one big item still passes', async () => {
    const channel = new Channel<string>(10);
    await channel.push('big', 100);
    let pushed = false;
    const second = channel.push('next', 1).then(() => (pushed = true));
    await Promise.resolve();
    expect(pushed).toBe(false);
    expect(await channel.shift()).toBe('big');
    await second;
    expect(await channel.shift()).toBe('next');
    expect(channel.bytes).toBe(0);
  });

  test('the consumer meets queued items before the failure', async () => {
    const channel = new Channel<number>(10);
    await channel.push(1, 1);
    channel.fail(new Error('broken'));
    expect(await channel.shift()).toBe(1);
    await expect(channel.shift()).rejects.toThrow('broken');
  });

  test('an aborted wait leaves the item for the next one', async () => {
    const channel = new Channel<number>(10);
    const controller = new AbortController();
    const waiting = channel.shift(controller.signal);
    controller.abort();
    await expect(waiting).rejects.toThrow();
    await channel.push(7, 1);
    expect(await channel.shift()).toBe(7);
  });

  test('does not hold on to what was taken', async () => {
    const channel = new Channel<object>(1000);
    const taken: WeakRef<object>[] = [];
    for (let index = 0; index < 10; index += 1) {
      channel.offer({ index }, 1);
      const value = channel.tryShift();
      if (value !== undefined) taken.push(new WeakRef(value));
    }
    setFlagsFromString('--expose-gc');
    // A WeakRef keeps its object until the turn of the event loop ends.
    await setImmediate();
    (runInNewContext('gc') as () => void)();
    // The last one may still be in a register.
    expect(taken.filter((value) => value.deref() !== undefined).length).toBeLessThan(2);
    expect(channel.length).toBe(0);
  });

  test('keeps order over many items', async () => {
    const channel = new Channel<number>(50);
    const producer = (async () => {
      for (let i = 0; i < 5000; i += 1) await channel.push(i, 1);
      channel.end();
    })();
    const seen: number[] = [];
    for await (const item of channel) seen.push(item);
    await producer;
    expect(seen).toEqual(Array.from({ length: 5000 }, (_, i) => i));
  });
});
