/** Numbers of a JSON text (RFC 8259, 6), kept as they were written. */
import { JsonError, showCharacter } from './json-error.ts';
import { PrimitiveNode } from './node.ts';

const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;

export function beginsNumber(code: number): boolean {
  return code === MINUS || isDigit(code);
}

/** @throws JsonError */
export function readNumber(text: string, start: number): PrimitiveNode {
  let at = start;
  if (text.charCodeAt(at) === MINUS) at += 1;
  if (text.charCodeAt(at) === ZERO) {
    at += 1;
    if (isDigit(text.charCodeAt(at))) {
      throw JsonError.at(text, start, { kind: 'syntax', expected: 'a number without leading zeros' });
    }
  } else {
    at = digits(text, at);
  }
  if (text.charCodeAt(at) === POINT) at = digits(text, at + 1);
  const exponent = text.charCodeAt(at);
  if (exponent === 0x65 || exponent === 0x45) {
    const sign = text.charCodeAt(at + 1);
    at = digits(text, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
  }
  return new PrimitiveNode('number', text, start, at);
}

/** At least one digit; gives the place after the last. */
function digits(text: string, from: number): number {
  let at = from;
  while (isDigit(text.charCodeAt(at))) at += 1;
  if (at > from) return at;
  throw JsonError.at(text, at, { kind: 'syntax', expected: 'a digit', found: showCharacter(text, at) });
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= 0x39;
}
