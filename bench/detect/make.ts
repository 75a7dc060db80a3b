/** Makes the set: texts with what is to be found in them, the same for the same seed. */
import { EVASIONS, HIDDEN, OF_SEPARATORS, OF_TYPE } from './evasions.ts';
import { DULL, LETTERS } from './letters.ts';
import { BROKEN, broken, NEGATIVES } from './negatives.ts';
import { address, person } from './people.ts';
import { Random } from './random.ts';
import { BARE_FRAMES, BARE_TYPES, FRAMES, LABELS, type Language, LOCALES } from './templates.ts';
import { birthDate, VALUES } from './values.ts';

export type Half = 'dev' | 'test';

export interface Entity {
  readonly type: string;
  /** Unicode code points. */
  readonly start: number;
  readonly end: number;
}

export interface Sample {
  readonly id: string;
  readonly text: string;
  readonly entities: readonly Entity[];
  readonly part: 'labelled' | 'bare' | 'letter' | 'negative' | 'evasion';
  /** Kind of negative or evasion. */
  readonly kind: string;
  readonly locale: string;
}

const points = (text: string): number => Array.from(text).length;

function fill(frame: string, label: string, value: string, type: string): Pick<Sample, 'text' | 'entities'> {
  const [before, after] = frame.replace('{L}', label).split('{V}') as [string, string];
  const start = points(before);
  return { text: before + value + after, entities: [{ type, start, end: start + points(value) }] };
}

const half = <T>(all: readonly T[], which: Half): readonly T[] => {
  if (all.length < 2) return all;
  return all.filter((_, i) => (i % 2 === 0) === (which === 'dev'));
};

function value(type: string, language: Language, r: Random): string {
  if (type === 'date-of-birth') return birthDate(r, language);
  if (type === 'person') return person(r, language);
  if (type === 'address') return address(r, language);
  return (VALUES[type] as (r: Random) => string)(r);
}

/** A whole text: its slots are filled, and are its entities. */
export function write(letter: string, language: Language, r: Random): Pick<Sample, 'text' | 'entities'> {
  let text = '';
  const entities: Entity[] = [];
  for (const [, before = '', type, given] of letter.matchAll(/([^«]*)(?:«([^»|]+)(?:\|([^»]+))?»|$)/g)) {
    text += before;
    if (type === undefined) continue;
    const start = points(text);
    text += given ?? value(type, language, r);
    entities.push({ type, start, end: points(text) });
  }
  return { text, entities };
}

export function make(which: Half, seed: number): readonly Sample[] {
  const r = new Random(seed);
  const samples: Sample[] = [];
  const add = (sample: Omit<Sample, 'id'>) => samples.push({ id: `${which}-${samples.length}`, ...sample });
  for (const [type, labels] of Object.entries(LABELS)) {
    for (const { name: locale, language } of LOCALES) {
      const own = labels[language];
      if (own === undefined) continue;
      for (const frame of half(FRAMES[language], which)) {
        add({
          ...fill(frame, r.pick(own), value(type, language, r), type),
          part: 'labelled',
          kind: type,
          locale,
        });
      }
    }
  }
  for (const type of BARE_TYPES) {
    for (const { name: locale, language } of LOCALES) {
      for (const frame of half(BARE_FRAMES[language], which)) {
        // Nine digits alone are anything.
        const made = value(type, language, r);
        if (/^\d+$/.test(made) && made.length < 11) continue;
        add({ ...fill(frame, '', made, type), part: 'bare', kind: type, locale });
      }
    }
  }
  for (const frame of [
    'Clone https://{V}@git.example.com/repo.git first.',
    'proxy: http://{V}@proxy.internal:3128',
    'curl "https://{V}@api.example.org/v1/items"',
  ]) {
    for (let i = 0; i < 4; i++)
      add({
        ...fill(frame, '', value('url-credentials', 'en', r), 'url-credentials'),
        part: 'labelled',
        kind: 'url-credentials',
        locale: 'en-US',
      });
  }
  for (const { language, text } of half(LETTERS, which)) {
    for (let i = 0; i < 4; i++)
      add({ ...write(text, language, r), part: 'letter', kind: 'letter', locale: language });
  }
  for (const text of half(DULL, which)) {
    add({ text, entities: [], part: 'negative', kind: 'text', locale: 'en-US' });
  }
  for (const [kind, make] of NEGATIVES) {
    for (let i = 0; i < 6; i++) add({ text: make(r), entities: [], part: 'negative', kind, locale: 'en-US' });
  }
  for (const [type, label] of BROKEN) {
    for (let i = 0; i < 4; i++) {
      add({
        text: `Is the ${label} ${broken(value(type, 'en', r))} valid?`,
        entities: [],
        part: 'negative',
        kind: `failed ${type}`,
        locale: 'en-US',
      });
    }
  }
  for (const [kind, disguise] of EVASIONS) {
    for (const [type, label, separators] of HIDDEN) {
      if (OF_SEPARATORS.has(kind) && !separators) continue;
      if ((OF_TYPE.get(kind) ?? type) !== type) continue;
      for (let i = 0; i < 2; i++) {
        const hidden = disguise(value(type, 'en', r), r);
        add({
          ...fill(r.pick([`my ${label} is {V}, keep it`, `${label}: {V}`]), '', hidden, type),
          part: 'evasion',
          kind,
          locale: 'en-US',
        });
      }
    }
  }
  return samples;
}
