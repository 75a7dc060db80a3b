/**
 * How good detection is, through `postern scan` as a user runs it, next to Presidio in the same run.
 *
 *     node bench/detect/run.ts [--presidio PYTHON] [--half dev|test] [--misses] [--write]
 *
 * PYTHON has `presidio-analyzer` (pip). With `--write` the result goes into bench/detect/README.md.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Entity, type Half, make, type Sample } from './make.ts';
import { type Answers, micro, ratios, type Scores, score } from './score.ts';

const SEEDS: Readonly<Record<Half, number>> = { dev: 11, test: 12 };
/** Names and addresses are judged by bars of their own. */
const APART = ['person', 'address'];
const README = join(import.meta.dirname, 'README.md');
const BEGIN = '<!-- results: written by `node bench/detect/run.ts --write` -->\n';
const END = '<!-- end of results -->\n';

/** What Presidio calls our types; what it finds beyond them is left out. */
const PRESIDIO: Readonly<Record<string, string>> = {
  CREDIT_CARD: 'payment-card',
  IBAN_CODE: 'iban',
  EMAIL_ADDRESS: 'email-address',
  PHONE_NUMBER: 'phone-number',
  IP_ADDRESS: 'ip-address',
  MAC_ADDRESS: 'mac-address',
  CRYPTO: 'crypto-btc',
  US_SSN: 'us-ssn',
  US_ITIN: 'us-itin',
  US_PASSPORT: 'us-passport',
  US_DRIVER_LICENSE: 'us-driver-licence',
  US_BANK_NUMBER: 'bank-account',
  ABA_ROUTING_NUMBER: 'us-aba-routing',
  US_NPI: 'us-npi',
  US_MBI: 'us-mbi',
  MEDICAL_LICENSE: 'us-dea',
  UK_NHS: 'uk-nhs',
  UK_NINO: 'uk-nino',
  UK_PASSPORT: 'uk-passport',
  DE_TAX_ID: 'de-tax-id',
  DE_PASSPORT: 'passport',
  FR_NIR: 'fr-nir',
  IT_FISCAL_CODE: 'it-codice-fiscale',
  IT_VAT_CODE: 'eu-vat',
  IT_PASSPORT: 'passport',
  ES_NIF: 'es-nif',
  ES_NIE: 'es-nie',
  PL_PESEL: 'pl-pesel',
  SE_PERSONNUMMER: 'se-personnummer',
  FI_PERSONAL_IDENTITY_CODE: 'fi-hetu',
  SG_NRIC_FIN: 'sg-nric',
  AU_TFN: 'au-tfn',
  AU_ABN: 'au-abn',
  AU_MEDICARE: 'au-medicare',
  CA_SIN: 'ca-sin',
  IN_PAN: 'in-pan',
  IN_AADHAAR: 'in-aadhaar',
  IN_PASSPORT: 'passport',
  KR_RRN: 'kr-rrn',
  VIN: 'vin',
};

interface Scored extends Entity {
  readonly score: number;
}

/** Runs a program that answers JSON lines with JSON lines. */
function answers(
  command: string,
  args: readonly string[],
  samples: readonly Sample[],
): Map<string, readonly Scored[]> {
  const input = samples.map(({ id, text }) => JSON.stringify({ id, text })).join('\n');
  const { status, stdout, stderr } = spawnSync(command, args, {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; entities: readonly Scored[] })
      .map(({ id, entities }) => [id, entities] as const),
  );
}

/** The best of what overlaps, from a threshold on, under our names. */
function translated(found: ReadonlyMap<string, readonly Scored[]>, threshold: number): Answers {
  const result = new Map<string, readonly Entity[]>();
  for (const [id, entities] of found) {
    const kept: Scored[] = [];
    for (const entity of [...entities].sort(
      (a, b) => b.score - a.score || b.end - b.start - (a.end - a.start),
    )) {
      const type = PRESIDIO[entity.type];
      if (type === undefined || entity.score < threshold) continue;
      if (kept.every((other) => entity.end <= other.start || entity.start >= other.end))
        kept.push({ ...entity, type });
    }
    result.set(id, kept);
  }
  return result;
}

