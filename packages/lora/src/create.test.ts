import { TorchGenerator } from '@musubi/random';
import { describe, expect, test } from 'vitest';
import { createLora, loraParameters } from './index.ts';

const modules = [
  { path: 'blocks.0.q', inFeatures: 6, outFeatures: 4 },
  { path: 'blocks.1.q', inFeatures: 5, outFeatures: 3 },
];
const create = (options: Partial<Parameters<typeof createLora>[0]> = {}) =>
  createLora({ modules, rank: 2, alpha: 1, generator: new TorchGenerator(7), ...options });

describe('createLora', () => {
  test('draws each module as its two layers and then down again', () => {
    const generator = new TorchGenerator(7);
    const expected = modules.map(({ inFeatures, outFeatures }) => {
      generator.skip(2 * inFeatures + 2 * outFeatures);
      return generator.uniform(2 * inFeatures, -1 / Math.sqrt(inFeatures), 1 / Math.sqrt(inFeatures));
    });
    expect(create().modules.map(({ down }) => down)).toEqual(expected);
  });
  test('changes nothing yet', () => {
    expect(create().modules.map(({ up }) => up)).toEqual([new Float32Array(8), new Float32Array(6)]);
  });
  test('takes alpha 0 for the rank', () => expect(create({ alpha: 0 }).modules[0]!.alpha).toBe(2));
  test('takes ranks and alphas from another adapter and leaves out what it lacks', () => {
    const like = create({ modules: modules.slice(1), rank: 3, alpha: 5 });
    expect(create({ like }).modules).toMatchObject([{ name: 'lora_unet_blocks_1_q', rank: 3, alpha: 5 }]);
  });
  test.each([
    ['a rank of 0', { rank: 0 }, 'RANK_INVALID'],
    ['a rank with a fraction', { rank: 1.5 }, 'RANK_INVALID'],
    ['a negative alpha', { alpha: -1 }, 'ALPHA_INVALID'],
    ['an alpha that is no number', { alpha: Number.NaN }, 'ALPHA_INVALID'],
    ['ranks of another model', { like: { modules: [] } }, 'NOTHING_MATCHES'],
  ])('refuses %s', (_, options, code) => {
    expect(() => create(options)).toThrow(expect.objectContaining({ name: 'LoraError', code }));
  });
});

test('loraParameters gives the adapter its own memory, in the order of the modules', () => {
  const adapter = create();
  const parameters = loraParameters(adapter);
  expect(parameters.map(({ name, shape }) => [name, ...shape])).toEqual([
    ['lora_unet_blocks_0_q.lora_down.weight', 2, 6],
    ['lora_unet_blocks_0_q.lora_up.weight', 4, 2],
    ['lora_unet_blocks_1_q.lora_down.weight', 2, 5],
    ['lora_unet_blocks_1_q.lora_up.weight', 3, 2],
  ]);
  parameters[1]!.data[0] = 9;
  expect(adapter.modules[0]!.up[0]).toBe(9);
});
