import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createOptimizer } from '../src/index.ts';
import { dynamicCodeBook, nearestCode } from '../src/internal/dynamic-codes.ts';
import { type AdamSettings, dynamicMap, newState, quantize, updateCoded, updatePlain } from './bitsandbytes.ts';

/** As a PyTorch tensor prints them: those in which other ways of rounding go wrong. */
const published = [
  5.500000384017767e-7, 0.0003812500217463821, 0.000493750034365803, 0.006343749817460775, 0.019843751564621925,
  0.028281250968575478, 0.033906251192092896, 0.08171875774860382, 0.09578125923871994, 0.23359374701976776,
  0.3460937440395355, 0.4164062440395355, 0.6414062976837158, 0.7117187976837158, 0.796093761920929, 0.992968738079071,
];

describe('the code book is the dynamic map of bitsandbytes', () => {
  test.each([true, false])('signed: %s', (isSigned) => {
    expect(Array.from(dynamicCodeBook(isSigned).values)).toEqual(dynamicMap(isSigned));
  });

  test('bit for bit as published', () => {
    const { values } = dynamicCodeBook(true);
    const all = Array.from(values);
    expect(published.filter((x) => !all.includes(x) || !all.includes(-x))).toEqual([]);
    // Of all 256 numbers of the published table.
    const bytes = new Uint8Array(values.buffer);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(PUBLISHED_HASH);
  });
});

const PUBLISHED_HASH = 'e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c';

describe('nearestCode is the search of its kernels', () => {
  test.each([true, false])('for any number, signed: %s', (isSigned) => {
    const { middles } = dynamicCodeBook(isSigned);
    const map = dynamicMap(isSigned);
    fc.assert(
      fc.property(fc.float({ min: -1, max: 1, noNaN: true }), (x) => {
        const within = isSigned ? x : Math.abs(x);
        expect(nearestCode(within, middles)).toBe(quantize(within, map));
      }),
    );
  });

  test.each([true, false])(
    'for every number of the map and every middle, and their neighbours, signed: %s',
    (isSigned) => {
      const { values, middles } = dynamicCodeBook(isSigned);
      const map = dynamicMap(isSigned);
      const points = [...values, ...middles].flatMap((x) => [x, next(x, 1), next(x, -1)]);
      const within = points.filter((x) => x <= 1 && x >= (isSigned ? -1 : 0));
      expect(within.length).toBeGreaterThan(1500);
      expect(within.map((x) => nearestCode(x, middles))).toEqual(within.map((x) => quantize(x, map)));
    },
  );
});

const size = 16 * 256 + 100;
const settings: AdamSettings = { lr: 1e-2, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };

/** Gradients of both signs and of sizes that stay very different, some of them 0. */
const gradient = (seed: number, count = size): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => {
    const wave = Math.sin(12.9898 * (i + 1) + 78.233 * seed);
    return i % 11 === seed % 11 ? 0 : wave * 10 ** -((i * 7) % 9);
  });
const broken = (step: number): Float32Array =>
  gradient(step).map((x, i) => (i % 7 !== 0 ? x : [Number.NaN, Infinity, -Infinity][i % 3]!));
const start = (count = size): Float32Array => gradient(99, count).map((x, i) => x + Math.cos(i));

const optimizerOf = (data: Float32Array, { lr, beta1, beta2, eps, weightDecay }: AdamSettings) =>
  createOptimizer(
    'AdamW8bit',
    [{ name: 'unet', learningRate: lr, parameters: [{ name: 'w', data, shape: [data.length] }] }],
    { betas: [beta1, beta2], eps, weight_decay: weightDecay },
  );

describe('20 updates are those of its kernels', () => {
  test.each<[string, AdamSettings]>([
    ['by default', settings],
    ['without decay', { ...settings, weightDecay: 0 }],
    ['with other rates', { lr: 3e-4, beta1: 0.95, beta2: 0.98, eps: 1e-6, weightDecay: 0.3 }],
    ['without averages', { ...settings, beta1: 0, beta2: 0 }],
  ])('%s', (_, chosen) => {
    const [p, expected] = [start(), start()];
    const state = newState(size);
    const optimizer = optimizerOf(p, chosen);
    for (let step = 1; step <= 20; step++) {
      optimizer.step(new Map([['w', gradient(step)]]), [chosen.lr]);
      updateCoded(expected, gradient(step), state, step, chosen);
      const { codes, tensors } = optimizer.state();
      expect(codes.get('exp_avg.w')!.data).toEqual(state.codes1);
      expect(codes.get('exp_avg_sq.w')!.data).toEqual(state.codes2);
      expect(tensors.get('exp_avg_scale.w')!.data).toEqual(state.absmax1);
      expect(tensors.get('exp_avg_sq_scale.w')!.data).toEqual(state.absmax2);
      expect(p).toEqual(expected);
    }
    // Moments below 0 that were rounded to 0 are among them.
    expect(state.codes1).toContain(126);
  });

  test('of a parameter that is too small for codes, too', () => {
    const count = 1000;
    const [p, expected] = [start(count), start(count)];
    const [m, v] = [new Float32Array(count), new Float32Array(count)];
    const optimizer = optimizerOf(p, settings);
    for (let step = 1; step <= 20; step++) {
      optimizer.step(new Map([['w', gradient(step, count)]]), [settings.lr]);
      updatePlain(expected, gradient(step, count), m, v, step, settings);
    }
    const { tensors } = optimizer.state();
    expect([p, tensors.get('exp_avg.w')!.data, tensors.get('exp_avg_sq.w')!.data]).toEqual([expected, m, v]);
  });

  test('of gradients that are not finite, whose values stay', () => {
    const [p, expected] = [start(), start()];
    const state = newState(size);
    const optimizer = optimizerOf(p, settings);
    for (let step = 1; step <= 3; step++) {
      optimizer.step(new Map([['w', broken(step)]]), [settings.lr]);
      updateCoded(expected, broken(step), state, step, settings);
    }
    expect(p).toEqual(expected);
    expect([p[0], p[7]]).toEqual([start()[0], start()[7]]);
    expect(optimizer.state().codes.get('exp_avg.w')!.data).toEqual(state.codes1);
  });

  test('of a run that was saved and restored after any of them', () => {
    for (const saved of [1, 7, 19]) {
      const [p, expected] = [start(), start()];
      const state = newState(size);
      let optimizer = optimizerOf(p, settings);
      for (let step = 1; step <= 20; step++) {
        optimizer.step(new Map([['w', gradient(step)]]), [settings.lr]);
        updateCoded(expected, gradient(step), state, step, settings);
        if (step !== saved) continue;
        const snapshot = structuredClone(optimizer.state());
        optimizer = optimizerOf(p, settings);
        optimizer.restore(snapshot);
      }
      expect(p).toEqual(expected);
      expect(optimizer.state().codes.get('exp_avg.w')!.data).toEqual(state.codes1);
    }
  });
});

/** The float32 number after or before x. */
function next(x: number, direction: 1 | -1): number {
  const float = Float32Array.of(x);
  const bits = new Int32Array(float.buffer);
  if (x === 0) return direction * 2 ** -149;
  bits[0]! += Math.sign(x) * direction;
  return float[0]!;
}
