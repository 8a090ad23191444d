import { bytesSource, encodeSafetensors, fromFloat32, openSafetensors } from '@musubi/safetensors';
import type { SafetensorsDtype, TensorToWrite } from '@musubi/safetensors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadWeights, loraFile, readLora } from './index.ts';
import type { LoraAdapter, LoraModule } from './index.ts';

const tensor = (name: string, shape: number[], values: number[], dtype: SafetensorsDtype = 'F32'): TensorToWrite => ({
  name,
  dtype,
  shape,
  data: fromFloat32(Float32Array.from(values), dtype),
});
const down = tensor('lora_unet_q.lora_down.weight', [1, 2], [1, 2]);
const up = tensor('lora_unet_q.lora_up.weight', [3, 1], [1, 2, 3]);
const read = async (...tensors: TensorToWrite[]) =>
  readLora(await openSafetensors(bytesSource(await encodeSafetensors(tensors))));

const values = (length: number) =>
  fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: length, maxLength: length });

describe('readLora', () => {
  test('takes ranks from shapes and a missing alpha for the rank', async () => {
    expect(await read(down, up)).toEqual({
      modules: [
        {
          name: 'lora_unet_q',
          rank: 1,
          alpha: 1,
          inFeatures: 2,
          outFeatures: 3,
          down: Float32Array.of(1, 2),
          up: Float32Array.of(1, 2, 3),
        },
      ],
    });
  });

  test('takes alphas of any dtype', async () => {
    const alpha: TensorToWrite = {
      name: 'lora_unet_q.alpha',
      dtype: 'I64',
      shape: [],
      data: new Uint8Array(BigInt64Array.of(8n).buffer),
    };
    expect((await read(down, up, alpha)).modules[0]!.alpha).toBe(8);
  });

  test('knows names with dots', async () => {
    const dotted = await read(
      { ...down, name: 'diffusion_model.blocks.0.q.lora_A.weight' },
      { ...up, name: 'diffusion_model.blocks.0.q.lora_B.weight' },
    );
    expect(dotted.modules[0]!.name).toBe('lora_unet_blocks_0_q');
  });

  test.each([
    ['an empty file', [], 'NOT_A_LORA'],
    ['a model', [tensor('blocks.0.q.weight', [1], [1])], 'NOT_A_LORA'],
    ['a LoHa', [tensor('lora_unet_q.hada_w1_a', [1], [1])], 'ADAPTER_UNSUPPORTED'],
    ['an adapter of a convolution', [{ ...down, shape: [1, 2, 1, 1] }, up], 'ADAPTER_UNSUPPORTED'],
    ['down without up', [down], 'INCOMPLETE_MODULE'],
    ['alpha alone', [tensor('lora_unet_q.alpha', [], [1])], 'INCOMPLETE_MODULE'],
    ['two ranks', [down, tensor(up.name, [1, 3], [1, 2, 3])], 'SHAPE_MISMATCH'],
    ['a rank of 0', [tensor(down.name, [0, 2], []), tensor(up.name, [3, 0], [])], 'SHAPE_MISMATCH'],
    ['two alphas', [down, up, tensor('lora_unet_q.alpha', [2], [1, 2])], 'SHAPE_MISMATCH'],
    ['a weight that is NaN', [down, tensor(up.name, [3, 1], [1, Number.NaN, 3])], 'NOT_FINITE'],
    ['one module in two namings', [down, up, { ...down, name: 'lora_unet_q.lora_A.weight' }], 'DUPLICATE_NAME'],
  ])('refuses %s', async (_, tensors, code) => {
    await expect(read(...tensors)).rejects.toMatchObject({ name: 'LoraError', code });
  });

  test('reads what loraFile makes', async () => {
    const size = fc.integer({ min: 1, max: 4 });
    const module = fc.tuple(size, size, size).chain(([rank, inFeatures, outFeatures]) =>
      fc.record({
        name: fc.stringMatching(/^lora_unet_[a-z0-9_]+$/),
        rank: fc.constant(rank),
        alpha: fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
        inFeatures: fc.constant(inFeatures),
        outFeatures: fc.constant(outFeatures),
        down: values(rank * inFeatures).map((numbers) => Float32Array.from(numbers)),
        up: values(rank * outFeatures).map((numbers) => Float32Array.from(numbers)),
      }),
    );
    const modules = fc.uniqueArray(module, { selector: ({ name }) => name, minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(modules, async (given: LoraModule[]) => {
        const { tensors } = await loraFile({ modules: given });
        const again = await read(...tensors);
        expect(new Map(again.modules.map((m) => [m.name, m]))).toEqual(new Map(given.map((m) => [m.name, m])));
      }),
      { numRuns: 50 },
    );
  });
});

describe('loadWeights', () => {
  const module: LoraModule = {
    name: 'lora_unet_q',
    rank: 1,
    alpha: 1,
    inFeatures: 2,
    outFeatures: 3,
    down: new Float32Array(2),
    up: new Float32Array(3),
  };
  const adapter = (...changes: Partial<LoraModule>[]): LoraAdapter => ({
    modules: changes.map((change) => ({ ...module, ...change })),
  });

  test('takes weights by name and tells what did not fit', () => {
    const fresh = adapter({}, { name: 'lora_unet_k' });
    const saved = adapter({ name: 'lora_unet_v' }, { down: Float32Array.of(1, 2) });
    const loaded = loadWeights(fresh, saved);
    expect(loaded.missing).toEqual(['lora_unet_k']);
    expect(loaded.unused).toEqual(['lora_unet_v']);
    expect(loaded.adapter.modules.map(({ name, down: numbers }) => [name, ...numbers])).toEqual([
      ['lora_unet_q', 1, 2],
      ['lora_unet_k', 0, 0],
    ]);
    loaded.adapter.modules[0]!.down[0] = 9;
    expect(saved.modules[1]!.down[0]).toBe(1);
  });

  test('accepts an alpha that bf16 has rounded', () => {
    expect(loadWeights(adapter({ alpha: 0.3 }), adapter({ alpha: 0.30078125 })).missing).toEqual([]);
  });

  test.each([
    ['another rank', { rank: 2, down: new Float32Array(4), up: new Float32Array(6) }, 'RANK_MISMATCH'],
    ['another layer', { inFeatures: 3, down: new Float32Array(3) }, 'SHAPE_MISMATCH'],
    ['another alpha', { alpha: 2 }, 'ALPHA_MISMATCH'],
    ['another model', { name: 'lora_unet_x' }, 'NOTHING_MATCHES'],
  ])('refuses %s', (_, change, code) => {
    expect(() => loadWeights(adapter({}), adapter(change))).toThrow(
      expect.objectContaining({ name: 'LoraError', code }),
    );
  });

  test('names the module and both ranks', () => {
    const saved = adapter({ rank: 2, down: new Float32Array(4), up: new Float32Array(6) });
    expect(() => loadWeights(adapter({}), saved)).toThrowErrorMatchingInlineSnapshot(
      `[LoraError: network_weights: lora_unet_q has rank 2, network_dim is 1. Set network_dim = 2, or dim_from_weights to take the ranks from the file.]`,
    );
  });
});
