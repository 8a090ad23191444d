import type { EightBitBase } from '@musubi/config';
import type { SafetensorsDtype, TensorInfo, TensorStore } from '@musubi/safetensors';

import { readFile, stat, utimes } from 'node:fs/promises';

import { resolveWeights, wan } from '@musubi/models';
import { blobSource, openSafetensors } from '@musubi/safetensors';
import { openCheckpointFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readGoldenJson } from '../../../tests/golden.ts';
import { openEightBitBase } from '../src/node/eight-bit-base.ts';
import { quantizeBase } from '../src/web/eight-bit-base.ts';
import { assertFitsWasm } from '../src/web/wasm-memory.ts';
import { type RunFolder, openRunFolder, rewriteTensors, wanRuns } from './run-folder.ts';

const scaled = { method: 'scaled', format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null } as const;

const settings: readonly EightBitBase[] = [
  scaled,
  { ...scaled, mode: 'tensor' },
  { ...scaled, mode: 'channel', format: 'e5m2' },
  { ...scaled, blockSize: 32 },
  { ...scaled, method: 'cast' },
  { ...scaled, method: 'int8' },
];

describe.each(wanRuns.slice(0, 1))('an 8-bit base of the run %s in a page', (name) => {
  const paths = { F32: 'dit.safetensors', BF16: 'brain.safetensors' };
  let folder: RunFolder;

  beforeAll(async () => {
    folder = await openRunFolder(name);
    await rewriteTensors(paths.F32, paths.BF16, (tensor) => ({ ...tensor, dtype: 'BF16' }));
    // pages know times in whole milliseconds
    for (const path of Object.values(paths)) await utimes(path, 1_700_000_000.5, 1_700_000_000.1234);
  });
  afterAll(() => folder.close());

  function requestOf(path: string, checkpoint: TensorStore) {
    const { model_type: _, ...modelConfig } = readGoldenJson<Record<string, unknown>>('runs', name, 'model.json');
    const { weights } = resolveWeights(checkpoint, wan, { task: 't2v-1.3B', modelConfig });
    return { path, checkpoint, weights, architecture: wan };
  }

  async function quantize(
    setting: EightBitBase,
    path: string,
    wide: boolean,
    more: { signal?: AbortSignal; logger?: (line: string) => void } = {},
  ) {
    const { mtimeMs } = await stat(path);
    const file = new File([await readFile(path)], path, { lastModified: Math.floor(mtimeMs) });
    const request = requestOf(path, await openSafetensors(blobSource(file, path)));
    return quantizeBase(setting, { file, ...request, wide }, { logger: () => {}, ...more });
  }

  /** The file that Node.js keeps. */
  async function kept(setting: EightBitBase, path: string, wide: boolean): Promise<string> {
    const closing: (() => Promise<void>)[] = [];
    const request = { ...requestOf(path, await openCheckpointFile(path)), merged: [], wide };
    closing.push(request.checkpoint.close);
    const { weights } = await openEightBitBase(setting, request, { closing, logger: () => {}, signal: undefined });
    for (const close of closing) await close();
    return weights.values().next().value?.source ?? '';
  }

  const files = [
    { path: paths.F32, wide: false },
    { path: paths.BF16, wide: false },
    { path: paths.BF16, wide: true },
  ].flatMap((file) => settings.map((setting) => ({ ...file, setting })));

  test.each(files)(
    'of $path, wide $wide, is the file that Node.js keeps: $setting',
    async ({ path, wide, setting }) => {
      const file = await kept(setting, path, wide);
      const made = await quantize(setting, path, wide);
      const bytes = new Uint8Array((await made?.content.arrayBuffer()) ?? new ArrayBuffer());
      expect(Buffer.compare(bytes, await readFile(file))).toBe(0);
      const dtypes = new Set(Array.from(made?.stored.weights.values() ?? [], ({ dtype }) => dtype));
      expect(dtypes.has('BF16')).toBe(path === paths.BF16 && !wide && setting.method !== 'cast');
    },
  );

  test('says what it does', async () => {
    const lines: string[] = [];
    await quantize({ ...scaled, blockSize: 7, cacheDir: 'kept' }, paths.BF16, false, {
      logger: (line) => lines.push(line),
    });
    expect(lines).toEqual([
      'fp8_cache_dir has no effect: a page keeps no 8-bit weights.',
      'Base weights are brought to 8 bits.',
      expect.stringMatching(/^\d+ weights in 8 bits, \d+ others as they were, relative error 0\.02\d\d, \d+\.\d s$/),
      expect.stringMatching(/^fp8_block_size 7 does not divide the rows of \d+ of \d+ weights: /),
    ]);
  });

  test('is not made when the run is called off', async () => {
    expect(await quantize(scaled, paths.BF16, false, { signal: AbortSignal.abort() })).toBeNull();
  });
});

/** A model of these sizes, as a checkpoint's header tells it. */
const model = (dim: number, ffn: number, layers: number, dtype: 'F32' | 'BF16', task: string) => {
  const shapes = new Map<string, { shape: number[] }>([
    ['patch_embedding.weight', { shape: [dim, 16, 1, 2, 2] }],
    ['text_embedding.0.weight', { shape: [dim, 4096] }],
    ['time_embedding.0.weight', { shape: [dim, 256] }],
    ['head.head.weight', { shape: [64, dim] }],
    ...Array.from(
      { length: layers },
      (_, i) => [`blocks.${i}.ffn.0.weight`, { shape: [ffn, dim] }] as [string, { shape: number[] }],
    ),
  ]);
  const weights = wan.parameters(wan.inferConfig(shapes, { task })).map(({ name, shape }) => {
    const byteLength = shape.reduce((a, b) => a * b, dtype === 'F32' ? 4 : 2);
    return [name, { name, dtype, shape, offset: 0, byteLength, source: 'wan.safetensors' }] as const;
  });
  return { path: 'wan.safetensors', weights: new Map<string, TensorInfo>(weights), architecture: wan };
};

const small = (dtype: 'F32' | 'BF16') => model(1536, 8960, 30, dtype, 't2v-1.3B');
const large = (dtype: 'F32' | 'BF16') => model(5120, 13824, 40, dtype, 't2v-14B');

describe('a base for WebAssembly', () => {
  const integers = { ...scaled, method: 'int8' } as const;

  const none: ReadonlySet<SafetensorsDtype> = new Set();

  test('fits where its weights take less than 4 GiB', () => {
    expect(() => assertFitsWasm(null, small('BF16'), none)).not.toThrow();
    expect(() => assertFitsWasm(scaled, small('F32'), none)).not.toThrow();
    expect(() => assertFitsWasm(integers, small('F32'), none)).not.toThrow();
  });

  const tooLarge = [
    { dtype: 'F32', widened: none },
    { dtype: 'BF16', widened: new Set<SafetensorsDtype>(['BF16']) },
  ] as const;

  test.each(tooLarge)('is refused in $dtype where it cannot fit, with a remedy that works', ({ dtype, widened }) => {
    expect(() => assertFitsWasm(null, small(dtype), widened)).toThrow(
      expect.objectContaining({
        code: 'FILE_UNUSABLE',
        message:
          'dit = "wan.safetensors": its weights take 5.7 GB, and WebAssembly has an address space of 4 GiB in all. ' +
          'Use --int8_base, with which they take 1.6 GB. Train on WebGPU, or with @musubi/cli.',
      }),
    );
    for (const how of [null, integers, scaled]) {
      expect(() => assertFitsWasm(how, large(dtype), widened)).toThrow(
        expect.objectContaining({ remedy: 'Train on WebGPU, or with @musubi/cli.' }),
      );
    }
  });
});
