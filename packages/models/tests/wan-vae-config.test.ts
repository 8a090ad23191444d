import type { TensorInfo, TensorStore } from '@musubi/safetensors';

import { describe, expect, test } from 'vitest';

import { type WanVaeConfig, resolveWeights, wanVae } from '../src/index.ts';

const tiny: WanVaeConfig = {
  latentChannels: 16,
  levels: [
    { width: 2, blocks: 1, halvesFrames: true },
    { width: 6, blocks: 3, halvesFrames: false },
    { width: 4, blocks: 2, halvesFrames: true },
    { width: 8, blocks: 1, halvesFrames: false },
  ],
};

type Entry = [name: string, shape: readonly number[]];

/** The header of a checkpoint of that size, with the changes that a test needs. */
function checkpoint(config: WanVaeConfig, change: (entries: Entry[]) => Entry[] = (entries) => entries) {
  const entries = change(wanVae.parameters(config).map(({ name, shape }): Entry => [name, shape]));
  const tensors = entries.map(([name, shape]): [string, TensorInfo] => {
    const byteLength = 4 * shape.reduce((a, b) => a * b, 1);
    return [name, { name, dtype: 'F32', shape, source: 'vae.safetensors', offset: 0, byteLength }];
  });
  return { tensors: new Map(tensors), metadata: {} } satisfies Pick<TensorStore, 'tensors' | 'metadata'>;
}

const resolve = (store: ReturnType<typeof checkpoint>) => resolveWeights(store, wanVae);
const withKey = (name: string) => (entries: Entry[]) => [...entries, [name, [1]] satisfies Entry];

describe('the configuration of an autoencoder', () => {
  test('is read off a checkpoint of the published size', () => {
    expect(resolve(checkpoint(wanVae.published)).config).toEqual(wanVae.published);
  });

  test('is read off a checkpoint with other widths, blocks and levels that halve frames', () => {
    expect(resolve(checkpoint(tiny)).config).toEqual(tiny);
  });
});

describe('a checkpoint of an autoencoder is refused', () => {
  test.each([
    ['encoder.downsamples.0.downsamples.0.residual.2.weight', 'The checkpoint is the VAE of Wan 2.2 5B.'],
    ['encoder.conv_in.weight', 'The checkpoint is a Wan VAE with the key names of diffusers.'],
    ['patch_embedding.weight', 'The checkpoint is a Wan transformer, not its VAE.'],
  ])('that has %s', (mark, message) => {
    const only = checkpoint(tiny, () => withKey(mark)([]));
    expect(() => resolve(only)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_MODEL' }));
    expect(() => resolve(only)).toThrow(message);
  });

  test('that is something else', () => {
    const other = checkpoint(tiny, () => withKey('token_embedding.weight')([]));
    expect(() => resolve(other)).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: This is not a complete Wan VAE: "conv2.weight" is missing among its 1 tensors (the first: token_embedding.weight). Give the VAE of the Wan 2.1 release (Wan2.1_VAE.pth, or wan_2.1_vae.safetensors).]`,
    );
  });

  test('whose latents have no published mean and deviation', () => {
    const other = checkpoint({ ...tiny, latentChannels: 8 });
    expect(() => resolve(other)).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: The shapes are of an autoencoder with 8 latent channels that halves rows and columns 3 times and frames 2 times; expected 16 channels, 3 times and 2 times. Give the VAE of the Wan 2.1 release (Wan2.1_VAE.pth, or wan_2.1_vae.safetensors).]`,
    );
  });

  test('that compresses frames or sides by other factors', () => {
    const [first = tiny.levels[0], ...others] = tiny.levels;
    const fewer = { ...tiny, levels: others };
    const slower = { ...tiny, levels: first ? [{ ...first, halvesFrames: false }, ...others] : [] };
    for (const config of [fewer, slower]) {
      expect(() => resolve(checkpoint(config))).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_MODEL' }));
    }
  });

  test('that lacks the decoder, or a part of it', () => {
    const encoderAlone = checkpoint(tiny, (entries) => entries.filter(([name]) => !name.startsWith('decoder.')));
    expect(() => resolve(encoderAlone)).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));

    const withoutTime = checkpoint(tiny, (entries) =>
      entries.filter(([n]) => n !== 'decoder.upsamples.2.time_conv.bias'),
    );
    expect(() => resolve(withoutTime)).toThrow('1 missing: decoder.upsamples.2.time_conv.bias');
  });

  test('with a tensor too many or of another shape', () => {
    expect(() => resolve(checkpoint(tiny, withKey('encoder.extra')))).toThrow('1 unexpected: encoder.extra');
    const turned = checkpoint(tiny, (entries) =>
      entries.map(([name, shape]) => [name, name === 'decoder.head.2.weight' ? shape.toReversed() : shape]),
    );
    expect(() => resolve(turned)).toThrow('decoder.head.2.weight (found [3, 3, 3, 2, 3], expected [3, 2, 3, 3, 3])');
  });
});
