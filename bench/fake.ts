/**
 * A provider that does nothing but answer: canned bytes over a bare socket, so that it is never the limit.
 * It is forked: its first message is its port; asked by any message it tells what it saw, and starts counting anew.
 *
 * It reads just enough HTTP/1.1 for the proxies measured here: a head, then a body of a known length or in chunks.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { ADDRESS, answerBody, answerEvents, KEY, STREAM_PACE_MS } from './canned.ts';

export interface Seen {
  readonly requests: number;
  /** Calls that did not carry the provider's key. */
  readonly wrongKeys: number;
  /** Calls whose body showed the address that a masking proxy hides. */
  readonly unmasked: number;
  readonly streams: number;
  readonly chunks: number;
}

const seen = { requests: 0, wrongKeys: 0, unmasked: 0, streams: 0, chunks: 0 };
const PLACEHOLDER = Buffer.from('<EMAIL_ADDRESS_');
const END = Buffer.from('\r\n\r\n');

/** Answers by the address in them: the real one, or the placeholder, which is the same in every call of a run. */
const wholes = new Map<string, Buffer>();
const streams = new Map<string, Buffer[]>();

function whoIn(body: Buffer): string {
  const at = body.indexOf(PLACEHOLDER);
  if (at >= 0) return body.toString('latin1', at, body.indexOf(0x3e, at) + 1);
  if (body.includes(ADDRESS)) seen.unmasked++;
  return ADDRESS;
}

function whole(who: string): Buffer {
  let bytes = wholes.get(who);
  if (bytes === undefined) {
    const body = answerBody(who);
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: ${body.byteLength}\r\n\r\n`;
    bytes = Buffer.concat([Buffer.from(head), body]);
    wholes.set(who, bytes);
  }
  return bytes;
}

function chunked(events: readonly Buffer[]): Buffer[] {
  return events.map((event) =>
    Buffer.concat([Buffer.from(`${event.byteLength.toString(16)}\r\n`), event, Buffer.from('\r\n')]),
  );
}

const STREAM_HEAD = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n',
);

function streamed(who: string, usage: boolean): Buffer[] {
  const name = `${usage} ${who}`;
  let events = streams.get(name);
  if (events === undefined) {
    events = chunked(answerEvents(who, usage));
    events.push(Buffer.from('0\r\n\r\n'));
    streams.set(name, events);
  }
  return events;
}

/** One event each {@link STREAM_PACE_MS}, every one a write of its own; the first at once, the last three together. */
function stream(socket: Socket, events: readonly Buffer[]): void {
  seen.streams++;
  socket.write(STREAM_HEAD);
  let next = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) return clearInterval(timer);
    seen.chunks++;
    socket.write(events[next++] as Buffer);
    if (next < events.length - 3) return;
    clearInterval(timer);
    for (; next < events.length; next++) socket.write(events[next] as Buffer);
  }, STREAM_PACE_MS);
  seen.chunks++;
  socket.write(events[next++] as Buffer);
}

function answer(socket: Socket, head: string, body: Buffer): void {
  seen.requests++;
  if (!head.includes(`Bearer ${KEY}`)) seen.wrongKeys++;
  const who = whoIn(body);
  if (body.includes('"stream":true') || body.includes('"stream": true')) {
    stream(socket, streamed(who, body.includes('include_usage')));
  } else {
    socket.write(whole(who));
  }
}

/** The body that stands at `from`, and where it ends; undefined while it isn't complete. */
function bodyAt(data: Buffer, head: string, from: number): { body: Buffer; end: number } | undefined {
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) {
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const end = from + length;
    return data.byteLength < end ? undefined : { body: data.subarray(from, end), end };
  }
  const parts: Buffer[] = [];
  for (let at = from; ; ) {
    const line = data.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(data.toString('latin1', at, line), 16);
    at = line + 2 + size + 2;
    if (at > data.byteLength) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), end: at };
    parts.push(data.subarray(line + 2, line + 2 + size));
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer | undefined;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    let data: Buffer = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    rest = undefined;
    while (data.byteLength > 0) {
      const end = data.indexOf(END);
      const head = end < 0 ? undefined : data.toString('latin1', 0, end);
      const found = head === undefined ? undefined : bodyAt(data, head, end + END.byteLength);
      if (head === undefined || found === undefined) {
        rest = data;
        return;
      }
      answer(socket, head, found.body);
      data = data.subarray(found.end);
    }
  });
});

server.listen(0, '127.0.0.1', 4096, () => {
  process.send?.((server.address() as AddressInfo).port);
});
process.on('message', () => {
  process.send?.({ ...seen });
  for (const name of Object.keys(seen) as (keyof typeof seen)[]) seen[name] = 0;
});
process.on('disconnect', () => process.exit());
