import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AppError } from '../errors.ts';
import { Peer } from './peer.ts';

interface Methods {
  double(params: { n: number }): number;
  refuse(params: undefined): never;
  never(params: undefined): void;
}

const handlers = {
  double: ({ n }: { n: number }) => n * 2,
  refuse: (): never => {
    throw new AppError('PHASE_REFUSED', 'not now', { details: { phase: 'copying' } });
  },
  never: () => new Promise<void>(() => {}),
};

const gone = () => new AppError('ENGINE_UNAVAILABLE', 'gone');

async function pair() {
  const path = join(mkdtempSync(join(tmpdir(), 'switchyard-peer-')), 's');
  const server = createServer();
  server.listen(path);
  await once(server, 'listening');
  const client = connect(path);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const answering = new Peer<Methods, Methods>(accepted, handlers, gone);
  const peer = new Peer<Methods, Methods>(client, handlers, gone);
  return { peer, answering, accepted, server };
}

test('answers and errors find their calls', async () => {
  const { peer, server } = await pair();
  const answers = await Promise.all([1, 2, 3].map((n) => peer.call('double', { n })));
  expect(answers).toEqual([2, 4, 6]);
  await expect(peer.call('refuse', undefined)).rejects.toMatchObject({
    code: 'PHASE_REFUSED',
    details: { phase: 'copying' },
  });
  peer.close();
  server.close();
});

test('a waiting call ends when the socket does', async () => {
  const { peer, accepted, server } = await pair();
  const call = peer.call('never', undefined);
  accepted.destroy();
  await expect(call).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
  await expect(peer.call('double', { n: 1 })).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
  server.close();
});
