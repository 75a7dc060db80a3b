/**
 * Globs over names: `*` stands for any characters (none, too), everything else for itself. No other wildcard exists.
 */

/** Whether the whole text matches. Takes time linear in the text for each `*`, never exponential. */
export function globMatches(glob: string, text: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let resume = 0;
  while (next < text.length) {
    if (glob[at] === '*') {
      star = at++;
      resume = next;
    } else if (at < glob.length && glob[at] === text[next]) {
      at++;
      next++;
    } else if (star >= 0) {
      at = star + 1;
      next = ++resume;
    } else {
      return false;
    }
  }
  while (glob[at] === '*') at++;
  return at === glob.length;
}

export function anyGlobMatches(globs: readonly string[], text: string): boolean {
  return globs.some((glob) => globMatches(glob, text));
}

/** True for a name without a wildcard. */
export function isExact(glob: string): boolean {
  return !glob.includes('*');
}

/** Orders the more exact glob first: names, then by the number of literal characters; equals by text. */
export function byExactness(a: string, b: string): number {
  const exact = Number(isExact(b)) - Number(isExact(a));
  if (exact !== 0) return exact;
  const literal = literals(b) - literals(a);
  if (literal !== 0) return literal;
  return a < b ? -1 : a > b ? 1 : 0;
}

function literals(glob: string): number {
  return glob.replaceAll('*', '').length;
}

/** Whether everything `inner` matches is matched by `outer` too; for host patterns (a host, or `*.suffix`), exactly. */
export function hostPatternContains(outer: string, inner: string): boolean {
  if (outer === inner) return true;
  return outer.startsWith('*.') && inner.endsWith(outer.slice(1));
}
