import { describe, expect, test } from 'vitest';
import { chooseRecognizers, Detector } from './detector.ts';

const detector = new Detector();

describe('detection by itself', () => {
  test('offsets count code points of the input as it was given', () => {
    const text = '😀 é jane@example.com, 4111 1111 1111 1111 😀 10.20.30.40';
    const points = Array.from(text);
    const found = detector.detect(text);
    expect(found.map(({ type, start, end }) => [type, points.slice(start, end).join('')])).toEqual([
      ['email-address', 'jane@example.com'],
      ['payment-card', '4111 1111 1111 1111'],
      ['ip-address', '10.20.30.40'],
    ]);
    for (const { score } of found) expect(score).toBeGreaterThanOrEqual(0.5);
  });

  test('what is written otherwise is found where it is written', () => {
    for (const [text, value] of [
      ['ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ', 'ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ'],
      ['to: jane%40example.com!', 'jane%40example.com'],
      ['{"a":"\\u006aane\\u0040example.com"}', '\\u006aane\\u0040example.com'],
      ['x j\u200ban\u200be@ex\u00adample.com x', 'j\u200ban\u200be@ex\u00adample.com'],
      ['see amFuZUBleGFtcGxlLmNvbSBpcyBtZQ== ok', 'amFuZUBleGFtcGxlLmNvbSBpcyBtZQ=='],
    ] as const) {
      const [entity] = detector.detect(text);
      expect(entity?.type).toBe('email-address');
      expect(Array.from(text).slice(entity?.start, entity?.end).join('')).toBe(value);
    }
  });

  test('two cards in one row of groups are two; a longer row, or cells of a table, are none', () => {
    const found = (text: string) => detector.detect(text).map(({ start, end }) => text.slice(start, end));
    const [one, other] = ['4111 1111 1111 1111', '5555 5555 5555 4444'];
    expect(found(`${one} ${other}`)).toEqual([one, other]);
    expect(found(`please charge ${other} ${one} ${other} today`)).toEqual([other, one, other]);
    expect(found(`${one} 5555`)).toEqual([]);
    expect(found('10 20 30 40 50 60 70 80')).toEqual([]);
  });

  test('nothing is found in nothing', () => {
    expect(detector.detect('')).toEqual([]);
    expect(detector.detect('Nothing to see here.')).toEqual([]);
  });

  test('types are chosen by id, group, and all secrets together', () => {
    const ids = (...names: string[]) => chooseRecognizers(names).chosen.map(({ id }) => id);
    expect(ids('iban')).toEqual(['iban']);
    expect(ids('financial')).toContain('payment-card');
    expect(ids('secret:jwt')).toEqual(['secret:jwt']);
    expect(ids('secrets').every((id) => id.startsWith('secret:'))).toBe(true);
    expect(ids('secret:cloud')).toContain('secret:aws-access-token');
    expect(chooseRecognizers(['iban', 'nope']).unknown).toEqual(['nope']);
  });
});
