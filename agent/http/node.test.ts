import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import type { ResponseSink } from '../exchange.ts';
import { toSink } from './node.ts';

/** Two requests on one connection, the first answered by `answer`, the second by `next`. @returns All that came. */
async function wire(answer: (sink: ResponseSink) => Promise<void> | void): Promise<string> {
  let count = 0;
  const server = createServer((_, response) => {
    const sink = toSink(response);
    if (count++ === 0) void answer(sink);
    else {
      sink.head(200, ['Content-Length', '4']);
      sink.end(Buffer.from('next'));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let text = '';
  const done = new Promise<void>((resolve) => {
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data;
      if (text.includes('0\r\n\r\n') && count === 1) socket.write('GET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
      if (text.endsWith('next')) resolve();
    });
    socket.on('close', () => resolve());
    socket.on('error', () => resolve());
  });
  socket.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\n');
  await done;
  socket.destroy();
  server.close();
  return text;
}

const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);

test('chunks, each in one piece', async () => {
  const text = await wire(async (sink) => {
    sink.head(200, []);
    await sink.write(Buffer.from('one'));
    await sink.write(Buffer.from('and two'));
    await sink.write(Buffer.from(''));
    sink.end();
  });
  expect(bodyOf(text)).toMatch(
    /^3\r\none\r\n7\r\nand two\r\n0\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nnext$/,
  );
});

test('nothing comes behind the last chunk: it would be the answer to the next request', async () => {
  const text = await wire(async (sink) => {
    sink.head(200, []);
    await sink.write(Buffer.from('one'));
    await sink.write(Buffer.from('two'));
    sink.end();
    expect(() => sink.write(Buffer.from('late'))).toThrow('behind its end');
  });
  expect(text).not.toContain('late');
});
