import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFloat32 } from '@musubi/safetensors';
import type { SafetensorsDtype, TensorStore, TensorToWrite } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  convertLora,
  createMerger,
  emaBetas,
  gammaOfSigmaRel,
  mergeLora,
  modulePath,
  postHocEma,
} from '../src/index.ts';
import { averageLoraFiles, convertLoraFile, mergeLoraFiles } from '../src/node.ts';
import { pickle, record, tensor as pickledTensor } from '../../safetensors/tests/make-pickle.ts';
import { makePth } from '../../safetensors/tests/make-pth.ts';
import { storeOf } from './golden-tensors.ts';

const tensor = (name: string, shape: number[], list: number[], dtype: SafetensorsDtype = 'F32'): TensorToWrite => ({
  name,
  dtype,
  shape,
  data: fromFloat32(Float32Array.from(list), dtype),
});
const numbers = (count: number) =>
  fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: count, maxLength: count });

const down = tensor('lora_unet_q.lora_down.weight', [1, 2], [1, 2]);
const up = tensor('lora_unet_q.lora_up.weight', [3, 1], [1, 2, 3]);
const base = tensor('q.weight', [3, 2], [0, 0, 0, 0, 0, 0]);

async function values(store: TensorStore): Promise<Record<string, readonly number[]>> {
  const read = [...store.tensors.keys()].map(async (name) => [name, [...(await store.readFloat32(name))]] as const);
  return Object.fromEntries(await Promise.all(read));
}

