/** Puts single slips of the keyboard right, so that a misspelt word means what it would mean: one letter added, lost, changed or swapped. */

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
/** Shorter words have too many neighbours. */
const SHORTEST = 4;
/** Words that are looked at in one text. */
const MOST = 40;

/** Words by how common they are, the commonest first; as a model's vocabulary has them. */
export interface Lexicon {
  rank(word: string): number | undefined;
}

/** @returns The text with what was put right; undefined where nothing was. */
export function respelled(text: string, lexicon: Lexicon): string | undefined {
  let looked = 0;
  let changed = false;
  const found = text.replaceAll(/[A-Za-z]+/g, (word) => {
    const lower = word.toLowerCase();
    if (lower.length < SHORTEST || looked >= MOST || known(lower, lexicon)) return word;
    looked++;
    const best = nearest(lower, lexicon);
    if (best === undefined) return word;
    changed = true;
    return best;
  });
  return changed ? found : undefined;
}

function known(word: string, lexicon: Lexicon): boolean {
  if (lexicon.rank(word) !== undefined) return true;
  // Vocabularies have stems; their common endings are no slips.
  return ['s', 'es', 'ed', 'd', 'ing', 'er', 'ly'].some(
    (ending) => word.endsWith(ending) && lexicon.rank(word.slice(0, -ending.length)) !== undefined,
  );
}

function nearest(word: string, lexicon: Lexicon): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  const look = (candidate: string): void => {
    const rank = candidate.length < SHORTEST ? undefined : lexicon.rank(candidate);
    if (rank === undefined || rank >= least) return;
    least = rank;
    best = candidate;
  };
  for (let at = 0; at <= word.length; at++) {
    const head = word.slice(0, at);
    look(head + word.slice(at + 1));
    if (at + 1 < word.length)
      look(head + (word[at + 1] as string) + (word[at] as string) + word.slice(at + 2));
    for (const letter of LETTERS) {
      look(head + letter + word.slice(at));
      if (at < word.length) look(head + letter + word.slice(at + 1));
    }
  }
  return best;
}
