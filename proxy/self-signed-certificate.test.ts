import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { selfSignedCertificate } from './self-signed-certificate.ts';

test.each([new Date('2026-05-06T07:08:09Z'), new Date('2048-01-01T00:00:00Z')])(
  'a certificate made at %s is one that node:crypto accepts',
  (now) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const certificate = new X509Certificate(
      selfSignedCertificate(privateKey, { commonName: 'switchyard-proxy', days: 3650, now }),
    );
    expect(certificate.subject).toBe('CN=switchyard-proxy');
    expect(certificate.verify(publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(privateKey)).toBe(true);
    expect(new Date(certificate.validFrom)).toEqual(now);
    expect(new Date(certificate.validTo).getTime() - now.getTime()).toBe(3650 * 86_400_000);
  },
);
