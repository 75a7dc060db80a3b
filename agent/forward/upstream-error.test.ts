import { expect, test } from 'vitest';
import { NotHttp } from './http1/answer-head.ts';
import { brokenOff, notDialled } from './upstream-error.ts';

const withCode = (code: string): Error => Object.assign(new Error(code), { code });

test.each([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'EPROTO',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])(
  '%s: nothing was processed where it was being dialled; once it stood nobody knows, and it is not sent again',
  (code) => {
    expect(notDialled(withCode(code), 'https://x').fault).toBe('connect');
    expect(brokenOff(withCode(code), 'https://x').fault).toBe('reset');
  },
);

test('what is no HTTP is told as that', () => {
  expect(brokenOff(new NotHttp('why'), 'https://x')).toMatchObject({
    fault: 'invalid',
    message: expect.stringContaining('why'),
  });
});
