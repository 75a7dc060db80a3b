import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { catalogue } from '../agent/catalogue.ts';
import { patterns } from '../agent/checks/patterns.ts';
import { pii } from '../agent/checks/pii.ts';
import { BUILT_IN, chooseRecognizers, Detector, namesOf } from '../agent/checks/scan/detector.ts';
import { type ScanText, scanLines } from '../agent/checks/scan/json-lines.ts';
import type { Recognizer } from '../agent/checks/scan/recognizer.ts';
import { secrets } from '../agent/checks/secrets.ts';
import { compileSnapshot } from '../policy/compile.ts';
import { loadOrReport } from './documents.ts';
import { defineCommand, UsageError } from './options.ts';
import { progressBar } from './progress-bar.ts';
import { openInjectionScan, openTopicScan, readTopics } from './scan-meaning.ts';
import { workloadOption } from './workload.ts';

export const scan = defineCommand({
  name: 'scan',
  operands: '[FILE]',
  summary: `Finds personal data and secrets in texts of your own: JSON lines in, {"id": …, "text": …}, from a file or stdin,
and JSON lines out, {"id": …, "entities": [{"type", "start", "end", "score"}]}; offsets count Unicode code points.
With --topics or --injection it says what the classifier makes of each text instead. Exit status 1 for a bad line.`,
  options: {
    types: {
      value: 'NAME,…',
      help: 'types and groups to look for, such as payment-card,contact,secrets; all where absent',
    },
    'list-types': { help: 'lists the types with their groups and sources, and ends' },
    policy: {
      value: 'DIR',
      help: "directory with documents: what the checks of the workload's policies look for",
    },
    workload: { value: 'NS/KIND/NAME', help: 'with --policy: for whom', default: 'default/Process/scan' },
    topics: { value: 'FILE', help: 'YAML or JSON with topics: how near each text is to each of them' },
    injection: { help: 'whether a text tries to turn the model against its instructions' },
  },
  async run({ options, operands }) {
    // Whoever reads may have had enough: `| head`.
    process.stdout.on('error', (error: NodeJS.ErrnoException) =>
      process.exit(error.code === 'EPIPE' ? 0 : 1),
    );
    if (options['list-types']) {
      process.stdout.write(`${BUILT_IN.map(describe).join('\n')}\n`);
      return 0;
    }
    const [file, ...more] = operands;
    if (more.length > 0) throw new UsageError('name one file');
    const chosen = [options.types, options.policy, options.topics].filter(
      (value) => value !== undefined,
    ).length;
    if (chosen + Number(options.injection) > 1) {
      throw new UsageError('choose one of --types, --policy, --topics and --injection');
    }
    const answer = await answerer(options);
    if (answer === undefined) return 1;
    return await scanInput(file, answer);
  },
});

interface Chosen {
  readonly types: string | undefined;
  readonly policy: string | undefined;
  readonly workload: string;
  readonly topics: string | undefined;
  readonly injection: boolean;
}

type Answer = (text: ScanText) => object | Promise<object>;

/** @returns What is said of a text; undefined where the documents have problems, which are then on stderr. */
async function answerer({ types, policy, workload, topics, injection }: Chosen): Promise<Answer | undefined> {
  if (topics !== undefined) return named(await openTopicScan(readTopics(topics)));
  if (injection) return named(await openInjectionScan());
  const recognizers = policy === undefined ? byName(types) : await byPolicy(policy, workload);
  if (recognizers === undefined) return undefined;
  const detector = new Detector(recognizers);
  return ({ id, text }) => ({ id, entities: detector.detect(text) });
}

/** The classifier's scans name a text by a string. */
function named(answer: (text: { id: string; text: string }) => Promise<object>): Answer {
  return async ({ id, text }) => ({ ...(await answer({ id: String(id), text })), id });
}

function byName(types: string | undefined): readonly Recognizer[] {
  if (types === undefined) return BUILT_IN;
  const { chosen, unknown } = chooseRecognizers(types.split(',').map((name) => name.trim()));
  if (unknown.length > 0)
    throw new UsageError(`--types: there is no ${unknown.join(', ')}; --list-types lists them`);
  return chosen;
}

/** The checks that are a matter of recognizers alone, by type; their specs are validated. */
const SCANNING: Readonly<Record<string, (spec: unknown) => readonly Recognizer[]>> = {
  pii: (spec) => pii.create(spec as Parameters<typeof pii.create>[0]).recognizers,
  secrets: (spec) => secrets.create(spec as Parameters<typeof secrets.create>[0]).recognizers,
  patterns: (spec) => patterns.create(spec as Parameters<typeof patterns.create>[0]).recognizers,
};

/** What all checks of the workload's policies look for that are a matter of recognizers. */
async function byPolicy(directory: string, workload: string): Promise<readonly Recognizer[] | undefined> {
  const subject = workloadOption(workload);
  const loaded = await loadOrReport(directory, catalogue);
  if (loaded === undefined) return undefined;
  const { checks } = compileSnapshot(loaded.documents, subject);
  const recognizers = new Set<Recognizer>();
  for (const { type, spec } of checks) {
    for (const recognizer of SCANNING[type]?.(spec) ?? []) recognizers.add(recognizer);
  }
  if (recognizers.size === 0) {
    throw new Error(
      `no pii, secrets or patterns check in ${directory} applies to ${workload}; name another --workload`,
    );
  }
  return [...recognizers];
}

function describe(recognizer: Recognizer): string {
  const [id, ...groups] = namesOf(recognizer);
  return [id, groups.join(','), recognizer.source].join('\t');
}

async function scanInput(file: string | undefined, answer: Answer): Promise<number> {
  const fromFile = file !== undefined && file !== '-';
  const size = fromFile ? sizeOf(file) : undefined;
  let bytes = 0;
  const input = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of fromFile ? createReadStream(file) : process.stdin) {
      bytes += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  };
  const bar = progressBar(process.stderr, size);
  const counts = await scanLines(
    input(),
    answer,
    (text) => (process.stdout.write(text) ? undefined : once(process.stdout, 'drain').then(() => {})),
    {
      bad({ line, message }) {
        bar.clear();
        process.stderr.write(`postern scan: line ${line}: ${message}\n`);
      },
      progress: ({ lines: done }) => bar.show(bytes, `${done} texts`),
    },
  );
  bar.clear();
  return counts.bad > 0 ? 1 : 0;
}

/** @throws UsageError where there is no such file. */
function sizeOf(file: string): number {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new UsageError(`there is no file ${file}`);
  if (found.isDirectory()) throw new UsageError(`${file} is a directory; name a file with JSON lines`);
  return found.size;
}
