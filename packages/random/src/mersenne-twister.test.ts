import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { MersenneTwister } from './mersenne-twister.ts';

describe('MersenneTwister', () => {
  test('gives the 10000th output that the C++ standard states for the seed 5489', () => {
    const engine = new MersenneTwister(5489);
    engine.skip(9999);
    expect(engine.next()).toBe(4123659995);
  });

  test('gives the first outputs of the authors’ init_by_array example', () => {
    const engine = new MersenneTwister([0x123, 0x234, 0x345, 0x456]);
    expect([engine.next(), engine.next(), engine.next()]).toEqual([1067595299, 955945823, 477289528]);
  });

  test('skips as many outputs as drawing them would', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(2000), fc.nat(2000), (seed, first, second) => {
        const skipped = new MersenneTwister(seed);
        skipped.skip(first);
        skipped.skip(second);
        const drawn = new MersenneTwister(seed);
        for (let i = 0; i < first + second; i++) drawn.next();
        expect(skipped.next()).toBe(drawn.next());
        expect(skipped.wordsDrawn).toBe(drawn.wordsDrawn);
      }),
      { numRuns: 50 },
    );
  });

  test('continues from a state that went through JSON', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(1500), (seed, drawn) => {
        const engine = new MersenneTwister(seed);
        engine.skip(drawn);
        const copy = MersenneTwister.fromState(JSON.parse(JSON.stringify(engine.state())));
        expect(copy.state()).toEqual(engine.state());
        expect(copy.next()).toBe(engine.next());
      }),
      { numRuns: 30 },
    );
  });
});
