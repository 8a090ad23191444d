import { describe, expect, test } from 'vitest';

import { readGoldenJson } from '../../../tests/golden.ts';
import { PythonRandom } from '../src/index.ts';

interface Case {
  seed: number;
  dataset_seed: number;
  random: number[];
  getrandbits32: number[];
  'uniform_0.25_0.5': number[];
  shuffle_10: number[];
  'randint_0_2^31': number[];
}

const { python_random: cases } = readGoldenJson<{ python_random: Case[] }>('dataset', 'batch_order.json');

describe.each(cases)('PythonRandom of seed $seed', (golden) => {
  const draw = (expected: number[], next: (generator: PythonRandom) => number): number[] => {
    const generator = new PythonRandom(golden.seed);
    return expected.map(() => next(generator));
  };

  test('gives the same random()', () => {
    expect(draw(golden.random, (g) => g.random())).toEqual(golden.random);
  });
  test('gives the same getrandbits(32)', () => {
    expect(draw(golden.getrandbits32, (g) => g.getrandbits(32))).toEqual(golden.getrandbits32);
  });
  test('gives the same uniform(0.25, 0.5)', () => {
    const expected = golden['uniform_0.25_0.5'];
    expect(draw(expected, (g) => g.uniform(0.25, 0.5))).toEqual(expected);
  });
  test('gives the same randint(0, 2^31)', () => {
    const expected = golden['randint_0_2^31'];
    expect(draw(expected, (g) => g.randint(0, 2 ** 31))).toEqual(expected);
  });
  test('gives the same shuffle', () => {
    const list = golden.shuffle_10.map((_, i) => i);
    new PythonRandom(golden.seed).shuffle(list);
    expect(list).toEqual(golden.shuffle_10);
  });
  test('gives the same dataset seed', () => {
    expect(new PythonRandom(golden.seed).randint(0, 2 ** 31)).toBe(golden.dataset_seed);
  });
});
