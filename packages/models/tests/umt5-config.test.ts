import type { TensorInfo } from '@musubi/safetensors';

import { describe, expect, test } from 'vitest';

import { resolveWeights, umt5, wanVae } from '../src/index.ts';

function storeOf(names: readonly string[]) {
  const tensors = names.map((name): [string, TensorInfo] => [
    name,
    { name, dtype: 'F32', shape: [1], source: 't5.safetensors', offset: 0, byteLength: 4 },
  ]);
  return { tensors: new Map(tensors), metadata: {} };
}

describe('a checkpoint of a text encoder is refused', () => {
  const vae = wanVae.parameters(wanVae.published).map(({ name }) => name);
  test.each([
    ['the VAE', vae, 'The checkpoint is a Wan VAE, not the text encoder.'],
    ['the transformer', ['patch_embedding.weight'], 'The checkpoint is a Wan transformer, not the text encoder.'],
    ['UMT5 of transformers', ['encoder.block.0.layer.0.SelfAttention.q.weight'], 'with the key names of transformers.'],
  ])('that is %s', (_, names, message) => {
    const resolve = () => resolveWeights(storeOf(names), umt5);
    expect(resolve).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_MODEL' }));
    expect(resolve).toThrow(message);
  });

  test('that is something else', () => {
    expect(() => resolveWeights(storeOf(['encoder.a', 'b']), umt5)).toThrow(
      'This is not a complete UMT5 encoder: "token_embedding.weight" is missing among its 2 tensors (the first: a, b).',
    );
  });
});
