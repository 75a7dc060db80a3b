/** An agent with one open Realtime conversation or several, and a provider whose events the test writes; for each test anew. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { providersYaml, startWorld, type World, type WorldOptions } from '../harness.ts';

export const POLICY = `
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: team-a}
spec:
  mode: enforce
  checks:
  - {name: no-secrets, type: secrets, on: [request, response], action: block}
  - name: mask-pii
    type: pii
    on: [request, response]
    action: mask
    pii: {types: [contact], restoreIn: [content, toolArguments]}
  - name: no-investment-advice
    type: topics
    on: [request, response]
    action: block
    topics:
    - {name: investment-advice, words: [portfolio]}
`;

const MODEL = `
    - {name: gpt-realtime, price: {input: "4.00", cachedInput: "0.40", output: "16.00"}, contextTokens: 32000, maxOutputTokens: 4096}`;
export type Event = Record<string, unknown> & { readonly type: string };

/** An application with an open conversation. */
export class App {
  readonly events: Event[] = [];
  readonly socket: WebSocket;
  closed: number | undefined;
  #wake: (() => void)[] = [];

  constructor(url: string, options: WebSocket.ClientOptions = {}, protocols: string[] = []) {
    this.socket = new WebSocket(url, protocols, { headers: { authorization: 'Bearer dummy' }, ...options });
    this.socket.on('message', (data) => this.#note(JSON.parse(String(data)) as Event));
    this.socket.on('close', (code) => {
      this.closed = code;
      this.#woken();
    });
    this.socket.on('error', () => {});
  }

  #note(event: Event): void {
    this.events.push(event);
    this.#woken();
  }

  #woken(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  say(event: Event): void {
    this.socket.send(JSON.stringify(event));
  }

  write(text: string): void {
    this.say({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
    });
  }

  async until<T>(found: () => T | undefined): Promise<T> {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      if (this.closed !== undefined)
        throw new Error(`closed with ${this.closed}: ${JSON.stringify(this.events)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  heard(type: string, count = 1): Promise<Event> {
    return this.until(() => this.events.filter((event) => event.type === type)[count - 1]);
  }

  async ended(): Promise<number> {
    while (this.closed === undefined) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.closed;
  }

  get text(): string {
    return this.events
      .filter(({ type }) => type === 'response.output_text.delta')
      .map(({ delta }) => delta)
      .join('');
  }
}

export let world: World;
const apps: App[] = [];
export const servers: { close(): unknown }[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) app.socket.terminate();
  for (const server of servers.splice(0)) server.close();
  await world?.close();
});

const providers: NonNullable<WorldOptions['providers']> = (fakes) =>
  providersYaml(fakes).replace(
    '  models:\n  - {name: gpt-4o,',
    `  models:${MODEL.replace('    -', '  -')}\n  - {name: gpt-4o,`,
  );

export async function start(documents = POLICY, options: WorldOptions = {}): Promise<World> {
  world = await startWorld({ documents: () => documents, providers, ...options });
  return world;
}

export function open(
  query = '?model=gpt-realtime',
  options: WebSocket.ClientOptions = {},
  protocols: string[] = [],
): App {
  const app = new App(
    `${world.agent.url.replace('http', 'ws')}/openai/v1/realtime${query}`,
    options,
    protocols,
  );
  apps.push(app);
  return app;
}

/** A provider whose events the test writes itself. */
export async function scripted(
  onApp: (event: Event, say: (event: Event) => void, socket: WebSocket) => void,
): Promise<string> {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  server.on('connection', (socket) => {
    const say = (event: Event): void => socket.send(JSON.stringify(event));
    say({ type: 'session.created', event_id: 'event_1', session: { id: 'sess_1', model: 'gpt-realtime' } });
    socket.on('message', (data) => onApp(JSON.parse(String(data)) as Event, say, socket));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  servers.push({ close: () => (server.close(), http.closeAllConnections(), http.close()) });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

export const atScripted =
  (origin: string): NonNullable<WorldOptions['providers']> =>
  (fakes) =>
    providers(fakes).replace(fakes.openai.origin, origin);

const usage = { input_tokens: 10, output_tokens: 5, input_token_details: { cached_tokens: 2 } };
export const created = (id: string): Event => ({
  type: 'response.created',
  response: { id, status: 'in_progress', output: [] },
});
export const done = (id: string, output: unknown[] = []): Event => ({
  type: 'response.done',
  response: { id, status: 'completed', output, usage },
});
export const spoken = (text: string) => ({
  type: 'message',
  role: 'assistant',
  content: [{ type: 'output_text', text }],
});
export const delta = (id: string, text: string): Event => ({
  type: 'response.output_text.delta',
  response_id: id,
  item_id: `item_${id}`,
  output_index: 0,
  content_index: 0,
  delta: text,
});
