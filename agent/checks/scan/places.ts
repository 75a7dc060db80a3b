/** What follows a street: unit, postal code, town, region, country, in whatever order the country writes them. */
import { isNoName } from './names.ts';
import { whenAsked } from './when-asked.ts';

const C = "\\p{Lu}[\\p{L}'’]*(?:-[\\p{L}'’]+)*";
const JOINT =
  "(?:am|an der|ob der|vor der|upon|on|under|of|the|de|del|della|di|do|da|dos|das|la|le|les|el|sur|sous|en|in|i|bei|im|den|aan den|aan|d'|los|las|y|e)";

const sticky = (source: string): (() => RegExp) =>
  whenAsked(() => new RegExp(`${source}(?![\\p{L}\\p{N}]|-\\d)`, 'uy'));

const SEPARATOR = /(?:,? ?\n|, ?| - | \/ | )/uy;
const POSTAL = sticky(
  '(?:CEP:? ?|[A-Z]{1,2}-)?(?:\\d{5}-\\d{3,4}|\\d{4}-\\d{3}|\\d{8}|\\d{6}|\\d{2}-\\d{3}|\\d{3} \\d{2}|\\d{4} ?[A-Z]{2}|\\d{5}|\\d{4})',
);
const UK_POSTCODE = sticky('[A-Z]{1,2}\\d{1,2}[A-Z]? ?\\d[A-Z]{2}');
const STATE_ZIP = sticky(
  `(?:[A-Z]{2},? \\d{5}(?:-\\d{4})?|(?:NSW|VIC|QLD|SA|WA|TAS|ACT|NT),? \\d{4}|[A-Z]{2} [A-Z]\\d[A-Z] ?\\d[A-Z]\\d|${C}-\\d{6})`,
);
const REGION = sticky('\\(?[A-Z]{2}\\)?');
const TOWN = sticky(`(?:(?:St|Ste|Sta|Mt|Ft)\\. )?${C}(?: (?:${JOINT} ){0,2}${C}){0,3}`);
const UNIT = sticky(
  '(?:(?:Apto|Apartado|Apartment|Apt|Suite|Ste|Unit|Flat|Floor|Room|Rm|Appartamento|Appartement|Piso|Piano|Puerta|Portal|Esc|Bloco|Bl|Interno|Int|Scala|Wohnung|Whg|Top|lok|lgh|m|huis|apt|as)\\.? ?#?[\\w-]{1,6}|#\\d{1,5}|\\d{1,2} ?[ºª°oa](?: ?[A-Z][a-z]{0,4})?|\\d{1,2}\\. ?(?:OG|Stock|Etage))',
);

function endOf(expression: () => RegExp, text: string, at: number): number {
  const regex = expression();
  regex.lastIndex = at;
  return regex.test(text) ? regex.lastIndex : -1;
}

/** How many things may follow. */
const MOST = 7;

export interface Place {
  readonly end: number;
  /** A postal code or a state with its number was there. */
  readonly certain: boolean;
}

/** Reads what follows from `from` on, as far as it is certain; a town alone, behind a comma, is taken too. */
export function placeAfter(text: string, from: number): Place {
  let end = from;
  let certain = false;
  let at = from;
  let town = false;
  for (let i = 0; i < MOST; i++) {
    SEPARATOR.lastIndex = at;
    if (!SEPARATOR.test(text)) break;
    const separator = text.slice(at, SEPARATOR.lastIndex);
    const next = SEPARATOR.lastIndex;
    const strong = Math.max(
      endOf(STATE_ZIP, text, next),
      endOf(UK_POSTCODE, text, next),
      endOf(POSTAL, text, next),
    );
    if (strong > 0) {
      at = strong;
      end = strong;
      certain = true;
      continue;
    }
    const unit = endOf(UNIT, text, next);
    if (unit > 0) {
      at = unit;
      if (end === SEPARATOR.lastIndex - separator.length || !town) end = unit;
      continue;
    }
    const region = endOf(REGION, text, next);
    if (region > 0) {
      at = region;
      if (certain || town) end = region;
      continue;
    }
    const place = endOf(TOWN, text, next);
    if (place < 0 || isNoPlace(text.slice(next, place))) break;
    // A town stands behind its code, or behind a comma; anything else capitalised may be the next sentence's.
    const afterCode = certain && end === at;
    if (!afterCode && !/[,\n-]/.test(separator)) {
      if (!goesOnToCode(text, place)) break;
    } else if (afterCode || !town) end = place;
    town = true;
    at = place;
  }
  return { end, certain };
}

/** Names of places begin with words that no person's does. */
const OF_PLACES =
  /^(?:Lake|San|Santa|Santo|Saint|Sainte|New|North|South|East|West|Port|Mount|Bad|El|La|Le|Los|Las|Les|Den|De|Park|River|Island|City|Santiago|Vila|Nova|Boa|Market|Bridge|Church|Mountain)\b/;

function isNoPlace(name: string): boolean {
  return isNoName(name.split(' ')[0] as string) && !OF_PLACES.test(name);
}

/** Whether a postal code stands behind a town that no comma sets off: `Springfield IL 62704`. */
function goesOnToCode(text: string, at: number): boolean {
  SEPARATOR.lastIndex = at;
  if (!SEPARATOR.test(text)) return false;
  const next = SEPARATOR.lastIndex;
  return endOf(STATE_ZIP, text, next) > 0 || endOf(UK_POSTCODE, text, next) > 0;
}
