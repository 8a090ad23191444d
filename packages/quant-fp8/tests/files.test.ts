import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesSource, encodeSafetensors, fromFloat32, openSafetensors, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { describe, expect, test } from 'vitest';
import {
  dequantizeToBytes,
  planEightBit,
  quantizeTensors,
  quantizeToBlob,
  quantizeWeight,
  scaleBytes,
} from '../src/index.ts';
import type { Fp8Mode, QuantizeToBlobOptions } from '../src/index.ts';
import { dequantizeFile, quantizeFile, quantizeStore } from '../src/node.ts';
import { PIECE, WINDOW } from '../src/internal/engine.ts';
import { randomTensor, temporaryFolder } from './fixtures.ts';

const targets = { include: ['layers.'], exclude: ['norm'] };
const model = [
  randomTensor('embed.weight', [50, 16]),
  randomTensor('layers.0.up.weight', [48, 128], 'BF16', 2),
  randomTensor('layers.0.up.bias', [48], 'F32', 3),
  randomTensor('layers.0.narrow.weight', [10, 100], 'F16', 4),
  randomTensor('layers.0.conv.weight', [4, 3, 3, 5], 'F32', 5),
  randomTensor('layers.0.norm.weight', [128], 'BF16', 6),
  { name: 'layers.0.steps', dtype: 'I64', shape: [0], data: new Uint8Array() } as const,
];

async function modelFile(tensors = model): Promise<{ folder: string; input: string; output: string }> {
  const folder = temporaryFolder();
  const input = join(folder, 'in.safetensors');
  await writeSafetensorsFile(input, tensors, { metadata: { title: 'a model' } });
  return { folder, input, output: join(folder, 'out.safetensors') };
}

async function contents(path: string) {
  const store = await openSafetensorsFile(path);
  const entries = await Promise.all(
    Array.from(store.tensors.values(), async ({ name, dtype, shape }) => {
      return [name, { dtype, shape, data: await store.read(name) }] as const;
    }),
  );
  await store.close();
  return { metadata: store.metadata, tensors: Object.fromEntries(entries) };
}

describe('planEightBit', () => {
  test.each(['scaled', 'int8', 'cast'] as const)('tells what quantizeStore writes: %s', async (method) => {
    const tensors = model.filter(({ name }) => name !== 'layers.0.steps');
    const { input, output } = await modelFile(tensors);
    const store = await openSafetensorsFile(input);
    await quantizeStore(store, output, { method, targets, workers: 1 });
    await store.close();
    const written = Object.entries((await contents(output)).tensors);
    const outlines = written.map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    const planned = planEightBit(tensors, { method, targets }).map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
    }));
    expect(planned).toHaveLength(outlines.length);
    expect(planned).toEqual(expect.arrayContaining(outlines));
  });
});

