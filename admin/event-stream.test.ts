import { once } from 'node:events';
import { connect } from 'node:net';
import { request } from 'undici';
import { expect, test, vi } from 'vitest';
import { AdminClient, type WatchEvent } from './client.ts';
import { startStandIn, type StandIn } from './stand-in/start-stand-in.ts';
import { standInImport } from './stand-in/stand-in-import.ts';

function addImport({ backend }: StandIn, id = 'shop') {
  const view = standInImport({ id });
  backend.engine.imports.set(id, view);
  return view;
}

test('the current view and the history come first, then what happens', async () => {
  await using standIn = await startStandIn();
  await using client = new AdminClient({ url: standIn.url });
  const view = addImport(standIn);
  standIn.backend.log('shop', 'earlier');
  standIn.backend.log('other', 'of another import');
  const stop = new AbortController();
  const events: WatchEvent[] = [];
  for await (const event of client.watch('shop', { logs: 10, signal: stop.signal })) {
    events.push(event);
    if (events.length === 2) {
      standIn.backend.log('other', 'still of another');
      standIn.backend.engine.move(view, 'copying');
    }
    if (events.length === 3) stop.abort();
  }
  expect(events.map((event) => (event.kind === 'log' ? event.entry.message : event.view.phase))).toEqual([
    'pending',
    'earlier',
    'copying',
  ]);
  await vi.waitFor(() => expect(standIn.backend.subscribers).toBe(1));
});

test('a stream of an unknown import is 404, as a problem document', async () => {
  await using standIn = await startStandIn();
  const { statusCode, headers, body } = await request(`${standIn.url}/api/v1/imports/nope/events`);
  await body.dump();
  expect([statusCode, headers['content-type']]).toEqual([404, 'application/problem+json']);
});

test('the stream of everything opens while the engine is away', async () => {
  await using standIn = await startStandIn();
  standIn.backend.engine.failure = new Error('away');
  const { statusCode, headers, body } = await request(`${standIn.url}/api/v1/events`);
  expect([statusCode, headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
  body.destroy();
});

test('a reader that does not read gets the newest view only, and is cut off when lines pile up (I8)', async () => {
  await using standIn = await startStandIn();
  const view = addImport(standIn);
  const socket = connect(standIn.server.address.port, '127.0.0.1');
  const closed = once(socket, 'close');
  socket.on('error', () => {});
  socket.write('GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  socket.pause();
  await vi.waitFor(() => expect(standIn.backend.subscribers).toBe(2));
  // More than the buffers of the kernel take: from then on views replace each other.
  for (let at = 0; at < 3000; at += 1) {
    standIn.backend.engine.changed(view);
    if (at % 100 === 0) await new Promise(setImmediate);
  }
  expect(standIn.backend.subscribers).toBe(2);
  for (let at = 0; at < 200 && standIn.backend.subscribers === 2; at += 1) {
    standIn.backend.log('shop', 'x'.repeat(64 * 1024));
    await new Promise(setImmediate);
  }
  await vi.waitFor(() => expect(standIn.backend.subscribers).toBe(1));
  socket.resume();
  await closed;
});

test('closing the server ends the streams', async () => {
  await using standIn = await startStandIn();
  await using client = new AdminClient({ url: standIn.url });
  addImport(standIn);
  const events: WatchEvent[] = [];
  for await (const event of client.watch('shop')) {
    events.push(event);
    void standIn.server.close();
  }
  expect(events).toHaveLength(1);
});