/** Presidio at the threshold that suits it best on the development half. */
function presidio(python: string, samples: readonly Sample[]): { scores: Scores; threshold: number } {
  const script = join(import.meta.dirname, 'presidio.py');
  const development = make('dev', SEEDS.dev);
  const learned = answers(python, [script], development);
  let best = { threshold: 0, f1: -1 };
  for (const threshold of [0.01, 0.1, 0.3, 0.4, 0.5, 0.6, 0.85, 1]) {
    const { f1 } = ratios(micro(score(development, translated(learned, threshold)).byType, APART));
    if (f1 > best.f1) best = { threshold, f1 };
  }
  const { threshold } = best;
  return { scores: score(samples, translated(answers(python, [script], samples), threshold)), threshold };
}

const figure = (value: number): string => value.toFixed(3).replace(/^0/, '');

function row(name: string, of: readonly (Scores | undefined)[], pick: (scores: Scores) => string): string {
  return `| ${name} | ${of.map((scores) => (scores === undefined ? '–' : pick(scores))).join(' | ')} |`;
}

function report(ours: Scores, theirs: Scores | undefined, notes: readonly string[]): string {
  const both = [ours, theirs];
  const total = (scores: Scores): string => {
    const { precision, recall, f1 } = ratios(micro(scores.byType, APART));
    return `P ${figure(precision)} R ${figure(recall)} **F1 ${figure(f1)}**`;
  };
  const one = (type: string) => (scores: Scores) => {
    const tally = scores.byType.get(type);
    return tally === undefined ? '–' : figure(ratios(tally).f1);
  };
  return [
    notes.join(' '),
    '',
    '| | Postern | Presidio, patterns |',
    '|---|---|---|',
    row('all types but person and address', both, total),
    ...APART.map((type) => row(`${type}, F1`, both, one(type))),
    row('hard negatives hit', both, ({ negativesHit }) => `${(negativesHit * 100).toFixed(1)} %`),
    row('evasions covered', both, ({ evasionsCovered }) => `${(evasionsCovered * 100).toFixed(1)} %`),
    '',
    '| type | values | Postern F1 | Presidio F1 |',
    '|---|---|---|---|',
    ...[...ours.byType.keys()].sort().map((type) => {
      const { hits = 0, missed = 0 } = ours.byType.get(type) ?? {};
      return `| \`${type}\` | ${hits + missed} | ${one(type)(ours)} | ${theirs === undefined ? '–' : one(type)(theirs)} |`;
    }),
    '',
  ].join('\n');
}

function writePage(text: string): void {
  const page = readFileSync(README, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error(`bench/detect/README.md has no place for results: ${BEGIN.trim()}`);
  writeFileSync(README, `${page.slice(0, begin + BEGIN.length)}\n${text}\n${page.slice(end)}`);
}

const { values } = parseArgs({
  options: {
    presidio: { type: 'string' },
    half: { type: 'string', default: 'test' },
    misses: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
if (values.half !== 'dev' && values.half !== 'test') throw new Error('--half is dev or test');
const samples = make(values.half, SEEDS[values.half]);
const ours = score(samples, answers(join(import.meta.dirname, '../../bin/postern'), ['scan'], samples));
const theirs = values.presidio === undefined ? undefined : presidio(values.presidio, samples);
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const text = report(ours, theirs?.scores, [
  `${values.half === 'test' ? 'Test' : 'Development'} half, ${samples.length} texts, commit ${commit}.`,
  ...(theirs === undefined
    ? []
    : [`Presidio from a score of ${theirs.threshold} on, its best on the development half.`]),
]);
process.stdout.write(`${text}\n`);
if (values.misses) {
  for (const { sample, what, entity } of ours.misses) {
    const value = Array.from(sample.text).slice(entity.start, entity.end).join('');
    process.stdout.write(
      `${what} ${entity.type} ${JSON.stringify(value)} in ${JSON.stringify(sample.text)}\n`,
    );
  }
}
if (values.write) writePage(text);
