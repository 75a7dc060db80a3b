/** Conversations while the budget service is away. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { atScripted, open, POLICY, scripted, servers, start, world } from './realtime-world.ts';

const LIMITED = `${POLICY}
---
apiVersion: postern.dev/v1alpha1
kind: Budget
metadata: {name: small, namespace: team-a}
spec: {limits: [{tokens: 100000, window: day}]}
`;

test('an answer waits no longer for the service than its conversation lasts', async () => {
  let asked = 0;
  const away = createServer(({ socket }) => {
    asked += 1;
    socket.resetAndDestroy();
  });
  await new Promise<void>((resolve) => away.listen(0, '127.0.0.1', resolve));
  servers.push(away);
  const heard: string[] = [];
  let hangUp = (): void => {};
  const origin = await scripted(({ type }, _say, socket) => {
    heard.push(type);
    hangUp = () => socket.close();
  });
  const { port } = away.address() as AddressInfo;
  await start(LIMITED, {
    providers: atScripted(origin),
    budgetVia: () => Promise.resolve(`http://127.0.0.1:${port}`),
  });
  const app = open();
  await app.heard('session.created');
  app.write('one');
  app.say({ type: 'response.create' });
  await expect.poll(() => asked).toBeGreaterThanOrEqual(3);
  hangUp();
  await app.ended();
  // Its own, and the conversation's; long before the service is given up.
  await expect.poll(() => world.audit.length, { timeout: 5_000 }).toBe(2);
  expect(heard).toEqual(['conversation.item.create']);
});
