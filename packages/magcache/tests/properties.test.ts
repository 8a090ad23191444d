import { test } from 'vitest';
import { expect } from 'vitest';
import fc from 'fast-check';

import { createMagCache, defaultMagRatios, nearestRatios, planSkips } from '../src/index.ts';

const positive = fc.double({ min: 0.5, max: 1.5, noNaN: true });
const policies = fc.record({
  steps: fc.integer({ min: 1, max: 80 }),
  ratios: fc.array(positive, { minLength: 1, maxLength: 60 }),
  retentionRatio: fc.double({ min: 0, max: 1, noNaN: true }),
  threshold: fc.double({ min: 0, max: 2, noNaN: true }),
  k: fc.integer({ min: 0, max: 8 }),
});

test('the first share and the last step are computed, and never more than k steps are skipped in a row', () => {
  fc.assert(
    fc.property(policies, (options) => {
      const plan = planSkips(options);
      expect(plan).toHaveLength(options.steps);
      const kept = Math.max(Math.floor(options.retentionRatio * options.steps), 1);
      expect(plan.slice(0, kept)).not.toContain(true);
      expect(plan.at(-1)).toBe(false);
      const longest = Math.max(
        ...plan
          .map(String)
          .join()
          .split('false')
          .map((run) => run.split('true').length - 1),
      );
      expect(longest).toBeLessThanOrEqual(options.k);
    }),
  );
});

test('a threshold of 0 skips only steps whose ratios are 1, k = 0 and a retention of 1 none', () => {
  fc.assert(
    fc.property(policies, (options) => {
      const different = options.ratios.map((ratio) => (ratio === 1 ? 1.1 : ratio));
      expect(planSkips({ ...options, threshold: 0, ratios: different, k: 1 })).not.toContain(true);
      expect(planSkips({ ...options, k: 0 })).not.toContain(true);
      expect(planSkips({ ...options, retentionRatio: 1 })).not.toContain(true);
    }),
  );
});

test('resampling keeps the length asked for, both ends, the order, and only given ratios', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200 }), (steps) => {
      const indices = defaultMagRatios.map((_, i) => i + 1);
      const nearest = nearestRatios(indices, steps);
      expect(nearest).toHaveLength(steps);
      expect([nearest[0], nearest.at(-1)]).toEqual([1, indices.length]);
      expect(nearest).toEqual(nearest.toSorted((a, b) => a - b));
      expect(indices).toEqual(expect.arrayContaining(nearest));
      expect(nearestRatios(indices, indices.length)).toEqual(indices);
    }),
  );
});

test('a model with a constant residual gives the same values cached and not, in all streams and sections', async () => {
  await fc.assert(
    fc.asyncProperty(policies, fc.integer({ min: 1, max: 3 }), async (options, sections) => {
      const cache = createMagCache(options);
      const shift: Record<string, number> = { conditional: 2, unconditional: -3 };
      for (let section = 0; section < sections; section++) {
        for (let step = 0; step < options.steps; step++) {
          for (const stream of ['conditional', 'unconditional']) {
            const by = shift[stream]! + section;
            const output = await cache.run(step, Float32Array.of(step, 1), (x) => x.map((v) => v + by), stream);
            expect([...output]).toEqual([step + by, 1 + by]);
          }
        }
      }
      const skipped = planSkips(options).filter(Boolean).length;
      expect(cache.counts).toEqual({
        computed: 2 * sections * (options.steps - skipped),
        skipped: 2 * sections * skipped,
      });
    }),
  );
});
