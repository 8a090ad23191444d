import type { BatchTensor, TrainingBatch } from '@musubi/dataset';
import type { WanConfig } from '@musubi/models';

import { wan } from '@musubi/models';
import { TorchGenerator } from '@musubi/random';
import { createTimestepSampler, lossWeighting } from '@musubi/samplers';
import { describe, expect, test } from 'vitest';

import { fakeBatch } from '../tests/fake-run.ts';
import { microBatchFeeds, prepareMicroBatch } from './micro-batch.ts';

const config: WanConfig = {
  width: 32,
  ffnWidth: 32,
  heads: 2,
  layers: 1,
  channels: 2,
  textWidth: 3,
  textLength: 4,
  timeWidth: 8,
  eps: 1e-6,
};
const shape = [2, 2, 1, 2, 4];
const count = 32;

const tensor = (dtype: BatchTensor['dtype'], size: readonly number[], value: (i: number) => number): BatchTensor => ({
  dtype,
  shape: size,
  data: Float32Array.from({ length: size.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
});

function batch(latents: Partial<BatchTensor> = {}, textWidth = 3): TrainingBatch {
  const [first, second] = ['fox', 'elm'].map((key) => fakeBatch(key).items[0]);
  return fakeBatch('fox', {
    items: [first, second].flatMap((item) => item ?? []),
    stacked: new Map([['latents', { ...tensor('F32', shape, (i) => i / 8), ...latents }]]),
    lists: new Map([['t5', [1, 2].map((rows) => tensor('F32', [rows, textWidth], () => 1))]]),
  });
}

const options = {
  architecture: wan,
  config,
  sampler: createTimestepSampler({ timestepSampling: 'uniform' }),
  weightingScheme: 'none',
};

describe('the feeds of a batch', () => {
  test('are noise, timesteps and target by their formulas', () => {
    const noise = Float32Array.from({ length: count }, (_, i) => -i);
    const t = Float32Array.of(0.25, 0.75);
    const feeds = microBatchFeeds(batch(), noise, t, Float32Array.of(251, 751), options);

    // Tokens are patches of 2 × 2: two a picture here, so the first token of an item has the elements below.
    const { shape: tokenShape, data: tokens } = feeds['tokens']!;
    expect(tokenShape).toEqual([2, 2, 8]);
    [0.25, 0.75].forEach((level, item) => {
      const elements = [0, 1, 4, 5, 8, 9, 12, 13].map((i) => item * 16 + i);
      const expected = elements.map((i) => (1 - level) * (i / 8) + level * -i);
      expect(Array.from({ length: 8 }, (_, i) => tokens[item * 16 + i])).toEqual(expected);
    });
    expect(wan.fromOutputTokens(config, feeds['target']!, shape).data).toEqual(
      Float32Array.from({ length: count }, (_, i) => -i - i / 8),
    );
    expect(feeds['loss_weight']).toEqual({ dtype: 'float32', shape: [2, 1, 1], data: Float32Array.of(1, 1) });
  });

  test.each(['float32', 'float16', 'bfloat16'] as const)('weigh the loss in %s, the type of the base', (dtype) => {
    const timesteps = Float32Array.of(300, 700);
    const feeds = microBatchFeeds(batch(), new Float32Array(count), Float32Array.of(0.3, 0.7), timesteps, {
      ...options,
      weightingScheme: 'cosmap',
      dtype,
    });
    expect(feeds['loss_weight']?.data).toEqual(lossWeighting({ weightingScheme: 'cosmap', timesteps, dtype }));
  });
});

describe('random numbers', () => {
  test.each([
    ['F32', 'float32'],
    ['BF16', 'bfloat16'],
  ] as const)('latents stored as %s: noise as %s, then one timestep an item', (stored, dtype) => {
    const [generator, reference] = [new TorchGenerator(7), new TorchGenerator(7)];
    const { feeds, timesteps } = prepareMicroBatch(batch({ dtype: stored }), generator, options);
    const noise = reference.randn(count, dtype);
    const t = reference.rand(2);

    expect(timesteps).toEqual(t.map((x) => Math.fround(1000 * x) + 1));
    expect(feeds).toEqual(microBatchFeeds(batch(), noise, t, timesteps, options));
    expect(generator.state()).toEqual(reference.state());
  });

  test('timesteps of a pool are not drawn', () => {
    const generator = new TorchGenerator(7);
    const { timesteps } = prepareMicroBatch({ ...batch(), timesteps: [0.5, 0.25] }, generator, options);
    expect(Array.from(timesteps)).toEqual([501, 251]);
    expect(generator.wordsDrawn).toBe(count);
  });
});

const prepare = (wrong: TrainingBatch) => () => prepareMicroBatch(wrong, new TorchGenerator(1), options);

describe('a batch that cannot be trained on is named with its caches', () => {
  const files = 'fox_wan.safetensors, fox_wan_te.safetensors, elm_wan.safetensors, elm_wan_te.safetensors';

  test.each([
    ['latents', { stacked: new Map() }],
    ['text embeddings', { lists: new Map() }],
  ])('without %s', (content, contents) => {
    expect(prepare({ ...batch(), ...contents })).toThrow(
      expect.objectContaining({
        name: 'TrainerError',
        code: 'BATCH_INCOMPLETE',
        facts: { items: ['fox', 'elm'] },
        message: `The caches of fox, elm hold no ${content}. Make the caches again for this model.`,
      }),
    );
  });

  test('text embeddings of another width', () => {
    expect(prepare(batch({}, 5))).toThrow(
      expect.objectContaining({
        code: 'BATCH_UNFIT',
        message: `A batch does not fit the model. The text embedding 0 is [1, 5], expected [0…4, 3]. Its caches are ${files}. Make the caches again for this model.`,
        cause: expect.objectContaining({ name: 'ModelError', code: 'BAD_BATCH' }),
      }),
    );
  });

  test('latents with other channels', () => {
    const latents = tensor('F32', [2, 4, 1, 2, 2], () => 0);
    expect(prepare(batch(latents))).toThrow(/latents have 4 channels, the model takes 2[.].*fox_wan.safetensors/);
  });
});
