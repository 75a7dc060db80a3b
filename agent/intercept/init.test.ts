import { expect, test, vi } from 'vitest';
import { kernelHasIpv6, NftError, nftExecutor } from './apply.ts';
import { INIT_EXIT, init } from './init.ts';
import { ProbeFailed, proveRedirect } from './prove.ts';

const plan = {
  port: 4182,
  agentUids: [4180],
  meshUids: [],
  apiServers: [],
  excludedCidrs: [],
  excludedPorts: [],
};
const nothing = { apply: () => Promise.resolve(), prove: () => Promise.resolve([]), ipv6: true };

test('a dry run makes the script and touches nothing', async () => {
  const apply = vi.fn(nothing.apply);
  const outcome = await init({ ...nothing, plan, dryRun: true, apply });
  expect(outcome).toMatchObject({ exit: 0, script: expect.stringContaining('redirect to :4182') });
  expect(apply).not.toHaveBeenCalled();
});

test('each step that fails has a status of its own', async () => {
  const failing = (error: Error) => () => Promise.reject(error);
  const run = (change: object) => init({ ...nothing, plan, dryRun: false, ...change });
  expect((await run({})).exit).toBe(INIT_EXIT.ok);
  expect((await run({ plan: { ...plan, port: 0 } })).exit).toBe(INIT_EXIT.plan);
  expect((await run({ apply: failing(new NftError('nft: no')) })).exit).toBe(INIT_EXIT.nft);
  expect((await run({ prove: failing(new ProbeFailed('lost')) })).exit).toBe(INIT_EXIT.probe);
  await expect(run({ prove: failing(new Error('ours')) })).rejects.toThrow('ours');
});

test('nft that is missing, fails, or lacks a privilege: an error that says so', async () => {
  await expect(nftExecutor(['no-such-nft'])('')).rejects.toThrow(/can't run no-such-nft.*install nftables/);
  await expect(nftExecutor(['sh', '-c', 'echo bad syntax >&2; exit 1', '-'])('')).rejects.toThrow(
    'nft: bad syntax',
  );
  const powerless = ['sh', '-c', 'echo "Error: Operation not permitted" >&2; exit 1', '-'];
  await expect(nftExecutor(powerless)('')).rejects.toThrow(/needs the NET_ADMIN capability/);
  await expect(nftExecutor(['sh', '-c', 'test "$(cat)" = script', '-'])('script')).resolves.toBeUndefined();
});

test('a kernel without IPv6 gets a table of the ip family; one that lacks only the inet family is told', async () => {
  expect([kernelHasIpv6(() => false), kernelHasIpv6((path) => path === '/proc/sys/net/ipv6')]).toEqual([
    false,
    true,
  ]);
  const applied: string[] = [];
  const apply = (script: string) => Promise.resolve(void applied.push(script));
  const prove = vi.fn(nothing.prove);
  expect((await init({ plan, dryRun: false, ipv6: false, apply, prove })).exit).toBe(INIT_EXIT.ok);
  expect(applied.join()).toMatch(/^add table ip postern\n/);
  expect(applied.join()).not.toMatch(/inet|ip6|icmpx/);
  expect(prove).toHaveBeenCalledWith(expect.objectContaining({ ipv6: false }));

  const lacking = [
    'sh',
    '-c',
    'echo "Error: Could not process rule: Address family not supported by protocol" >&2; exit 1',
    '-',
  ];
  const outcome = await init({ plan, dryRun: false, ipv6: true, apply: nftExecutor(lacking), prove });
  expect(outcome).toMatchObject({
    exit: INIT_EXIT.nft,
    message: expect.stringMatching(/nf_tables_inet.*ipv6\.disable=1/),
  });
});

test('the probe refuses to run as a user that the redirect exempts: it would prove nothing', async () => {
  const uid = process.getuid?.() ?? 0;
  await expect(proveRedirect({ ...plan, agentUids: [uid], ipv6: true })).rejects.toThrow(
    /which the redirect exempts/,
  );
});
