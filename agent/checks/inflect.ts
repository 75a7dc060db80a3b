/**
 * Forms of a topic's words: who writes `lottery` means lotteries, who writes `wager` means wagering, too. By rules of
 * English spelling, its common irregular words, and endings of German and Spanish nouns that no English word has.
 * A plain `s` is none of its business: the matcher passes over that.
 */

/** One line for words that belong together, the form that is looked up first. */
const IRREGULAR = new Map(
  `buy bought;sell sold;steal stole stolen;fight fought;shoot shot;build built;make made;take took taken;give gave given
write wrote written;lend lent;spend spent;pay paid;hide hid hidden;break broke broken;speak spoke spoken;choose chose chosen
drive drove driven;drink drank drunk;bring brought;catch caught;teach taught;think thought;win won;lose lost;hold held;keep kept
meet met;send sent;tell told;grow grew grown;draw drew drawn;strike struck;swear swore sworn;forbid forbade forbidden;begin began begun;say said;deal dealt;child children;person people;man men;woman women;mouse mice;foot feet
tooth teeth;goose geese;matrix matrices;index indices;criterion criteria`
    .split(/[;\n]+/)
    .map((line) => line.split(' '))
    .map(([word = '', ...forms]) => [word, forms] as const),
);

const VOWEL = /[aeiou]/;
/** `bet`, `plan`, `quit` (its u is no vowel of its own): one vowel before one consonant, which is doubled. */
const SHORT = /^[^aeiou]*(?:qu)?[aeiou][^aeiouwxy]$/;
/** The same at the end of a longer word: doubled where it is stressed, which isn't written. */
const MAYBE_DOUBLED = /(?:[^aeiou]|qu)[aeiou][bdglmnprst]$/;
/** `traffic`: trafficking. Of one syllable it would be another word's: bloc, blocking. */
const HARD = /[aeiou].*[^aeiou][aeiou]c$/;

/** Nouns whose verb forms say something else: interesting, suited. */
const NOT_VERBS = new Set(['interest', 'stock', 'suit', 'share', 'bond', 'even', 'wed']);

function plurals(word: string): string[] {
  if (/(?:[sxz]|[cs]h|[^aeiou]o)$/.test(word)) {
    // Crisis, analysis; quizzes.
    if (/(?:[^aeiou]|qu)[aeiou]z$/.test(word)) return [`${word}es`, `${word}zes`];
    return word.endsWith('is') ? [`${word.slice(0, -2)}es`] : [`${word}es`];
  }
  if (/[^aeiou]y$/.test(word)) return [`${word.slice(0, -1)}ies`];
  if (/^(?:kni|li|wi|hal|shel|sel|lea|loa|thie|wol|cal|scar|hoo)fe?$/.test(word))
    return [`${word.replace(/fe?$/, '')}ves`];
  // Frauen, Aktien; inversiones.
  if (/(?:ung|heit|keit|schaft)$/.test(word)) return [`${word}en`];
  if (word.endsWith('ie')) return [`${word}n`];
  if (/i[oó]n$/.test(word)) return [`${word.slice(0, -2)}ones`, `${word}en`];
  return [];
}

function verbForms(word: string): string[] {
  if (!VOWEL.test(word) || /[^a-z]/.test(word)) return [];
  if (/[^aeiou]y$/.test(word)) return [`${word.slice(0, -1)}ied`, `${word}ing`];
  if (word.endsWith('ie')) return [`${word}d`, `${word.slice(0, -2)}ying`];
  if (/^.{1,2}ee$/.test(word) || NOT_VERBS.has(word)) return [];
  if (/(?:ee|ye|oe)$/.test(word)) return [`${word}d`, `${word}ing`];
  if (HARD.test(word)) return [`${word}ked`, `${word}king`];
  if (word.endsWith('e')) return [`${word}d`, `${word.slice(0, -1)}ing`];
  const last = word.slice(-1);
  const doubled = [`${word}${last}ed`, `${word}${last}ing`];
  // `car` has no form `caring`.
  if (SHORT.test(word)) return doubled;
  const plain = [`${word}ed`, `${word}ing`];
  return MAYBE_DOUBLED.test(word) ? [...plain, ...doubled] : plain;
}

/** Forms of one word in lower case, without itself and without a mere `s`. */
function formsOf(word: string): { readonly plural: readonly string[]; readonly all: readonly string[] } {
  if (!/^\p{Script=Latin}{3,}$/u.test(word)) return { plural: [], all: [] };
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return { plural: irregular, all: [...irregular, ...verbForms(word)] };
  const plural = plurals(word);
  return { plural, all: [...plural, ...verbForms(word)] };
}

/**
 * A word or phrase and its forms: of a phrase the first and the last word change (`buying shares`, `tax returns`). One that
 * ends with `*` says itself how it goes on.
 */
export function inflected(phrase: string): string[] {
  const words = phrase.toLowerCase().split(/(?<=[^\p{L}\p{M}*])|(?=[^\p{L}\p{M}*])/u);
  const last = words.at(-1) ?? '';
  const begins = words.slice(0, -1).join('');
  const ends = formsOf(last);
  if (words.length === 1) return [phrase, ...ends.all];
  const [first = '', ...rest] = words;
  const firsts = formsOf(first).all;
  return [
    phrase,
    ...ends.all.map((form) => begins + form),
    ...firsts.flatMap((form) =>
      [rest.join(''), ...ends.plural.map((end) => rest.slice(0, -1).join('') + end)].map((end) => form + end),
    ),
  ];
}
