import { describe, expect, test } from 'vitest';

import { eightBitKeyName, resolveWeights, wan } from '../src/index.ts';
import { checkpoint, small, withTensor } from './checkpoints.ts';

const prefix = 'model.diffusion_model.';
const hints = { modelConfig: { num_heads: 3 } };
const resolve = (store: Parameters<typeof resolveWeights>[0]) => resolveWeights(store, wan, hints);
const withSomePrefixes = (name: string) => (name.startsWith('head') ? name : prefix + name);
const withOtherNames = (name: string) => name.replace('blocks.1.ffn.0', 'blocks.1.ffn.net.0');
const code = (expected: string) => expect.objectContaining({ name: 'ModelError', code: expected });

test('weights keep their places in the file and get the names of the model', () => {
  const { weights, source } = resolve(checkpoint(small, { rename: withSomePrefixes }));

  expect([...weights.keys()]).toEqual(wan.parameters(small).map((p) => p.name));
  expect(source((file) => `weights/${file}`)('patch_embedding.bias')).toEqual({
    dtype: 'bfloat16',
    shape: [96],
    external: { location: 'weights/dit.safetensors', offset: 96 * 64 * 2, length: 192 },
  });
  expect(source((file) => file)('patch_embedding.scale')).toBeUndefined();
});

describe('a checkpoint is refused', () => {
  test('with the list of keys that are missing and unexpected', () => {
    expect(() => resolve(checkpoint(small, { rename: withOtherNames }))).toThrowErrorMatchingInlineSnapshot(`
      [ModelError: The checkpoint's tensors are not those of the wan model its shapes imply.
        2 missing: blocks.1.ffn.0.weight, blocks.1.ffn.0.bias.
        2 unexpected: blocks.1.ffn.net.0.weight (nearest: blocks.1.ffn.0.weight), blocks.1.ffn.net.0.bias (nearest: blocks.1.ffn.0.bias).
      Give the complete file (or any of its shards) of a supported model.]
    `);
  });

  test('with the shapes that differ', () => {
    const store = checkpoint(small, {
      change: (t) => t.map(([name, info]) => [name, name === 'head.modulation' ? { ...info, shape: [2, 96] } : info]),
    });
    expect(() => resolve(store)).toThrow('head.modulation (found [2, 96], expected [1, 2, 96])');
  });

  test('with a list that is cut, and the whole list among the facts', () => {
    const store = checkpoint(small, { change: (t) => t.filter(([name]) => !name.startsWith('blocks.0.self_attn')) });
    const missing = wan.parameters(small).flatMap((p) => (p.name.startsWith('blocks.0.self_attn') ? [p.name] : []));

    expect(() => resolve(store)).toThrow('10 missing:');
    expect(() => resolve(store)).toThrow(', and 2 more.');
    expect(() => resolve(store)).toThrow(
      expect.objectContaining({ facts: expect.objectContaining({ missing, unexpected: [] }) }),
    );
  });

  test('when a key stands there with and without the prefix', () => {
    const store = checkpoint(small, { change: withTensor(`${prefix}head.modulation`) });
    expect(() => resolve(store)).toThrow(code('DUPLICATE_KEY'));
  });

  test('when it is no transformer at all', () => {
    const store = { tensors: new Map(withTensor('encoder.conv1.weight')([])), metadata: {} };
    expect(() => resolve(store)).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: This is not a complete Wan checkpoint: "patch_embedding.weight" is missing among its 1 tensors (the first: encoder.conv1.weight). Give the file of the transformer (not of the VAE or a text encoder), with all its shards beside it.]`,
    );
    expect(() => resolve({ tensors: new Map(), metadata: {} })).toThrow(code('KEY_MISMATCH'));
  });

  test('without building the millions of blocks that a hostile name speaks of', () => {
    const store = checkpoint(small, { change: withTensor('blocks.999999999.modulation') });
    expect(() => resolve(store)).toThrow(code('KEY_MISMATCH'));
  });

  test.each([
    ['int8_base', 'U8'],
    ['fp8_base', 'F8_E4M3'],
  ] as const)('when a run with %s made it for itself', (option, dtype) => {
    const { tensors } = checkpoint(small, { dtype });
    const store = { tensors, metadata: { [eightBitKeyName]: '05c47ced' } };
    expect(() => resolve(store)).toThrow(`is no checkpoint: a run with ${option} made it for itself`);
    expect(() => resolve(store)).toThrow(code('UNSUPPORTED_DTYPE'));
  });

  test.each([
    { what: 'FP8', store: checkpoint(small, { dtype: 'F8_E4M3' }), says: 'is an FP8 checkpoint' },
    {
      what: 'FP8 scales',
      store: checkpoint(small, { change: withTensor('blocks.0.ffn.0.scale_weight') }),
      says: '"blocks.0.ffn.0.scale_weight"',
    },
    { what: 'the marker of FP8', store: checkpoint(small, { change: withTensor('scaled_fp8') }), says: 'FP8' },
    { what: 'float64', store: checkpoint(small, { dtype: 'F64' }), says: 'is F64; expected BF16, F16 or F32' },
    { what: 'bytes', store: checkpoint(small, { dtype: 'U8' }), says: 'is U8' },
  ])('when it holds $what', ({ store, says }) => {
    expect(() => resolve(store)).toThrow(says);
    expect(() => resolve(store)).toThrow(code('UNSUPPORTED_DTYPE'));
  });
});
