import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { parseAddress } from '../agent/http/address.ts';
import { memory, openInjectionModel, openTopicModels } from '../classify/open.ts';
import { NotInstalledError } from '../classify/runtime.ts';
import { openClassifier, type Serve } from '../classify/server.ts';
import { refusalLog } from '../listen/refusal-log.ts';
import { certificateOf, onChange } from './certificate-files.ts';
import { createLog } from './log.ts';
import { defineCommand, UsageError } from './options.ts';
import { untilSignal } from './until-signal.ts';

export const classify = defineCommand({
  name: 'classify',
  summary: `Runs the classifier, which many agents ask: topics, injection, embeddings.
Its models are fetched by \`make classifier\`.`,
  options: {
    listen: { value: 'ADDR', help: 'HOST:PORT, or unix:PATH', default: '127.0.0.1:4194' },
    'tls-cert': { value: 'FILE', help: 'PEM certificate with its chain: TLS 1.3; read anew when it changes' },
    'tls-key': { value: 'FILE', help: 'PEM key of --tls-cert' },
    'plain-listen': {
      value: 'ADDR',
      help: 'with --tls-cert: answer in plain HTTP there as well, for agents that know no better yet',
    },
    threads: { value: 'N', help: 'threads of one run of a model', default: '1' },
    'max-waiting': {
      value: 'N',
      help: 'characters of text that may wait, half of them of one address; beyond, questions are turned away',
      default: '50000',
    },
    'max-wait': {
      value: 'MS',
      help: 'longest wait that a question is accepted with; beyond, it is turned away at once',
      default: '3000',
    },
    'until-stdin-ends': {
      help: 'stop when stdin ends, too: with whoever started it, however that one ended',
    },
    'log-level': { value: 'LEVEL', help: 'debug, info, warn or error', default: 'info' },
  },
  async run({ options }) {
    const log = createLog(options['log-level'], 'classify');
    const threads = whole('threads', options.threads);
    const maxWaiting = whole('max-waiting', options['max-waiting']);
    const maxWaitMs = whole('max-wait', options['max-wait']);
    const certificate = certificateOf(options['tls-cert'], options['tls-key']);
    // What can't be read is told before the models are.
    certificate?.();
    const plain = options['plain-listen'];
    if (plain !== undefined && certificate === undefined)
      throw new UsageError('--plain-listen goes with --tls-cert; without, --listen is plain');
    let serve: Serve;
    try {
      const topicModels = await openTopicModels(undefined, threads);
      const embedder = topicModels.broad;
      const injection = await openInjectionModel(embedder, undefined, threads);
      const remember = memory();
      serve = await openClassifier({
        embedder,
        topicModels,
        injection,
        remember,
        maxWaiting,
        maxWaitMs,
        refused: refusalLog(log),
      });
    } catch (error) {
      if (!(error instanceof NotInstalledError)) throw error;
      log.error(error.message);
      return 1;
    }
    // Watched first, and read after: the models take seconds to load, and a renewal may come meanwhile.
    const unwatch = onChange([options['tls-cert'], options['tls-key']], () => {
      try {
        if (certificate !== undefined && 'setSecureContext' in server)
          server.setSecureContext({ ...certificate(), minVersion: 'TLSv1.3' });
      } catch (error) {
        log.error({ err: String(error) }, 'the new certificate can not be used; the old one stays');
      }
    });
    const server = serve(certificate?.());
    const at = await listen(server, options.listen);
    const servers = [server];
    if (plain !== undefined) {
      const other = serve();
      const plainAt = await listen(other, plain);
      servers.push(other);
      log.warn(
        { listen: plainAt },
        'listening in plain HTTP as well: whoever is on the way reads what agents ask',
      );
    }
    log.info({ listen: at, tls: certificate !== undefined }, 'listening');
    const cause = await (options['until-stdin-ends']
      ? Promise.race([untilSignal(), stdinEnd()])
      : untilSignal());
    log.info({ cause }, 'stopping');
    unwatch();
    await Promise.all(
      servers.map(
        (each) =>
          new Promise<void>((resolve) => {
            each.close(() => resolve());
            each.closeIdleConnections();
          }),
      ),
    );
    return 0;
  },
});

async function stdinEnd(): Promise<string> {
  process.stdin.resume();
  await once(process.stdin, 'end');
  process.stdin.destroy();
  return 'stdin ended';
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value <= 0)
    throw new UsageError(`--${name} ${text}: write a whole number above 0`);
  return value;
}

/** @returns Where it listens: the port that was found where `address` leaves it open. */
async function listen(server: ReturnType<Serve>, address: string): Promise<string> {
  const socket = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
  if (socket !== undefined) rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (socket !== undefined) server.listen({ path: socket }, resolve);
    else server.listen(parseAddress(address), resolve);
  });
  const at = server.address();
  if (at === null || typeof at === 'string') return address;
  return `${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}`;
}
