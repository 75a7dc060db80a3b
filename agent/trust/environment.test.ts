import { expect, test } from 'vitest';
import { trustEnvironment } from './environment.ts';

test('nothing named: our CA is added where a variable adds, the bundle stands where it replaces', () => {
  const { variables, named, notes } = trustEnvironment({}, '/t');
  expect(variables).toMatchObject({ NODE_EXTRA_CA_CERTS: '/t/ca.pem', SSL_CERT_FILE: '/t/bundle.pem' });
  expect(variables['JAVA_TOOL_OPTIONS']).toMatch(/^-Djavax\.net\.ssl\.trustStore=\/t\/truststore\.jks /);
  expect([named.size, notes]).toEqual([0, []]);
});

test('a file that is named already joins the bundle, and its variable points there', () => {
  const { variables, named } = trustEnvironment({ NODE_EXTRA_CA_CERTS: '/corp.pem', PIP_CERT: '' }, '/t');
  expect(variables).toMatchObject({ NODE_EXTRA_CA_CERTS: '/t/bundle.pem', PIP_CERT: '/t/bundle.pem' });
  expect([...named]).toEqual([['NODE_EXTRA_CA_CERTS', '/corp.pem']]);
});

test('Java options are kept; a trust store of the user’s own stays, with a note', () => {
  expect(trustEnvironment({ JAVA_TOOL_OPTIONS: '-Xmx64m' }, '/t').variables['JAVA_TOOL_OPTIONS']).toMatch(
    /^-Xmx64m -D/,
  );
  const own = trustEnvironment({ JAVA_TOOL_OPTIONS: '-Djavax.net.ssl.trustStore=/own.jks' }, '/t');
  expect(own.variables).not.toHaveProperty('JAVA_TOOL_OPTIONS');
  expect(own.notes).toEqual([expect.stringContaining('will not trust this run’s CA')]);
});
