import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { PythonRandom } from './index.ts';

describe('PythonRandom', () => {
  // Values of CPython 3.11.
  test('takes seeds of any length and ignores their sign', () => {
    expect(new PythonRandom(2n ** 100n + 5n).random()).toBe(0.7033503239395905);
    expect(new PythonRandom(-1234).random()).toBe(new PythonRandom(1234).random());
  });

  test('gives more than 32 bits as CPython does', () => {
    const generator = new PythonRandom(7);
    expect([53, 33, 48, 0, 1].map((k) => generator.getrandbits(k))).toEqual([
      8537610396283960, 647892279, 13592072266832, 0, 0,
    ]);
    expect(new PythonRandom(7).below(2 ** 40 + 1)).toBe(868231286071);
  });

  test('continues from a state that went through JSON', () => {
    const generator = new PythonRandom(99);
    for (let i = 0; i < 400; i++) generator.random();
    const copy = PythonRandom.fromState(JSON.parse(JSON.stringify(generator.state())));
    expect([copy.random(), copy.below(10)]).toEqual([generator.random(), generator.below(10)]);
  });

  test('draws integers below their limit', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (seed, n) => {
        const value = new PythonRandom(seed).below(n);
        expect(value >= 0 && value < n && Number.isInteger(value)).toBe(true);
      }),
    );
  });

  test.each([
    ['BAD_SEED', () => new PythonRandom(1.5)],
    ['BAD_COUNT', () => new PythonRandom(0).getrandbits(54)],
    ['BAD_COUNT', () => new PythonRandom(0).below(0)],
    ['BAD_RANGE', () => new PythonRandom(0).randint(3, 2)],
    ['BAD_STATE', () => PythonRandom.fromState({ words: [], position: 0, wordsDrawn: 0 })],
  ])('refuses with %s: %s', (code, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'RandomError', code }));
  });
});
