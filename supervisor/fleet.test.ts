import { expect, test } from 'vitest';
import { abortable } from '../core/abort.ts';
import type { ProxyAck } from '../core/control/protocol.ts';
import { Fleet, type ProxyPeer } from './fleet.ts';

/** A proxy whose socket the test can close; what travels over it is tested with core/control. */
function proxy() {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  return { peer: { closed, notify: () => {}, close: () => {} } as unknown as ProxyPeer, close };
}

function ack(instanceId: string, epoch: number, state: ProxyAck['state']): ProxyAck {
  return { instanceId, epoch, state, sessions: 0, undrained: [] };
}

test('waits for every proxy, and for the right epoch and state', async () => {
  const fleet = new Fleet();
  fleet.join('a', proxy().peer);
  fleet.join('b', proxy().peer);
  const waiting = fleet.wait(5, 'drained', 5000);
  fleet.acknowledge(ack('a', 5, 'drained'));
  fleet.acknowledge(ack('b', 5, 'applied'));
  let ended = false;
  void waiting.then(() => (ended = true));
  await Promise.resolve();
  expect(ended).toBe(false);
  fleet.acknowledge(ack('b', 5, 'drained'));
  expect(await waiting).toMatchObject({ reached: true, proxies: [{ instanceId: 'a' }, { instanceId: 'b' }] });
});

test('a proxy that is only on an older epoch is named when the time is over', async () => {
  const fleet = new Fleet();
  fleet.join('a', proxy().peer);
  fleet.acknowledge(ack('a', 4, 'drained'));
  expect(await fleet.wait(5, 'applied', 20)).toMatchObject({ reached: false, proxies: [{ epoch: 4 }] });
});

test('an old acknowledgement does not undo a newer one', async () => {
  const fleet = new Fleet();
  fleet.join('a', proxy().peer);
  fleet.acknowledge(ack('a', 6, 'applied'));
  fleet.acknowledge(ack('a', 5, 'drained'));
  expect(fleet.report().proxies[0]).toMatchObject({ epoch: 6, state: 'applied' });
});

test('nobody waits for a proxy that has gone', async () => {
  const fleet = new Fleet();
  const leaving = proxy();
  fleet.join('a', leaving.peer);
  const waiting = fleet.wait(1, 'applied', 5000);
  leaving.close();
  expect(await waiting).toEqual({ reached: true, proxies: [] });
});

test('the sessions of a proxy that hangs are not waited for', async () => {
  const fleet = new Fleet();
  const answering = async () => [{ sessionId: '1' }];
  const hanging = async (_method: string, _params: unknown, { signal }: { signal: AbortSignal }) =>
    abortable(new Promise<never>(() => {}), signal);
  const { closed } = proxy().peer;
  for (const call of [answering, hanging]) fleet.join(call.name, { closed, call } as unknown as ProxyPeer);
  expect(await fleet.sessions(20)).toEqual([{ sessionId: '1' }]);
});

test('a proxy is there for clients from when it listens, and one that is retired is not', async () => {
  const fleet = new Fleet();
  expect(fleet.join('old', proxy().peer)).toEqual({ slot: 0, ownsSocket: true });
  expect(fleet.listening).toBe(0);
  fleet.onListening('old');
  expect(fleet.listening).toBe(1);
  fleet.retire(['old', 'not joined yet']);
  expect(fleet.listening).toBe(0);
  expect(fleet.join('new', proxy().peer)).toEqual({ slot: 1, ownsSocket: true });
  expect(fleet.join('newer', proxy().peer)).toEqual({ slot: 2, ownsSocket: false });
  const listening = fleet.until(() => fleet.listening === 2, new AbortController().signal);
  fleet.onListening('new');
  fleet.onListening('newer');
  await listening;
  fleet.join('not joined yet', proxy().peer, { slot: 3, ownsSocket: false, listens: true });
  expect(fleet.retired()).toHaveLength(2);
  expect(fleet.listening).toBe(2);
});
