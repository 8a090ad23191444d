import type { HostTensor } from '@musubi/onnx-graph';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { wan } from '../src/index.ts';
import { small } from './checkpoints.ts';

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Numbers that tell where they were. */
const numbered = (shape: readonly number[]): HostTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from({ length: count(shape) }, (_, i) => i),
});

const length = fc.integer({ min: 1, max: 4 });
const latentShapes = fc
  .tuple(length, length, length, length, length)
  .map(([B, C, F, h, w]): readonly number[] => [B, C, F, 2 * h, 2 * w]);

test('tokens in the order of the prediction turn back into the latents', () => {
  fc.assert(
    fc.property(latentShapes, (shape) => {
      const latents = numbered(shape);
      const tokens = wan.toOutputTokens(small, latents);
      expect(wan.fromOutputTokens(small, tokens, shape)).toEqual(latents);
    }),
  );
});

// one frame of two channels, four rows and four columns: 0…15, then 16…31
test('a token of the prediction is ordered row, column, channel', () => {
  const { shape, data } = wan.toOutputTokens(small, numbered([1, 2, 1, 4, 4]));
  expect(shape).toEqual([1, 4, 8]);
  expect(data.slice(8, 16)).toEqual(Float32Array.of(2, 18, 3, 19, 6, 22, 7, 23));
});

test('a token of the input is ordered channel, row, column', () => {
  const config = { ...small, channels: 2 };
  const text = [{ shape: [0, small.textWidth], data: new Float32Array() }];
  const { tokens } = wan.prepare(config, { noisyLatents: numbered([1, 2, 1, 4, 4]), timesteps: [1], text });
  expect(tokens?.shape).toEqual([1, 4, 8]);
  expect(tokens?.data.slice(8, 16)).toEqual(Float32Array.of(2, 3, 6, 7, 18, 19, 22, 23));
});

test('tokens of other latents are refused', () => {
  const tokens = wan.toOutputTokens(small, numbered([1, 2, 1, 4, 4]));
  expect(() => wan.fromOutputTokens(small, tokens, [1, 2, 1, 4, 2])).toThrow('latents [1, 2, 1, 4, 2] give [1, 2, 8]');
});
