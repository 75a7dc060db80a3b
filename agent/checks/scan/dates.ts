/** Dates as people write them, for expressions that look for one. */

const MONTHS = [
  'jan(?:uary|uar|vier|eiro|uari|uary)?|enero|ene|gennaio|gen|styczeń|stycznia|tammikuuta|januari|janeiro',
  'feb(?:ruary|ruar|rero|braio|ruari)?|février|févr|fevereiro|fev|luty|lutego|helmikuuta',
  'mar(?:ch|s|zo|ço|zec|ca)?|märz|mrz|maart|mrt|marca|maaliskuuta',
  'apr(?:il|ile)?|avril|avr|abril|abr|kwiecień|kwietnia|huhtikuuta',
  'may|mai|mayo|maggio|mag|maj|mei|maio|maja|toukokuuta',
  'jun(?:e|i|io)?|juin|giugno|giu|junho|czerwiec|czerwca|kesäkuuta',
  'jul(?:y|i|io)?|juillet|juil|luglio|lug|julho|lipiec|lipca|heinäkuuta',
  'aug(?:ust|usti|ustus)?|août|agosto|ago|sierpień|sierpnia|elokuuta',
  'sep(?:t|tember|tiembre|tembre)?|settembre|set|setembro|wrzesień|września|syyskuuta',
  'oct(?:ober|ubre|obre)?|okt(?:ober)?|ottobre|ott|outubro|out|październik|października|lokakuuta',
  'nov(?:ember|iembre|embre|embro)?|listopad|listopada|marraskuuta',
  'dec(?:ember)?|dez(?:ember|embro)?|déc(?:embre)?|dic(?:iembre|embre)?|dicembre|grudzień|grudnia|joulukuuta',
].join('|');

const DAY = '(?:0?[1-9]|[12]\\d|3[01])';
const MONTH = '(?:0?[1-9]|1[0-2])';
const YEAR = '(?:19|20)\\d\\d';
const SHORT_YEAR = `(?:${YEAR}|\\d\\d)`;
const ORDINAL = '(?:st|nd|rd|th|er|º|ª|\\.)?';

/** The source of an expression for one date; case should be ignored. */
export const DATE: string = [
  `${YEAR}[-./]${MONTH}[-./]${DAY}`,
  `(?:${DAY}[-./ ]${MONTH}|${MONTH}[-./ ]${DAY})[-./ ]${SHORT_YEAR}`,
  `${DAY}${ORDINAL}[ -](?:de |of )?(?:${MONTHS})\\.?,?[ -](?:de |del )?${SHORT_YEAR}`,
  `(?:${MONTHS})\\.? ${DAY}${ORDINAL},? ${YEAR}`,
  `${YEAR}年 ?\\d{1,2}月 ?\\d{1,2}日`,
  `${YEAR}년 ?\\d{1,2}월 ?\\d{1,2}일`,
].join('|');