describe('quantizeFile', () => {
  test.each([1, 3])('writes what quantizeWeight gives, and copies the rest, with %i threads', async (workers) => {
    const { folder, input, output } = await modelFile();
    const seen: string[] = [];
    const report = await quantizeFile(input, output, { targets, workers, onWeight: ({ name }) => seen.push(name) });

    const { metadata, tensors } = await contents(output);
    const names = ['layers.0.up.weight', 'layers.0.narrow.weight', 'layers.0.conv.weight'];
    expect(metadata).toEqual({ title: 'a model' });
    expect(report.weights.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    expect(seen.toSorted()).toEqual(names.toSorted());
    expect(report.others).toBe(4);
    for (const { name, dtype, shape, data } of model) {
      if (!names.includes(name)) {
        expect(tensors[name]).toEqual({ dtype, shape, data });
        continue;
      }
      const expected = quantizeWeight({ dtype: dtype as 'BF16', shape, data });
      expect(tensors[name]).toEqual({ dtype: 'F8_E4M3', shape, data: expected.codes });
      const scale = { dtype, shape: expected.scaleShape, data: scaleBytes(expected) };
      expect(tensors[name.replace('.weight', '.scale_weight')]).toEqual(scale);
      expect(report.weights.find((weight) => weight.name === name)?.relativeError).toBe(expected.relativeError);
    }
    expect(Object.keys(tensors)).toHaveLength(model.length + names.length);
    expect(readdirSync(folder).toSorted()).toEqual(['in.safetensors', 'out.safetensors']);
  });

  test('is what quantizeTensors makes in memory', async () => {
    const { input, output } = await modelFile();
    const report = await quantizeFile(input, output, { targets, format: 'e5m2', mode: 'channel' });
    const store = await openSafetensors(bytesSource(new Uint8Array(readFileSync(input))));
    const made = await quantizeTensors(store, { targets, format: 'e5m2', mode: 'channel' });
    const { metadata } = store;
    expect(await encodeSafetensors(made.tensors, { metadata })).toEqual(new Uint8Array(readFileSync(output)));
    expect(made.report).toEqual(report);
  });

  test('reads all shards of a set', async () => {
    const folder = temporaryFolder();
    const shard = (i: number) => join(folder, `m-0000${i}-of-00002.safetensors`);
    await writeSafetensorsFile(shard(1), model.slice(0, 3));
    await writeSafetensorsFile(shard(2), model.slice(3));
    const report = await quantizeFile(shard(2), join(folder, 'out.safetensors'), { targets });
    expect(report.weights).toHaveLength(3);
  });

  test('quantizes what the hook returns, and copies what it changed', async () => {
    const { input, output } = await modelFile();
    const seen: string[] = [];
    await quantizeFile(input, output, {
      targets,
      hook({ name, dtype, data }) {
        seen.push(name);
        return dtype === 'BF16' ? doubled(data, dtype) : undefined;
      },
    });
    const { tensors } = await contents(output);
    const [embed, up, , narrow] = model;
    expect(seen.toSorted()).toEqual(model.map(({ name }) => name).toSorted());
    expect(tensors['embed.weight']?.data).toEqual(doubled(embed!.data, 'BF16'));
    const expected = quantizeWeight({ dtype: 'BF16', shape: up!.shape, data: doubled(up!.data, 'BF16') });
    expect(tensors['layers.0.up.weight']?.data).toEqual(expected.codes);
    const untouched = quantizeWeight({ dtype: 'F16', shape: narrow!.shape, data: narrow!.data });
    expect(tensors['layers.0.narrow.weight']?.data).toEqual(untouched.codes);
  });

  test.each<[string, Fp8Mode, readonly number[]]>([
    ['a weight of several windows', 'block', [9, WINDOW / 8]],
    ['rows longer than a piece', 'channel', [5, PIECE + 24]],
    ['rows longer than a window', 'channel', [2, WINDOW + 8]],
    ['one scale for several windows', 'tensor', [2, WINDOW - 4]],
  ])('treats %s like a small one', async (_, mode, shape) => {
    const tensor = randomTensor('layers.0.weight', shape);
    const { folder, input, output } = await modelFile([tensor]);
    await quantizeFile(input, output, { targets, mode });
    const { tensors } = await contents(output);
    const { codes, scales } = naive(toFloat32(tensor.data, 'BF16'), shape, mode);
    expect(Buffer.compare(tensors['layers.0.weight']!.data, codes)).toBe(0);
    expect(toFloat32(tensors['layers.0.scale_weight']!.data, 'BF16')).toEqual(scales);

    const back = join(folder, 'back.safetensors');
    expect(await dequantizeFile(output, back)).toBe(1);
    const expected = Float32Array.from(
      toFloat32(codes, 'F8_E4M3'),
      (q, i) => q * scales[Math.floor(i / sizeOf(shape, mode))]!,
    );
    expect(Buffer.compare((await contents(back)).tensors['layers.0.weight']!.data, fromFloat32(expected, 'BF16'))).toBe(
      0,
    );
  });
});

describe('dequantizeFile', () => {
  test('gives back what was not quantized, and numbers in the dtype of the scale', async () => {
    const { folder, input, output } = await modelFile();
    const back = join(folder, 'back.safetensors');
    await quantizeFile(input, output, { targets });
    expect(await dequantizeFile(output, back)).toBe(3);
    const { metadata, tensors } = await contents(back);
    expect(metadata).toEqual({ title: 'a model' });
    expect(Object.keys(tensors).toSorted()).toEqual(model.map(({ name }) => name).toSorted());
    for (const { name, dtype, shape, data } of model) {
      expect(tensors[name]).toMatchObject({ dtype, shape });
      const isTarget = ['up', 'narrow', 'conv'].some((part) => name === `layers.0.${part}.weight`);
      const expected = isTarget ? dequantizeToBytes(quantizeWeight({ dtype: dtype as 'BF16', shape, data })) : data;
      expect(tensors[name]?.data).toEqual(expected);
    }
  });

  test.each([
    ['a weight that was only cast', randomTensor('a.weight', [2, 64], 'F8_E4M3'), 'SCALE_MISSING'],
    ['a file without FP8', randomTensor('a.weight', [2, 64]), 'NOTHING_MATCHES'],
  ])('refuses %s', async (_, tensor, code) => {
    const { folder, input, output } = await modelFile([tensor]);
    await expect(dequantizeFile(input, output)).rejects.toMatchObject({ name: 'Fp8Error', code });
    expect(readdirSync(folder)).toEqual(['in.safetensors']);
  });

  test('refuses a scale that does not fit', async () => {
    const scale = randomTensor('a.scale_weight', [3, 1]);
    const { input, output } = await modelFile([randomTensor('a.weight', [2, 64], 'F8_E4M3'), scale]);
    await expect(dequantizeFile(input, output)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH', tensor: 'a.weight' });
  });
});

describe('nothing is left behind, and the old file stays, when', () => {
  const large = randomTensor('layers.0.weight', [64, 1024]);
  const withNaN = { ...large, data: large.data.slice() };
  withNaN.data.set([0xc0, 0x7f], 2 * 70);
  const weight = randomTensor('layers.0.weight', [2, 64], 'F32');

  test.each([
    ['a weight holds NaN', [withNaN], {}, { code: 'NOT_FINITE', tensor: 'layers.0.weight' }],
    [
      'weights are FP8 already',
      [{ ...weight, dtype: 'F8_E4M3' as const, data: new Uint8Array(128) }],
      {},
      { code: 'ALREADY_QUANTIZED' },
    ],
    [
      'weights have scales already',
      [large, randomTensor('layers.0.scale_weight', [1])],
      {},
      { code: 'ALREADY_QUANTIZED' },
    ],
    ['weights are integers', [{ ...weight, dtype: 'I32' as const }], {}, { code: 'UNSUPPORTED_DTYPE' }],
    [
      'a weight is empty',
      [randomTensor('layers.0.weight', [0, 64])],
      {},
      { code: 'EMPTY_TENSOR', tensor: 'layers.0.weight' },
    ],
    ['no key is chosen', [large], { targets: { include: ['blocks'], exclude: [] } }, { code: 'NOTHING_MATCHES' }],
    ['the mode is unknown', [large], { mode: 'row' as Fp8Mode }, { code: 'UNKNOWN_MODE' }],
    ['the format is unknown', [large], { format: 'e3m4' as 'e4m3' }, { code: 'UNKNOWN_FORMAT' }],
    ['blocks have no numbers', [large], { blockSize: 0 }, { code: 'BLOCK_SIZE_INVALID' }],
    ['there are no threads', [large], { workers: 0 }, { code: 'WORKERS_INVALID' }],
    ['the hook returns something else', [large], { hook: () => new Uint8Array(3) }, { code: 'HOOK_RESULT' }],
  ])('%s', async (_, tensors, options, error) => {
    const { folder, input, output } = await modelFile(tensors);
    writeFileSync(output, 'old');
    const failure = await quantizeFile(input, output, { targets, ...options }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(failure).toMatchObject({ name: 'Fp8Error', ...error });
    expect((failure as Error).message.endsWith((failure as { remedy: string }).remedy)).toBe(true);
    expect(readFileSync(output, 'utf8')).toBe('old');
    expect(readdirSync(folder).toSorted()).toEqual(['in.safetensors', 'out.safetensors']);
  });

  test('the hook throws, or the work is called off', async () => {
    const { folder, input, output } = await modelFile([large]);
    await expect(quantizeFile(input, output, { targets, hook: noAdapter })).rejects.toThrow('no adapter');
    const controller = new AbortController();
    const stop = () => {
      controller.abort();
      return new Promise<undefined>(() => {});
    };
    const stopped = quantizeFile(input, output, { targets, hook: stop, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect(readdirSync(folder)).toEqual(['in.safetensors']);
  });

  test('the output is the input, or its folder is missing', async () => {
    const { folder, input } = await modelFile();
    await expect(quantizeFile(input, input, { targets })).rejects.toMatchObject({ code: 'SAME_FILE' });
    await expect(quantizeFile(input, join(folder, 'no', 'out'), { targets })).rejects.toMatchObject({
      code: 'WRITE_FAILED',
    });
    await expect(quantizeFile(join(folder, 'no'), join(folder, 'out'), { targets })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
  });
});

const doubled = (data: Uint8Array, dtype: 'BF16') =>
  fromFloat32(
    toFloat32(data, dtype).map((x) => 2 * x),
    dtype,
  );

const noAdapter = () => Promise.reject(new Error('no adapter'));

const sizeOf = (shape: readonly number[], mode: Fp8Mode) =>
  mode === 'block' ? 64 : mode === 'channel' ? shape[1]! : shape[0]! * shape[1]!;

/** The formulas, one number at a time, for bf16. */
function naive(values: Float32Array, shape: readonly number[], mode: Fp8Mode) {
  const size = sizeOf(shape, mode);
  const scales = new Float32Array(values.length / size);
  const scaled = new Float32Array(values.length);
  for (const [g] of scales.entries()) {
    let largest = 0;
    for (let i = g * size; i < (g + 1) * size; i++) largest = Math.max(largest, Math.abs(values[i]!));
    const [scale = 0] = toFloat32(fromFloat32(Float32Array.of(largest / 448), 'BF16'), 'BF16');
    scales[g] = scale;
    for (let i = g * size; i < (g + 1) * size; i++) {
      scaled[i] = Math.min(448, Math.max(-448, Math.fround(values[i]! / scale)));
    }
  }
  return { codes: fromFloat32(scaled, 'F8_E4M3'), scales };
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

describe('quantizeToBlob', () => {
  const castable = model.filter(({ dtype }) => dtype !== 'I64');

  test.each<[Omit<QuantizeToBlobOptions, 'targets'>, typeof model]>([
    [{}, model],
    [{ mode: 'tensor' }, model],
    [{ mode: 'channel', format: 'e5m2' }, model],
    [{ blockSize: 32, wide: true }, model],
    [{ method: 'int8' }, model],
    [{ method: 'int8', wide: true }, model],
    [{ method: 'cast', format: 'e5m2' }, castable],
  ])('makes the bytes of the file that quantizeStore writes: %o', async (options, tensors) => {
    const { input, output } = await modelFile(tensors);
    const metadata = { key: 'k' };
    const store = await openSafetensorsFile(input);
    const report = await quantizeStore(store, output, { targets, ...options, metadata });
    const made = await quantizeToBlob(store, { targets, ...options, metadata });
    await store.close();
    expect(Buffer.compare(new Uint8Array(await made.blob.arrayBuffer()), readFileSync(output))).toBe(0);
    expect(made.report).toEqual(report);
  });
});

describe('planEightBit', () => {
  test.each([
    { method: 'scaled' },
    { method: 'scaled', mode: 'channel', format: 'e5m2' },
    { method: 'int8' },
    { method: 'cast' },
    { method: 'scaled', wide: true },
    { method: 'int8', wide: true },
    { method: 'cast', wide: true },
  ] as const)('plans the tensors that quantizeStore writes: %o', async (options) => {
    const { input, output } = await modelFile(model.filter(({ dtype }) => dtype !== 'I64'));
    const store = await openSafetensorsFile(input);
    const planned = planEightBit(store.tensors.values(), { targets, ...options });
    await quantizeStore(store, output, { targets, ...options });
    await store.close();
    const { tensors } = await contents(output);
    const written = Object.entries(tensors).map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    expect(planned.toSorted(byName)).toEqual(written.toSorted(byName));
  });
});
