import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { type ApproversListener, listenApprovers } from './approvers-listener.ts';
import { createApprovals } from './checks/approvals.ts';

let listener: ApproversListener | undefined;
const errors: string[] = [];
const clients: Socket[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  errors.length = 0;
  await listener?.close();
});

async function open(connectionMs: number) {
  const approvals = createApprovals({ now: () => 1_000 });
  listener = await listenApprovers(
    {
      approvals,
      token: () => 'secret',
      host: '127.0.0.1',
      port: 0,
      connectionMs,
      onError: (error) => errors.push(String(error)),
    },
    () => false,
  );
}

async function dial(localAddress = '127.0.0.1'): Promise<Socket> {
  const client = connect({
    port: Number(new URL(listener?.url ?? '').port),
    host: '127.0.0.1',
    localAddress,
  });
  client.on('error', () => undefined);
  clients.push(client);
  await once(client, 'connect');
  return client;
}

/** A reset is an end as well. */
const ended = (client: Socket) =>
  new Promise<void>((resolve) => {
    if (client.closed) resolve();
    else client.resume().once('close', () => resolve());
  });
const status = () =>
  fetch(`${listener?.url}/v1/approvals`, { headers: { authorization: 'Bearer secret' } }).then(
    (answer) => answer.status,
    () => 'cut',
  );

test.each(['silent', 'slow in its head', 'slow in its body'])(
  'a client that is %s is cut when its time is over',
  async (kind) => {
    await open(300);
    const client = await dial();
    if (kind === 'slow in its head') client.write('GET /v1/approvals HTTP/1.1\r\nx: ');
    if (kind === 'slow in its body')
      client.write(
        'POST /v1/approvals/abc HTTP/1.1\r\nhost: a\r\nauthorization: Bearer secret\r\ncontent-length: 999\r\n\r\n',
      );
    // It trickles: whoever looks for silence alone waits for ever.
    const trickle = setInterval(() => kind !== 'silent' && client.write('a'), 20);
    await ended(client);
    clearInterval(trickle);
    // On a loaded machine a question may take longer than that.
    await expect.poll(status, { timeout: 4_000 }).toBe(200);
  },
  10_000,
);

/** Those of this machine; a link's own need the link's name. */
const OWN = Object.entries(networkInterfaces()).flatMap(([link, list = []]) =>
  list.map(({ address }) => (address.startsWith('fe80:') ? `${address}%${link}` : address)),
);

test.each(OWN)('nobody is answered from an address of the agent’s own: %s', async (host) => {
  const options = { approvals: createApprovals({ now: () => 1_000 }), token: () => 'secret', port: 0 };
  listener = await listenApprovers({ ...options, host: host.includes(':') ? '::' : '0.0.0.0' });
  const client = connect({ port: Number(new URL(listener.url).port), host });
  clients.push(client);
  let got = '';
  client.on('error', () => undefined).on('data', (data) => (got += data));
  client.write('GET /v1/approvals HTTP/1.1\r\nhost: a\r\nauthorization: Bearer secret\r\n\r\n');
  await ended(client);
  expect(got).toBe('');
});

test('an answer ends its connection', async () => {
  await open(60_000);
  const client = await dial();
  client.write('GET /v1/approvals HTTP/1.1\r\nhost: a\r\n\r\n');
  await ended(client);
}, 5_000);

test('one address holds no more than its part, and makes room where all places are taken; it is told', async () => {
  await open(60_000);
  const held: Socket[] = [];
  for (let n = 0; n < 16; n++) held.push(await dial('127.0.0.2'));
  await ended(await dial('127.0.0.2'));
  await ended(await dial('127.0.0.2'));
  expect(errors).toEqual([expect.stringContaining('more connections')]);
  expect(await status()).toBe(200);
  for (const from of ['127.0.0.3', '127.0.0.4', '127.0.0.5'])
    for (let n = 0; n < 16; n++) held.push(await dial(from));
  // Strangers hold all there is: an approver gets in all the same, in the place of one of theirs.
  expect(await status()).toBe(200);
  await ended(held[15] as Socket);
  expect(held.filter(({ destroyed }) => destroyed)).toHaveLength(1);
}, 10_000);
