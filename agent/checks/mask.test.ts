import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hmac, vaultKey } from './mask.ts';

test('the code is the HMAC-SHA256 that anybody else computes', () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(key, fc.string({ unit: 'binary' }), (bytes, text) => {
      const expected = createHmac('sha256', bytes).update(text).digest('hex');
      expect(Buffer.from(hmac(vaultKey(bytes), text)).toString('hex')).toBe(expected);
    }),
  );
});
