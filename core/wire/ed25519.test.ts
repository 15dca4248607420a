import { createPrivateKey, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { ed25519Response } from './ed25519.ts';

test('with a password of 32 bytes it is plain Ed25519', () => {
  for (const letter of ['a', 'z', '\xff']) {
    const password = Buffer.from(letter.repeat(32), 'latin1');
    const key = createPrivateKey({
      key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), password]),
      format: 'der',
      type: 'pkcs8',
    });
    const scramble = Buffer.alloc(32, 7);
    expect(ed25519Response(password, scramble)).toEqual(sign(null, scramble, key));
  }
});
