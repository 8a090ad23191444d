import { wan } from '@musubi/models';
import { describe, expect, test } from 'vitest';

import { createMemoryModel } from '@musubi/onnx-graph/analysis';

import { type AttentionFacts, planAttention } from './plan-attention.ts';
import { benchModel, graphsOf } from '../tests/graph-forms.ts';

type WanConfig = Parameters<typeof wan.attention>[0];

/** Wan 2.1 1.3B's heads and blocks. */
const config = { heads: 12, layers: 30 } as WanConfig;

function planFor(
  key: readonly number[],
  change: {
    readonly mode?: 'auto' | 'whole' | 'chunked';
    readonly chunk?: number;
    readonly isCheckpointed?: boolean;
    readonly every?: number;
    readonly products?: 'float32' | 'float16' | 'bfloat16';
    readonly isOfCard?: boolean;
    readonly layers?: number;
  },
  totalMemoryBytes = 24 * 2 ** 30,
  largestTensorBytes?: number,
) {
  const { mode = 'auto', chunk = null, isCheckpointed = true, every = 1, layers = config.layers } = change;
  const { products, isOfCard } = change;
  const dataset = { kind: key.length > 2 ? 'video' : 'image', batchSize: 1 };
  return planAttention({
    choice: { mode, chunk },
    architecture: wan,
    config: { ...config, layers },
    datasets: [{ config: dataset, buckets: [{ key, count: 1 }] }] as unknown as AttentionFacts<WanConfig>['datasets'],
    gradientCheckpointing: isCheckpointed,
    gradientCheckpointingEvery: every,
    totalMemoryBytes,
    ...(products ? { products } : {}),
    ...(isOfCard ? { isOfCard } : {}),
    ...(largestTensorBytes === undefined ? {} : { largestTensorBytes }),
  });
}

const limited = (key: readonly number[], change: Parameters<typeof planFor>[1] = {}) =>
  planFor(key, change, 24 * 2 ** 30, 32 * 2 ** 20);

describe('planAttention', () => {
  test('leaves a picture whole where its scores are small', () => {
    expect(planFor([832, 480], {})).toEqual({
      plan: 'whole',
      reason: 'attention over 1560 tokens: whole (all scores at once take 0.3 of 24.0 GiB)',
    });
  });

  test('counts the scores of all blocks where none is computed again', () => {
    expect(planFor([832, 480], { isCheckpointed: false }).plan).toEqual({ chunks: 4, rows: 512 });
    expect(planFor([832, 480], { isCheckpointed: false }, 64 * 2 ** 30).plan).toBe('whole');
  });

  test('counts the scores of those that are not', () => {
    expect(planFor([832, 480], {}).plan).toBe('whole');
    expect(planFor([832, 480], { every: 2 }, 16 * 2 ** 30).reason).toMatch(
      'whole (all scores at once take 1.8 of 16.0',
    );
    expect(planFor([832, 480], { every: 3 }, 16 * 2 ** 30).reason).toMatch('pieces of 512 queries (all scores at once');
  });

  test('says when the memory is that of a card', () => {
    expect(planFor([832, 480], { isOfCard: true }).reason).toBe(
      "attention over 1560 tokens: whole (all scores at once take 0.3 of 24.0 GiB of the card's memory)",
    );
  });

  test.each([
    ['float32', false, 5 * 4],
    ['float16', false, 3 * 6 + 10],
    ['bfloat16', false, 3 * 6 + 10],
    ['float32', true, 3 * 4],
    ['float16', true, 6 + 10],
    ['bfloat16', true, 6 + 10],
  ] as const)('counts what the graph keeps of scores: in %s, checkpointed %s', (products, isCheckpointed, bytes) => {
    const [model, tokens] = [benchModel(), 2048];
    const scores = model.config.heads * tokens ** 2;
    const form = { dtype: 'F32', products, gradientCheckpointing: isCheckpointed } as const;
    const timeline = createMemoryModel(graphsOf(model, form).training).timeline(
      new Map([
        ['B', 1],
        ['S', tokens],
      ]),
    );
    const ofScores = timeline.aliveAtPeak.filter(({ value }) => value.shape.slice(-2).join() === 'S,S');
    expect(ofScores.reduce((sum, alive) => sum + alive.bytes, 0)).toBe(bytes * scores);

    const { layers } = model.config;
    const share = (memoryBytes: number) =>
      planFor([512, 1024], { isCheckpointed, products, layers }, memoryBytes).plan === 'whole';
    expect(share(8 * bytes * scores)).toBe(true);
    expect(share(8 * bytes * scores - 1)).toBe(false);
  });

  test('takes a clip in at most 32 pieces', () => {
    expect(planFor([832, 480, 81], {})).toEqual({
      plan: { chunks: 32, rows: 1024 },
      reason: 'attention over 32760 tokens: 32 pieces of 1024 queries (all scores at once take 143.9 of 24.0 GiB)',
    });
  });

  describe('where a tensor has at most 32 MiB', () => {
    test('takes as many queries at once as have their scores in one', () => {
      expect(limited([832, 480])).toEqual({
        plan: { chunks: 4, rows: 447 },
        reason:
          'attention over 1560 tokens: 4 pieces of 447 queries ' +
          '(all scores at once take 0.3 of 24.0 GiB, 111 MiB in a tensor, where 32 MiB is the most)',
      });
    });

    test('leaves whole what fits', () => {
      expect(limited([384, 384])).toEqual(planFor([384, 384], {}));
    });

    test('takes a clip in at most 128 pieces, and says where that is not enough', () => {
      expect(limited([832, 480, 81])).toEqual({
        plan: { chunks: 128, rows: 256 },
        reason: expect.stringMatching(/49128 MiB in a tensor, where 32 MiB is the most; a piece takes 385 MiB\)$/),
      });
    });

    test('does what it is told, and says that it is too much', () => {
      expect(limited([832, 480], { mode: 'whole' })).toMatchObject({
        plan: 'whole',
        reason: expect.stringContaining('111 MiB in a tensor, where 32 MiB is the most'),
      });
      expect(limited([832, 480], { mode: 'chunked', chunk: 100 }).plan).toEqual({ chunks: 16, rows: 100 });
    });
  });

  test('does what it is told', () => {
    expect(planFor([832, 480, 81], { mode: 'whole' }).plan).toBe('whole');
    expect(planFor([832, 480], { mode: 'chunked' }).plan).toEqual({ chunks: 4, rows: 512 });
    expect(planFor([832, 480], { mode: 'chunked', chunk: 100 }).plan).toEqual({ chunks: 16, rows: 100 });
  });

  test('a piece that holds all is the whole', () => {
    expect(planFor([256, 256], { mode: 'chunked' }).plan).toBe('whole');
  });
});
