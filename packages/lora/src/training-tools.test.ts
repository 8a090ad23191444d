import { TorchGenerator } from '@musubi/random';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  assertDropout,
  createAdapter,
  createLora,
  drawDropout,
  factorize,
  factorsOf,
  hasDropout,
  limitWeightNorms,
  loadWeights,
  loraGroups,
} from './index.ts';
import type { AdapterKind } from './index.ts';

const modules = [{ path: 'q', inFeatures: 6, outFeatures: 4 }];
const adapterOf = (kind: AdapterKind, options: { rank?: number; factor?: number } = {}) =>
  createAdapter({ kind, modules, rank: 1, generator: new TorchGenerator(1), ...options });

describe('drawDropout', () => {
  const shape = [2, 500, 8];

  test('keeps the mean', () => {
    const options = { network: 0.3, rank: 0.2 };
    const masks = Array.from({ length: 40 }, (_, seed) =>
      drawDropout({ kind: 'lora', shape }, options, new TorchGenerator(seed)),
    );
    const mean = masks.reduce((sum, mask) => sum + mask.reduce((a, b) => a + b, 0) / mask.length, 0) / masks.length;
    // 640 draws of a rank with deviation 0.5: 3 deviations of their mean.
    expect(mean).toBeAllClose(1, { atol: 0.06 });
    expect(new Set(masks[0])).toEqual(new Set([0, Math.fround(Math.fround(1 / 0.7) / 0.8)]));
  });

  test('drops a rank for all tokens of an item', () => {
    const mask = drawDropout({ kind: 'lora', shape }, { rank: 0.5 }, new TorchGenerator(1));
    for (let i = 0; i < mask.length; i++) expect(mask[i]).toBe(mask[Math.floor(i / 4000) * 4000 + (i % 8)]);
  });

  test('draws nothing more when a module is left out', () => {
    const generator = new TorchGenerator(1);
    const mask = drawDropout({ kind: 'lora', shape }, { network: 0.5, rank: 0.5, module: 0.999 }, generator);
    expect(mask.every((value) => value === 0)).toBe(true);
    expect(generator.wordsDrawn).toBe(1);
  });

  test.each([
    [{ module: 0.1 }, 'lora', 1],
    [{ rank: 0.1 }, 'lora', 16],
    [{ network: 0.1, rank: 0.1, module: 0.001 }, 'lora', 1 + 8000 + 16],
    [{ network: 0.1, rank: 0.1 }, 'loha', 8],
  ] as const)('%j of a %s takes the numbers of the original', (options, kind, count) => {
    const generator = new TorchGenerator(1);
    drawDropout({ kind, shape: kind === 'loha' ? [8] : shape }, options, generator);
    expect(generator.wordsDrawn).toBe(count);
  });

  test('network_dropout 0 and network_dropout of a LoKr need no mask', () => {
    expect([hasDropout({ network: 0 }), hasDropout({ network: 0.1 }, 'lokr'), hasDropout({ network: 0.1 })]).toEqual([
      false,
      false,
      true,
    ]);
    expect(hasDropout({ rank: 0 })).toBe(true); // the original draws for it
  });

  test.each([{ network: 1 }, { rank: -0.1 }, { module: NaN }])('refuses %j', (options) => {
    expect(() => assertDropout(options)).toThrow(expect.objectContaining({ name: 'LoraError', code: 'DROPOUT_SHARE' }));
  });
});

describe('limitWeightNorms', () => {
  test('leaves no norm above the limit, and those below it alone', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 20, maxLength: 20 }),
        fc.double({ min: 0.01, max: 5, noNaN: true }),
        (values, limit) => {
          const [down, up] = [Float32Array.from(values.slice(0, 12)), Float32Array.from(values.slice(12))];
          const module = { name: 'm', rank: 2, alpha: 1, inFeatures: 6, outFeatures: 4, down, up };
          const before = norm(module);
          const { keysScaled, maximum } = limitWeightNorms({ modules: [module] }, limit)!;
          expect(norm(module)).toBeLessThanOrEqual(limit * (1 + 1e-6));
          expect(norm(module)).toBeAllClose(Math.min(before, limit), { rtol: 1e-5, atol: 1e-6 });
          expect(maximum).toBeAllClose(norm(module), { rtol: 1e-5, atol: 1e-6 });
          if (before < limit * (1 - 1e-6)) expect(keysScaled).toBe(0);
        },
      ),
    );
  });

  test('is for LoRA', () => expect(limitWeightNorms(adapterOf('loha'), 1)).toBeNull());

  test.each([0, -1, NaN])('refuses the limit %d', (limit) => {
    const { modules: made } = createLora({ modules, generator: new TorchGenerator(1) });
    expect(() => limitWeightNorms({ modules: made }, limit)).toThrow(expect.objectContaining({ code: 'NORM_LIMIT' }));
  });
});

function norm({
  rank,
  alpha,
  down,
  up,
}: {
  rank: number;
  alpha: number;
  down: Float32Array;
  up: Float32Array;
}): number {
  let squares = 0;
  for (let o = 0; o < 4; o++) {
    for (let i = 0; i < 6; i++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += up[o * rank + r]! * down[r * 6 + i]!;
      squares += ((sum * alpha) / rank) ** 2;
    }
  }
  return Math.sqrt(squares);
}

describe('loraGroups', () => {
  test.each([-1, NaN, Infinity])('refuses the ratio %d', (ratio) => {
    expect(() => loraGroups(adapterOf('lora'), 1, ratio)).toThrow(expect.objectContaining({ code: 'LORAPLUS_RATIO' }));
  });

  test('a ratio of 0 leaves lora_up out', () => {
    expect(loraGroups(adapterOf('lora'), 1, 0).map(({ name }) => name)).toEqual(['unet']);
  });
});

describe('createAdapter', () => {
  test('factors multiply to the size, the smaller first', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 64 })),
        (size, factor) => {
          const [a, b] = factorize(size, factor);
          expect(a * b).toBe(size);
          expect(a).toBeLessThanOrEqual(b);
        },
      ),
    );
  });

  test.each([0, -2, 1.5])('refuses the factor %d', (factor) => {
    expect(() => adapterOf('lokr', { factor })).toThrow(expect.objectContaining({ code: 'FACTOR_INVALID' }));
  });

  test.each(['loha', 'lokr'] as const)('takes ranks from another %s, and its weights', (kind) => {
    const saved = adapterOf(kind);
    for (const { data } of factorsOf(saved.modules[0]!)) data.fill(0.5);
    const fresh = createAdapter({ kind, modules, rank: 3, like: saved, generator: new TorchGenerator(2) });
    expect(fresh.modules[0]!.rank).toBe(1);
    expect(loadWeights(fresh, saved).adapter).toEqual(saved);
  });

  test('refuses weights of another kind and of another factor', () => {
    expect(() => loadWeights(adapterOf('loha'), adapterOf('lokr'))).toThrow(
      'network_weights: lora_unet_q is a LoKr, but network_module makes a LoHa. Choose the network_module of a LoKr, or another file.',
    );
    expect(() => loadWeights(adapterOf('lokr', { factor: 2 }), adapterOf('lokr', { factor: 1 }))).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });
});
