import type { TensorStore } from '@musubi/safetensors';

import { expect, test } from 'vitest';

import { eightBitRequest } from './eight-bit-request.ts';

const model = { checkpoint: {} as TensorStore, weights: new Map() };
const config = { dit: 'low.safetensors', ditHighNoise: 'high.safetensors' };

test.each([
  ['cpu', false],
  ['cuda', false],
  ['webgpu', true],
  ['dml', true],
  ['coreml', true],
] as const)('on %s scales in float32: %s', (provider, wide) => {
  const given = { architecture: { longName: 'a_model' }, device: { provider }, merged: [] };
  expect(eightBitRequest(config, 'dit', model, given)).toMatchObject({ path: 'low.safetensors', wide, merged: [] });
  expect(eightBitRequest(config, 'dit_high_noise', model, given)).toMatchObject({ path: 'high.safetensors', wide });
});
