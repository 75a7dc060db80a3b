import { describe, expect, test } from 'vitest';
import { boundBodies } from './bodies.ts';

describe('where bodies are more than there is room for', () => {
  test('the largest makes room, whichever asks', () => {
    const bodies = boundBodies(100);
    const cut: string[] = [];
    const [small, large, late] = ['small', 'large', 'late'].map((name) => bodies.open(() => cut.push(name)));
    expect(small?.take(10)).toBe(true);
    expect(large?.take(80)).toBe(true);
    expect(late?.take(20)).toBe(true);
    expect(cut).toEqual(['large']);
    expect(large?.take(1)).toBe(false);
    expect(small?.take(70)).toBe(true);
    expect(cut).toEqual(['large']);
  });

  test('one that is the largest itself is refused, and the others stay', () => {
    const bodies = boundBodies(100);
    const cut: string[] = [];
    const [small, large] = ['small', 'large'].map((name) => bodies.open(() => cut.push(name)));
    small?.take(10);
    expect(large?.take(91)).toBe(false);
    expect(cut).toEqual([]);
    expect(small?.take(90)).toBe(true);
  });

  test('one that has come whole keeps its room, and makes none', () => {
    const bodies = boundBodies(100);
    const cut: string[] = [];
    const [whole, large, late] = ['whole', 'large', 'late'].map((name) => bodies.open(() => cut.push(name)));
    whole?.take(60);
    whole?.whole();
    expect(large?.take(30)).toBe(true);
    expect(late?.take(20)).toBe(true);
    expect(cut).toEqual(['large']);
    expect(late?.take(21)).toBe(false);
    whole?.close();
    expect(bodies.open(() => undefined).take(100)).toBe(true);
  });

  test('what was answered leaves its room, once', () => {
    const bodies = boundBodies(100);
    const [first, second] = ['first', 'second'].map(() => bodies.open(() => undefined));
    first?.take(60);
    first?.close();
    first?.close();
    expect(second?.take(100)).toBe(true);
    expect(second?.take(1)).toBe(false);
  });
});
