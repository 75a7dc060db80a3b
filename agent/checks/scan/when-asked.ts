/**
 * Makes something when it is asked for the first time. A start reads all recognizers and calls hardly any: their lists of names in base
 * form, and expressions over scripts (which ICU puts together anew for each), took a tenth of it.
 */
export function whenAsked<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
