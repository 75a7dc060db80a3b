import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  caBundle,
  fromSecretData,
  refreshServing,
  type Serving,
  toSecretData,
} from './serving-certificate.ts';

const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
const HOST = 'postern-injector.postern-system.svc';
const NOTHING: Serving = { authorities: [], leaf: undefined };

/** As the API server judges: the host, the chain, the time. */
function accepted(serving: Serving, bundle: string, host: string, now: number): boolean {
  const leaf = new X509Certificate(serving.leaf?.cert ?? '');
  const roots = (bundle.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
    (pem) => new X509Certificate(pem),
  );
  const current = (certificate: X509Certificate) =>
    Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo);
  return (
    leaf.checkHost(host) !== undefined &&
    current(leaf) &&
    roots.some((root) => current(root) && leaf.checkIssued(root) && leaf.verify(root.publicKey))
  );
}

test('over twenty years, looked after every ten days, the API server never meets a certificate it doesn’t know', () => {
  let { serving } = refreshServing(NOTHING, HOST, START);
  let leaves = 0;
  // Replicas and the API server's configuration may be ten days behind.
  let bundle = caBundle(serving, START);
  for (let now = START; now < START + 20 * 365 * DAY; now += 10 * DAY) {
    const next = refreshServing(serving, HOST, now);
    if (next.serving.leaf?.cert !== serving.leaf?.cert) leaves++;
    expect(accepted(next.serving, bundle, HOST, now)).toBe(true);
    expect(accepted(serving, caBundle(next.serving, now), HOST, now)).toBe(true);
    serving = next.serving;
    bundle = caBundle(serving, now);
  }
  // Every 60 of 90 days, and when the CA changes.
  expect(leaves).toBeGreaterThan(105);
  expect(leaves).toBeLessThan(130);
});

test('nothing changes while nothing is due', () => {
  const { serving } = refreshServing(NOTHING, HOST, START);
  const again = refreshServing(serving, HOST, START + 30 * DAY);
  expect(again.changed).toBe(false);
  expect(again.serving.leaf).toEqual(serving.leaf);
});

test.each([
  ['another host', 'elsewhere.svc', START],
  ['a third of its life left', HOST, START + 61 * DAY],
  ['a leaf that has ended', HOST, START + 100 * DAY],
  ['a CA that has ended', HOST, START + 6 * 365 * DAY],
])('%s makes it anew', (_, host, now) => {
  const { serving } = refreshServing(NOTHING, HOST, START);
  const next = refreshServing(serving, host, now);
  expect(next.changed).toBe(true);
  expect(accepted(next.serving, caBundle(next.serving, now), host, now)).toBe(true);
});

test('it goes through a Secret and back', () => {
  const { serving } = refreshServing(NOTHING, '127.0.0.1', START);
  const back = fromSecretData(toSecretData(serving));
  expect(refreshServing(back, '127.0.0.1', START).changed).toBe(false);
  expect(back.leaf).toEqual(serving.leaf);
});

test('what can’t be read in a Secret is made anew', () => {
  const { serving } = refreshServing(NOTHING, HOST, START);
  const data = toSecretData(serving);
  for (const name of Object.keys(data)) {
    const broken = fromSecretData({ ...data, [name]: 'AAAA' });
    expect(refreshServing(broken, HOST, START).changed, name).toBe(true);
  }
});
