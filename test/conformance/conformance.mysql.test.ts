import { afterAll, beforeAll, expect, test } from 'vitest';
import { selected } from '../support/selection.ts';
import { checkClient } from './check-client.ts';
import { ownClients } from './clients.ts';
import { ConformanceStage } from './stage.ts';

let stage: ConformanceStage;

beforeAll(async () => {
  stage = await ConformanceStage.start('mysql-9.7');
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test.for(selected([true], [false]))(
  'the clients of this project print the same through the proxy, TLS %s',
  async (tls) => {
    for (const client of await ownClients()) {
      const result = await checkClient(stage, client, { family: 'mysql', tls });
      expect(result, client.name).toMatchObject({ details: [], verdict: 'equal' });
      expect(result.lines, client.name).toBeGreaterThan(20);
    }
  },
);
