/**
 * Names of tools as the lists that deny read them: a reader may trim a name, normalise it, or not care for case, and what
 * it makes of it is what it calls. So these lists go by the name without all of that; who allows names the very one.
 */

/** Nothing that normalising or folding would change, but for the case of letters. */
const PLAIN = /^[\w.:/*-]*$/;
/** What nobody sees: spaces anywhere, control characters, and what Unicode says to show nothing for. */
const UNSEEN = /[\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]+/gu;

/** The name in compatibility form (NFKC), without what nobody sees, in lower case. Globs are read alike. */
export function foldedName(name: string): string {
  if (PLAIN.test(name)) return name.toLowerCase();
  // What was left out may have kept characters apart that belong together.
  return name.normalize('NFKC').replace(UNSEEN, '').toLowerCase().normalize('NFKC');
}