describe('convertLora', () => {
  const path = fc
    .array(fc.stringMatching(/^[a-z][a-z0-9]{0,5}(_[a-z0-9]{1,4})?$/), { minLength: 1, maxLength: 4 })
    .map((words) => words.join('.'))
    .filter((text) => !/lora|hada|lokr|alpha/.test(text));
  const modules = fc.uniqueArray(path, { selector: (text) => text.replaceAll('.', '_'), minLength: 1, maxLength: 4 });

  test('to default and back to the other layout keeps every value, to other and back every name and update', async () => {
    await fc.assert(
      fc.asyncProperty(
        modules,
        fc.integer({ min: 1, max: 4 }),
        numbers(20),
        fc.constantFrom('lora', 'hada', 'lokr'),
        async (paths, rank, list, kind) => {
          const matrix = (name: string, shape: number[]) => tensor(name, shape, list.slice(0, rank * 3));
          const tensors = paths.flatMap((module) => {
            const name = `lora_unet_${module.replaceAll('.', '_')}`;
            const alpha = tensor(`${name}.alpha`, [], [rank]);
            if (kind === 'lora')
              return [
                matrix(`${name}.lora_down.weight`, [rank, 3]),
                matrix(`${name}.lora_up.weight`, [3, rank]),
                alpha,
              ];
            const parts = kind === 'hada' ? ['hada_w1_a', 'hada_w2_b'] : ['lokr_w1', 'lokr_w2_a', 'lokr_w2_b'];
            return [...parts.map((part) => matrix(`${name}.${part}`, [rank, 3])), alpha];
          });
          const first = await storeOf(tensors, { note: 'kept' });
          const other = await convertLora(first, { target: 'other' });
          const back = await convertLora(await storeOf(other.tensors, other.metadata), { target: 'default' });
          expect(back.metadata).toEqual({ note: 'kept' });
          expect(await values(await storeOf(back.tensors))).toEqual(await values(first));

          const again = await convertLora(await storeOf(back.tensors), { target: 'other' });
          expect(await values(await storeOf(again.tensors))).toEqual(await values(await storeOf(other.tensors)));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('keeps the update of a scaled LoRA', async () => {
    const alpha = tensor('lora_unet_q.alpha', [], [0.25]);
    const other = await convertLora(await storeOf([down, up, alpha]), { target: 'other' });
    const model = await storeOf([base]);
    const merged = (tensors: readonly TensorToWrite[]) =>
      storeOf(tensors)
        .then((store) => storeOf(mergeLora(model, [{ store }]).tensors))
        .then(values);
    expect(await merged(other.tensors)).toEqual(await merged([down, up, alpha]));
  });

  test('refuses a file of the layout to convert to', async () => {
    const store = await storeOf([down, up]);
    await expect(convertLora(store, { target: 'default' })).rejects.toThrow(
      'no key of the file is in the other layout, e.g. not "lora_unet_q.lora_down.weight". Give a file with keys like diffusion_model.….lora_A.weight, or the other target.',
    );
  });

  test('refuses two keys that become one', async () => {
    const store = await storeOf([
      tensor('transformer.a.b.lora_A.weight', [1, 1], [1]),
      tensor('diffusion_model.a_b.lora_A.weight', [1, 1], [1]),
    ]);
    await expect(convertLora(store, { target: 'default' })).rejects.toMatchObject({ code: 'DUPLICATE_NAME' });
  });

  test('takes what the adapter is for from its metadata', async () => {
    const name = 'lora_unet_double_blocks_0_img_attn_qkv';
    const tensors = [tensor(`${name}.lora_down.weight`, [1, 1], [1])];
    const keys = async (metadata: Record<string, string>) =>
      (await convertLora(await storeOf(tensors, metadata), { target: 'other' })).tensors.map((t) => t.name);
    expect(await keys({ ss_base_model_version: 'flux_kontext' })).toEqual([
      'diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight',
    ]);
    expect(await keys({})).toEqual(['diffusion_model.double_blocks.0.img_attn_qkv.lora_A.weight']);
    expect(modulePath(name, 'hunyuan_video')).toBe('double_blocks.0.img_attn_qkv');
  });
});

describe('postHocEma', () => {
  test('of equal files is the file, and lies between them otherwise', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(numbers(2), { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (lists, beta) => {
          const stores = await Promise.all(
            lists.map((list) => storeOf([{ ...down, data: fromFloat32(Float32Array.from(list), 'F32') }])),
          );
          const same = await postHocEma([stores[0]!, stores[0]!, stores[0]!], { beta });
          const [a = [], b = []] = [await values(stores[0]!), await values(await storeOf(same.tensors))].map(
            (v) => v[down.name]!,
          );
          expect(b).toBeAllClose(a, { rtol: 3e-7 });
          const average = (await values(await storeOf((await postHocEma(stores, { beta })).tensors)))[down.name]!;
          average.forEach((value, i) => {
            const column = lists.map((list) => Math.fround(list[i]!));
            expect(value).toBeGreaterThanOrEqual(Math.min(...column) - 1e-6);
            expect(value).toBeLessThanOrEqual(Math.max(...column) + 1e-6);
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('γ solves its equation, and the betas rise', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.2886, noNaN: true }), (sigmaRel) => {
        const gamma = gammaOfSigmaRel(sigmaRel);
        // Karras et al. 2023, equation 2: the relative width of the power function.
        expect(Math.sqrt(gamma + 1) / (gamma + 2) / Math.sqrt(gamma + 3)).toBeAllClose(sigmaRel, { rtol: 1e-9 });
        const betas = emaBetas(6, { sigmaRel });
        expect(betas).toEqual(betas.toSorted((a, b) => a - b));
        expect(betas[0]).toBe(0);
      }),
    );
  });

  test.each([
    ['a beta above 1', { beta: 1.1 }, 'AVERAGE_OPTION'],
    ['a beta2 below 0', { beta2: -0.1 }, 'AVERAGE_OPTION'],
    ['a width of 0', { sigmaRel: 0 }, 'AVERAGE_OPTION'],
    ['a width of a plain mean', { sigmaRel: 0.3 }, 'AVERAGE_OPTION'],
  ])('refuses %s', async (_, options, code) => {
    const store = await storeOf([down]);
    await expect(postHocEma([store, store], options)).rejects.toMatchObject({ name: 'LoraError', code });
  });

  test.each([
    ['another alpha', [down, tensor('lora_unet_q.alpha', [], [2])]],
    ['another shape', [{ ...down, shape: [2, 1] }, tensor('lora_unet_q.alpha', [], [1])]],
    ['one tensor more', [down, up, tensor('lora_unet_q.alpha', [], [1])]],
    ['one tensor less', [down]],
  ])('refuses a later file with %s', async (_, tensors) => {
    const first = await storeOf([down, tensor('lora_unet_q.alpha', [], [1])]);
    await expect(postHocEma([first, await storeOf(tensors)])).rejects.toMatchObject({ code: 'NOT_THE_SAME_ADAPTER' });
  });
});

describe('mergeLora', () => {
  test('with a factor and its negative is the base, with 0 too', async () => {
    await fc.assert(
      fc.asyncProperty(numbers(6), fc.double({ min: -2, max: 2, noNaN: true }), async (list, multiplier) => {
        const model = await storeOf([tensor('q.weight', [3, 2], list)]);
        const store = await storeOf([down, up]);
        const merged = async (...factors: number[]) => {
          const { tensors } = mergeLora(
            model,
            factors.map((factor) => ({ store, multiplier: factor })),
          );
          return (await values(await storeOf(tensors)))['q.weight']!;
        };
        const expected = list.map(Math.fround);
        expect(await merged(0)).toBeAllClose(expected);
        expect(await merged(multiplier, -multiplier)).toBeAllClose(expected, { atol: 2e-6 });
      }),
      { numRuns: 60 },
    );
  });

  test('finds weights behind the prefix of a checkpoint and says what it did not find', async () => {
    const other = tensor('lora_unet_k.lora_down.weight', [1, 2], [1, 2]);
    const otherUp = tensor('lora_unet_k.lora_up.weight', [3, 1], [1, 2, 3]);
    const model = await storeOf([{ ...base, name: 'model.diffusion_model.q.weight' }, tensor('norm.weight', [1], [5])]);
    const { tensors, merged, unused } = mergeLora(model, [{ store: await storeOf([down, up, other, otherUp]) }]);
    expect([merged, unused]).toEqual([['model.diffusion_model.q.weight'], ['lora_unet_k']]);
    expect(await values(await storeOf(tensors))).toEqual({
      'model.diffusion_model.q.weight': [1, 2, 2, 4, 3, 6],
      'norm.weight': [5],
    });
  });

  test('sums 8-bit weights in float16', async () => {
    const store = await storeOf([down, up]);
    const merger = createMerger([{ store, multiplier: 0.1 }]);
    const result = await merger.merge('q.weight', [3, 2], 'F8_E4M3', Float32Array.of(1, 1, 1, 1, 1, 1));
    expect(result).toEqual({ dtype: 'F8_E4M3', values: Float32Array.of(1.125, 1.25, 1.25, 1.375, 1.25, 1.625) });
  });

  test.each([
    ['an adapter of another model', [tensor('k.weight', [3, 2], [0, 0, 0, 0, 0, 0])], 'NOTHING_MATCHES'],
    ['a quantized base', [base, tensor('q.scale_weight', [], [1])], 'BASE_QUANTIZED'],
  ])('refuses %s', async (_, tensors, code) => {
    const [model, store] = [await storeOf(tensors), await storeOf([down, up])];
    expect(() => mergeLora(model, [{ store }])).toThrow(expect.objectContaining({ name: 'LoraError', code }));
  });

  test('refuses a weight of another size', async () => {
    const model = await storeOf([tensor('q.weight', [2, 2], [0, 0, 0, 0])]);
    const { tensors } = mergeLora(model, [{ store: await storeOf([down, up]) }]);
    await expect(storeOf(tensors)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
  });

  test.each([NaN, Infinity])('refuses the multiplier %d', async (multiplier) => {
    const store = await storeOf([down, up]);
    expect(() => createMerger([{ store, multiplier }])).toThrow(
      expect.objectContaining({ code: 'MULTIPLIER_INVALID' }),
    );
  });
});

describe('files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'musubi-lora-'));
    for (const [i, factor] of [1, 2, 3].entries()) {
      const path = at(`${factor}.safetensors`);
      await writeSafetensorsFile(path, [tensor(down.name, [1, 2], [factor, factor]), up]);
      await utimes(path, 2000 - i, 2000 - i); // the first is the newest
    }
    await writeSafetensorsFile(at('base.safetensors'), [base]);
  });
  afterAll(() => rm(folder, { recursive: true }));
  const at = (name: string) => join(folder, name);
  const read = async (name: string) => {
    const store = await openSafetensorsFile(at(name));
    return values(store).finally(() => store.close());
  };

  test('are averaged by age, or in the order given', async () => {
    const paths = [1, 2, 3].map((n) => at(`${n}.safetensors`));
    const lines: string[] = [];
    await averageLoraFiles({ paths, output: at('a.safetensors'), beta: 0.5, logger: (line) => lines.push(line) });
    expect((await read('a.safetensors'))[down.name]).toEqual([1.75, 1.75]); // ((3 + 2)/2 + 1)/2
    expect(lines).toEqual([`start: ${paths[2]}`, `beta 0.5000: ${paths[1]}`, `beta 0.5000: ${paths[0]}`]);
    await averageLoraFiles({ paths, output: at('a.safetensors'), beta: 0.5, noSort: true });
    expect((await read('a.safetensors'))[down.name]).toEqual([2.25, 2.25]);
  });

  test('are merged with several factors', async () => {
    const adapters = [1, 2].map((n) => ({ path: at(`${n}.safetensors`), multiplier: n }));
    expect(await mergeLoraFiles({ base: at('base.safetensors'), adapters, output: at('m.safetensors') })).toBe(1);
    expect((await read('m.safetensors'))['q.weight']).toEqual([5, 5, 10, 10, 15, 15]);
  });

  test("are merged into a checkpoint in PyTorch's format", async () => {
    // q.weight is [2, 3] with the numbers 0 to 5.
    await writeFile(at('base.pth'), makePth(pickle(record({ 'q.weight': pickledTensor() }))));
    const turned = [tensor(down.name, [1, 3], [1, 1, 1]), tensor(up.name, [2, 1], [1, 2])];
    await writeSafetensorsFile(at('turned.safetensors'), turned);
    const adapters = [{ path: at('turned.safetensors'), multiplier: 1 }];
    expect(await mergeLoraFiles({ base: at('base.pth'), adapters, output: at('m.safetensors') })).toBe(1);
    expect(await read('m.safetensors')).toEqual({ 'q.weight': [1, 2, 3, 5, 6, 7] });
  });

  test('are converted', async () => {
    const lines: string[] = [];
    const request = { input: at('1.safetensors'), output: at('c.safetensors'), target: 'other' } as const;
    expect(await convertLoraFile({ ...request, logger: (line) => lines.push(line) })).toBe(2);
    expect(Object.keys(await read('c.safetensors'))).toEqual([
      'diffusion_model.q.lora_A.weight',
      'diffusion_model.q.lora_B.weight',
    ]);
    expect(lines).toEqual(['1 modules have no alpha and are not scaled, e.g. lora_unet_q.']);
  });

  test('are not replaced by what is made of them', async () => {
    const path = at('1.safetensors');
    const refused = expect.objectContaining({ code: 'OUTPUT_IS_INPUT' });
    await expect(convertLoraFile({ input: path, output: path, target: 'other' })).rejects.toEqual(refused);
    await expect(averageLoraFiles({ paths: [path], output: path })).rejects.toEqual(refused);
    await expect(mergeLoraFiles({ base: path, adapters: [], output: path })).rejects.toEqual(refused);
  });

  test('leave nothing behind when a task fails', async () => {
    const request = { base: at('base.safetensors'), output: at('failed.safetensors') };
    const bad = at('bad.safetensors');
    await writeSafetensorsFile(bad, [tensor(down.name, [1, 3], [1, 1, 1]), up]);
    await expect(mergeLoraFiles({ ...request, adapters: [{ path: bad, multiplier: 1 }] })).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
    expect((await readdir(folder)).filter((name) => /failed|tmp/.test(name))).toEqual([]);
    await expect(averageLoraFiles({ paths: [at('absent')], output: at('x') })).rejects.toMatchObject({
      code: 'FILE_MISSING',
    });
  });
});
