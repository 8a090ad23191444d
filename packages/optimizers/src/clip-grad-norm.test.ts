import fc from 'fast-check';
import { expect, test } from 'vitest';

import { clipGradNorm } from './clip-grad-norm.ts';

const tensors = fc.array(fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: 1, maxLength: 8 }), {
  minLength: 1,
  maxLength: 4,
});

function toMap(values: number[][]): Map<string, Float32Array> {
  return new Map(values.map((list, i) => [String(i), Float32Array.from(list)]));
}

test('leaves a norm of at most the limit, and the direction', () => {
  fc.assert(
    fc.property(tensors, fc.double({ min: 0.01, max: 100, noNaN: true }), (values, limit) => {
      const gradients = toMap(values);
      const before = clipGradNorm(toMap(values), 0);
      expect(clipGradNorm(gradients, limit)).toBe(before);
      const after = clipGradNorm(gradients, 0);
      expect(after).toBeLessThanOrEqual(Math.max(limit, 0) * (1 + 1e-6));
      if (before < limit * 0.999) expect(gradients).toEqual(toMap(values));
    }),
  );
});

test('only measures with the limit 0', () => {
  const gradients = toMap([[3, 4]]);
  expect(clipGradNorm(gradients, 0)).toBe(5);
  expect(gradients).toEqual(toMap([[3, 4]]));
});

test.each([Number.NaN, Infinity])('changes nothing when a gradient is %f', (value) => {
  const gradients = toMap([[1, value], [2]]);
  expect(clipGradNorm(gradients, 1)).toBe(value);
  expect(gradients).toEqual(toMap([[1, value], [2]]));
});

test.each([Number.NaN, -1])('refuses the limit %d and changes nothing', (limit) => {
  const gradients = toMap([[3, 4]]);
  expect(() => clipGradNorm(gradients, limit)).toThrow(
    expect.objectContaining({ code: 'OPTIMIZER_ARGUMENT', option: 'max_grad_norm', remedy: expect.any(String) }),
  );
  expect(gradients).toEqual(toMap([[3, 4]]));
});
