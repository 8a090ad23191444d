import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createOptimizer } from './index.ts';
import { BLOCK, dynamicCodeBook, nearestCode } from './internal/dynamic-codes.ts';

/** More than sixteen blocks, the last one short. */
const size = 16 * BLOCK + 100;
const wave = (seed: number) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));
const groupsOf = (data: Float32Array) => [
  { name: 'unet', learningRate: 1e-2, parameters: [{ name: 'w', data, shape: [data.length] }] },
];

describe('the code book', () => {
  test('has 256 sorted numbers, 0 and 1 among them', () => {
    for (const isSigned of [true, false]) {
      const { values, zero } = dynamicCodeBook(isSigned);
      expect(values).toHaveLength(256);
      expect(values.every((value, k) => k === 0 || value > values[k - 1]!)).toBe(true);
      expect([values[zero], values[255]]).toEqual([0, 1]);
    }
  });

  // The smallest and largest ones of the tables that bitsandbytes makes, worked out by hand from its definition.
  test('has the known numbers', () => {
    const [signed, unsigned] = [dynamicCodeBook(true), dynamicCodeBook(false)];
    const near = (from: number) => Array.from(signed.values.subarray(from, from + 4));
    expect(near(signed.zero)).toBeAllClose([0, 5.5e-7, 3.25e-6, 7.75e-6], { rtol: 1e-6 });
    expect([signed.values[0], signed.values[254]]).toBeAllClose([-0.99296875, 0.99296875], { rtol: 1e-7 });
    expect(Array.from(unsigned.values.subarray(0, 4))).toBeAllClose([0, 3.25e-7, 7.75e-7, 2.125e-6], { rtol: 1e-6 });
    expect([unsigned.values[254]]).toBeAllClose([1 - 0.9 / 256], { rtol: 1e-7 });
    expect([signed.zero, unsigned.zero]).toEqual([127, 0]);
  });

  test('nearestCode finds what a search of all finds', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.double({ min: -1, max: 1, noNaN: true }), (isSigned, x) => {
        const { values, middles } = dynamicCodeBook(isSigned);
        const distances = Array.from(values, (value) => Math.abs(value - x));
        const found = distances[nearestCode(x, middles)]!;
        // Middles are rounded to float32.
        expect(found - Math.min(...distances)).toBeLessThan(1e-7);
      }),
    );
  });
});

describe('AdamW8bit', () => {
  test('keeps a quarter of the memory, small parameters aside', () => {
    const { tensors, codes } = createOptimizer('AdamW8bit', groupsOf(wave(1))).state();
    const bytes = [...tensors.values(), ...codes.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    expect(bytes / (2 * 4 * size)).toBeLessThan(0.27);
    expect([...codes].map(([key, { shape }]) => [key, shape])).toEqual([
      ['exp_avg.w', [size]],
      ['exp_avg_sq.w', [size]],
    ]);
    const small = createOptimizer('AdamW8bit', groupsOf(new Float32Array(4095))).state();
    expect([small.codes.size, [...small.tensors.keys()]]).toEqual([0, ['exp_avg.w', 'exp_avg_sq.w']]);
  });

  // Without decay: that of AdamW comes before the update, that of AdamW8bit after it. And 1 − β₂ᵗ, which AdamW8bit computes
  // in float32, differs by 5e-5 of itself at first: 2.5e-7 of a rate of 1e-2.
  test.each([
    ['as long as there are no codes', 1, {}],
    ['for parameters below min_8bit_size', 5, { min_8bit_size: 1e6 }],
  ])('is AdamW %s', (_, steps, args) => {
    const [plain, coded] = [wave(1), wave(1)];
    const optimizers = [
      createOptimizer('AdamW', groupsOf(plain), { weight_decay: 0 }),
      createOptimizer('AdamW8bit', groupsOf(coded), { weight_decay: 0, ...args }),
    ];
    for (let t = 1; t <= steps; t++) {
      for (const optimizer of optimizers) optimizer.step(new Map([['w', wave(t)]]), [1e-2]);
    }
    expect(coded).toBeAllClose(plain, { atol: steps * 3e-7 });
  });

  test('reaches the loss of AdamW within a few percent', () => {
    const target = wave(3);
    // A badly scaled parabola with noise: what is small is 300 times flatter.
    const curvature = wave(4).map((x) => 0.003 + Math.abs(x));
    const lossOf = (p: Float32Array) => p.reduce((sum, x, i) => sum + curvature[i]! * (x - target[i]!) ** 2, 0) / size;
    const losses = ['AdamW', 'AdamW8bit'].map((type) => {
      const p = new Float32Array(size);
      const optimizer = createOptimizer(type, groupsOf(p), { weight_decay: 0 });
      const curve = [];
      for (let t = 1; t <= 150; t++) {
        const noise = wave(100 + t);
        const gradient = p.map((x, i) => 2 * curvature[i]! * (x - target[i]!) + 0.1 * noise[i]!);
        optimizer.step(new Map([['w', gradient]]), [5e-3]);
        curve.push(lossOf(p));
      }
      return curve;
    });
    const [plain, coded] = [losses[0]!, losses[1]!];
    expect(plain[149]!).toBeLessThan(0.2 * plain[0]!);
    plain.forEach((loss, t) => expect(Math.abs(coded[t]! / loss - 1)).toBeLessThan(0.05));
  });

  test('keeps moments within the spacing of its codes', () => {
    const optimizer = createOptimizer('AdamW8bit', groupsOf(wave(1)));
    const gradient = wave(2);
    optimizer.step(new Map([['w', gradient]]), [1e-2]);
    const { codes, tensors } = optimizer.state();
    const { values } = dynamicCodeBook(true);
    const scales = tensors.get('exp_avg_scale.w')!.data;
    const moments = Float32Array.from(
      codes.get('exp_avg.w')!.data,
      (code, i) => values[code]! * scales[Math.floor(i / BLOCK)]!,
    );
    moments.forEach((m, i) => {
      const scale = scales[Math.floor(i / BLOCK)]!;
      // Half of the widest interval, 0.9/64 of the scale.
      expect(Math.abs(m - 0.1 * gradient[i]!)).toBeLessThanOrEqual(scale * 0.0071);
    });
  });

  test('goes on bit for bit from a restored state', () => {
    const [p, q] = [wave(1), wave(1)];
    const optimizer = createOptimizer('AdamW8bit', groupsOf(p));
    for (let t = 1; t <= 3; t++) optimizer.step(new Map([['w', wave(t)]]), [1e-2]);
    const state = optimizer.state();
    q.set(p);
    const resumed = createOptimizer('AdamW8bit', groupsOf(q));
    resumed.restore(state);
    for (const each of [optimizer, resumed]) each.step(new Map([['w', wave(9)]]), [1e-2]);
    expect(q).toEqual(p);
    expect(resumed.state()).toEqual(optimizer.state());
  });

  test('survives gradients of 0', () => {
    const p = wave(1);
    const optimizer = createOptimizer('AdamW8bit', groupsOf(p), { weight_decay: 0 });
    for (let t = 0; t < 3; t++) optimizer.step(new Map([['w', new Float32Array(size)]]), [1e-2]);
    expect(p).toEqual(wave(1));
  });

  test('refuses a state without its codes', () => {
    const optimizer = createOptimizer('AdamW8bit', groupsOf(wave(1)));
    const state = { ...optimizer.state(), codes: new Map() };
    expect(() => optimizer.restore(state)).toThrow(
      expect.objectContaining({ code: 'WRONG_STATE', message: expect.stringContaining('"exp_avg.w" is missing') }),
    );
  });
});
