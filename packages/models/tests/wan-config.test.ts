import { describe, expect, test } from 'vitest';

import type { ConfigHints, WanConfig } from '../src/index.ts';

import { resolveWeights, wan } from '../src/index.ts';
import { checkpoint, small, withTensor } from './checkpoints.ts';

const infer = (store: Parameters<typeof resolveWeights>[0], hints: ConfigHints = {}): WanConfig =>
  resolveWeights(store, wan, hints).config;

const patches = (channels: number): WanConfig => ({ ...small, channels });

const tasks = Object.entries(wan.tasks);

describe('the published sizes', () => {
  const published = tasks.flatMap(([task, entry]) => ('config' in entry ? [{ task, config: entry.config }] : []));

  test.each(published)('$task is told from its shapes alone', ({ task, config }) => {
    expect(infer(checkpoint(config))).toEqual(config);
    expect(infer(checkpoint(config), { task })).toEqual(config);
  });

  test.each([
    { task: 't2v-1.3B', tensors: 825, billions: 1.42 },
    { task: 't2v-A14B', tensors: 1095, billions: 14.29 },
  ] as const)('$task has $tensors tensors with $billions billion numbers', ({ task, tensors, billions }) => {
    const parameters = wan.parameters(wan.tasks[task].config);
    const numbers = parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

    expect(parameters).toHaveLength(tensors);
    expect(numbers / 1e9).toBeCloseTo(billions, 2);
  });
});

describe('what shapes cannot tell', () => {
  const modelConfig = { num_heads: 6, text_len: 77, eps: 1e-5, model_type: 't2v', patch_size: [1, 2, 2] };
  const stated = { num_heads: '12', text_len: '100' };

  test('comes from the model configuration first', () => {
    const config = infer(checkpoint(small, { metadata: stated }), { modelConfig });
    expect(config).toEqual({ ...small, heads: 6, textLength: 77, eps: 1e-5 });
  });

  test.each([
    { where: 'keys of their own', metadata: stated },
    { where: 'the JSON of one key', metadata: { config: JSON.stringify({ num_heads: 12, text_len: 100 }) } },
  ])('comes from metadata next, as $where', ({ metadata }) => {
    expect(infer(checkpoint(small, { metadata }))).toEqual({ ...small, heads: 12, textLength: 100 });
  });

  test('comes from published heads of 128 last', () => {
    expect(infer(checkpoint({ ...small, width: 384 })).heads).toBe(3);
    expect(
      infer(checkpoint({ ...small, width: 384 }, { metadata: { config: 'flux' } }), { task: 't2v-14B' }).heads,
    ).toBe(3);
  });

  test('is asked for when nothing states it', () => {
    expect(() => infer(checkpoint(small))).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: The number of attention heads cannot be told from the shapes: width 96 is of no published model and not a multiple of 128. Give --model_config with num_heads.]`,
    );
  });

  test.each([
    { modelConfig: { num_heads: 5 }, says: 'num_heads 5 does not divide width 96 into heads of even width' },
    { modelConfig: { num_heads: 96 }, says: 'num_heads 96 does not divide width 96 into heads of even width' },
    { modelConfig: { num_heads: 1.5 }, says: 'num_heads = 1.5 in --model_config; expected a whole number above 0' },
    { modelConfig: { num_heads: -3 }, says: 'num_heads = -3 in' },
    { modelConfig: { num_heads: [3] }, says: 'num_heads = [3] in' },
    { modelConfig: { num_heads: 3, eps: 0 }, says: 'eps = 0 in --model_config; expected a small number above 0' },
    { modelConfig: { num_heads: 3, dim: 128 }, says: '--model_config gives width 128, the checkpoint has 96' },
    { modelConfig: { num_heads: 3, num_layers: 3 }, says: '--model_config gives layers 3, the checkpoint has 2' },
  ])('is refused when it is $modelConfig', ({ modelConfig: wrong, says }) => {
    const fails = () => infer(checkpoint(small), { modelConfig: wrong });
    expect(fails).toThrow(says);
    expect(fails).toThrow(expect.objectContaining({ code: 'BAD_MODEL_CONFIG' }));
  });
});

describe('a task', () => {
  test('that does not exist is refused with the nearest', () => {
    expect(() => infer(checkpoint(small), { task: 't2v-14b' })).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: --task t2v-14b is not a task of Wan. Did you mean t2v-14B? Choose one of t2v-1.3B, t2v-14B, t2i-14B, t2v-A14B.]`,
    );
  });

  test('of another size is refused with the ones that fit', () => {
    const store = checkpoint(wan.tasks['t2v-14B'].config);
    expect(() => infer(store, { task: 't2v-1.3B' })).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: --task t2v-1.3B has width 1536, feed-forward width 8960, 30 blocks; the checkpoint has width 5120, feed-forward width 13824, 40 blocks. Use --task t2v-14B or t2i-14B or t2v-A14B, or another file.]`,
    );
  });

  test('is refused when blocks are missing at the end', () => {
    const store = checkpoint({ ...wan.tasks['t2v-1.3B'].config, layers: 29 });
    expect(() => infer(store, { task: 't2v-1.3B' })).toThrow(expect.objectContaining({ code: 'TASK_MISMATCH' }));
  });

  test.each(tasks.flatMap(([task, entry]) => ('refused' in entry ? [{ task, refused: entry.refused }] : [])))(
    '$task is refused with the reason',
    ({ task, refused }) => {
      expect(() => infer(checkpoint(small), { task })).toThrow(`--task ${task}: ${refused}`);
    },
  );
});

describe('another model is recognised', () => {
  test.each([
    { what: 'flf2v-14B', store: checkpoint(small, { change: withTensor('img_emb.emb_pos') }) },
    { what: 'i2v-14B', store: checkpoint(patches(36), { change: withTensor('blocks.0.cross_attn.k_img.weight') }) },
    { what: 'i2v-A14B', store: checkpoint(patches(36)) },
    { what: 'ti2v-5B', store: checkpoint(patches(48)) },
    {
      what: 'Fun-Control',
      store: checkpoint(patches(48), { change: (t) => t.filter(([name]) => name !== 'head.head.weight') }),
    },
    { what: 'VACE', store: checkpoint(small, { change: withTensor('vace_patch_embedding.weight') }) },
    { what: 'LoRA adapter', store: checkpoint(small, { rename: (name) => `lora_unet_${name}` }) },
    {
      what: 'diffusers',
      store: checkpoint(small, { change: withTensor('condition_embedder.time_embedder.linear_1.weight') }),
    },
  ])('$what', ({ what, store }) => {
    expect(() => infer(store)).toThrow(what);
    expect(() => infer(store)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_MODEL' }));
  });
});
