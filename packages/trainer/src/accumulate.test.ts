import { expect, test } from 'vitest';

import { createGradientSum } from './accumulate.ts';

const gradients = (...values: number[]) => new Map([['w', Float32Array.from(values)]]);
const taken = (sum: ReturnType<typeof createGradientSum>) => Array.from(sum.take().get('w') ?? []);

test('a step of one micro-batch has its gradient as it is', () => {
  const sum = createGradientSum(1);
  sum.add(gradients(3, -5));
  expect(taken(sum)).toEqual([3, -5]);
});

test('the gradient is the mean over the micro-batches', () => {
  const sum = createGradientSum(4);
  for (const value of [1, 2, 3, 6]) sum.add(gradients(value, -value));
  expect(taken(sum)).toEqual([3, -3]);
});

test('a step with fewer micro-batches is divided by the full number all the same', () => {
  const sum = createGradientSum(4);
  sum.add(gradients(8));
  sum.add(gradients(2));
  expect(taken(sum)).toEqual([2.5]);
});

test('each share is rounded to float32 before it is added', () => {
  const sum = createGradientSum(3);
  for (const value of [0.1, 0.7, 1e-9]) sum.add(gradients(value));
  const third = Math.fround(1 / 3);
  const shares = [0.1, 0.7, 1e-9].map((x) => Math.fround(Math.fround(x) * third));
  expect(taken(sum)).toEqual([shares.reduce((a, b) => Math.fround(a + b))]);
});

test('a step starts anew after it was taken', () => {
  const sum = createGradientSum(2);
  sum.add(gradients(4));
  sum.take();
  sum.add(gradients(10));
  expect(taken(sum)).toEqual([5]);
  expect(sum.take().size).toBe(0);
});

test('the caller keeps its gradients', () => {
  const sum = createGradientSum(2);
  const given = gradients(4);
  sum.add(given);
  sum.add(gradients(8));
  expect(taken(sum)).toEqual([6]);
  expect(Array.from(given.get('w') ?? [])).toEqual([4]);
});

test('a parameter whose gradient comes in a later micro-batch counts from there', () => {
  const sum = createGradientSum(2);
  sum.add(gradients(4));
  sum.add(new Map([['v', Float32Array.of(6)]]));
  expect(Array.from(sum.take(), ([name, [value]]) => [name, value])).toEqual([
    ['w', 2],
    ['v', 3],
  ]);
});
