import { readFile, stat } from 'node:fs/promises';

import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type CachingFolder, openCachingFolder } from './caching-folder.ts';
import { captionOf, letterTokenizer } from './letter-tokenizer.ts';
import { readStore } from './run-folder.ts';
import { writeAsPth } from './write-pth.ts';

interface CaseFile {
  readonly config: { readonly vocab: number };
  readonly lengths: readonly number[];
  readonly padding_length: number;
}

const folder = ['models', 'te_umt5'] as const;
const checkpoint = goldenPath(...folder, 'checkpoint.safetensors');

test('the repository has a case', () => {
  if (isDefaultGolden) expect(hasGolden(...folder, 'case.json')).toBe(true);
});

describe.runIf(hasGolden(...folder, 'case.json'))('captions of the recorded ids', () => {
  let at: CachingFolder;
  let recorded: CaseFile;
  /** Captions `a`, `b` … by the recorded texts. */
  let captions: readonly string[];
  let embeddings: readonly { readonly shape: readonly number[]; readonly data: Float32Array }[];
  const names = 'abcdefghijklmnopqrstuvwxyz';
  const options = `--dataset_config dataset.toml --t5 ${checkpoint} --tokenizer tokenizer`;

  beforeAll(async () => {
    at = await openCachingFolder();
    recorded = readGoldenJson<CaseFile>(...folder, 'case.json');
    const golden = await openSafetensorsFile(goldenPath(...folder, 'case.safetensors'));
    const all = Array.from(new BigInt64Array((await golden.read('input_ids')).slice().buffer), Number);
    captions = recorded.lengths.map((length, i) => {
      const ids = all.slice(i * recorded.padding_length, i * recorded.padding_length + length);
      expect(ids.at(-1)).toBe(1);
      return captionOf(ids);
    });
    embeddings = await Promise.all(
      recorded.lengths.map(async (_, i) => ({
        shape: golden.tensors.get(`context.${i}`)?.shape ?? [],
        data: await golden.readFloat32(`context.${i}`),
      })),
    );
    await golden.close();
  });
  beforeEach(async () => {
    await at.write('tokenizer/tokenizer.json', JSON.stringify(letterTokenizer(recorded.config.vocab)));
    await at.write(
      'dataset.toml',
      '[general]\ncaption_extension = ".txt"\nbatch_size = 8\n[[datasets]]\nimage_directory = "images"\ncache_directory = "cache"\n',
    );
    for (const [i, caption] of captions.entries()) {
      await at.write(`images/${names[i]}.png`, 'pictures are not read');
      await at.write(`images/${names[i]}.txt`, `${caption}\n`);
    }
  });
  afterEach(() => at.clear());
  afterAll(() => at.close());

  test('give the text caches of the original', async () => {
    const outcome = await at.run('texts', options);
    expect(outcome).toMatchObject({ status: 'finished', written: captions.length, failures: [] });
    for (const [i, { shape, data }] of embeddings.entries()) {
      await readStore(`cache/${names[i]}_wan_te.safetensors`, async (cache) => {
        expect(cache.metadata).toEqual({ architecture: 'wan', caption1: captions[i], format_version: '1.0.1' });
        expect([...cache.tensors.keys()]).toEqual(['varlen_t5_bfloat16']);
        expect(cache.tensors.get('varlen_t5_bfloat16')).toMatchObject({ dtype: 'BF16', shape });
        const stored = await cache.readFloat32('varlen_t5_bfloat16');
        const rounded = toFloat32(fromFloat32(data, 'BF16'), 'BF16');
        // values that lie between two of bfloat16 may be rounded to either
        expect(stored).toBeAllClose(rounded, { rtol: 2 ** -7 });
        expect(stored.filter((x, j) => x !== rounded[j]).length).toBeLessThan(stored.length / 100);
      });
    }
  });

  test('one by one give the same files as together', async () => {
    await at.run('texts', options);
    const together = await Promise.all(captions.map((_, i) => readFile(`cache/${names[i]}_wan_te.safetensors`)));
    await at.run('texts', `${options} --batch_size 1`);
    for (const [i, file] of together.entries()) {
      const alone = await readFile(`cache/${names[i]}_wan_te.safetensors`);
      expect(alone.byteLength).toBe(file.byteLength);
      expect(toFloat32(alone.subarray(256), 'BF16')).toBeAllClose(toFloat32(file.subarray(256), 'BF16'), {
        rtol: 2 ** -7,
        atol: 1e-5,
      });
    }
  });

  test('from a .pth with the same tensors are the same, byte by byte', async () => {
    await at.run('texts', options);
    const files = () => Promise.all(captions.map((_, i) => readFile(`cache/${names[i]}_wan_te.safetensors`)));
    const fromSafetensors = await files();
    await writeAsPth(checkpoint, 't5.pth');
    await at.run('texts', '--dataset_config dataset.toml --t5 t5.pth --tokenizer tokenizer');
    expect((await files()).map((file, i) => Buffer.compare(file, fromSafetensors[i] ?? file))).toEqual(
      captions.map(() => 0),
    );
  });

  test('skip_existing leaves what is there; captions of images that are gone go', async () => {
    await at.run('texts', options);
    await at.write('cache/gone_wan_te.safetensors', 'x');
    await at.write('images/new.png', '');
    await at.write('images/new.txt', captions[0] ?? '');
    const before = await stat('cache/a_wan_te.safetensors');
    const outcome = await at.run('texts', `${options} --skip_existing`);
    expect(outcome).toMatchObject({ written: 1, kept: captions.length, removed: 1 });
    expect((await stat('cache/a_wan_te.safetensors')).mtimeMs).toBe(before.mtimeMs);
    await expect(stat('cache/gone_wan_te.safetensors')).rejects.toThrow('ENOENT');
  });

  test('a run that was stopped goes on where it was, with captions that changed made anew', async () => {
    const controller = new AbortController();
    const stopped = await at.run('texts', `${options} --batch_size 1`, {
      signal: controller.signal,
      onProgress: ({ items }) => items === 1 && controller.abort(),
    });
    expect(stopped).toMatchObject({ status: 'interrupted', written: 1 });
    expect(await at.run('texts', `${options} --batch_size 1`)).toMatchObject({ kept: 1, written: captions.length - 1 });

    await at.run('texts', `${options} --batch_size 1`, {
      signal: controller.signal,
    });
    await at.write('images/a.txt', captions[1] ?? '');
    expect(await at.run('texts', options)).toMatchObject({ kept: 0, written: captions.length });
  });

  test('a tokenizer of more tokens than the text encoder has is refused', async () => {
    await at.write('tokenizer/tokenizer.json', JSON.stringify(letterTokenizer(recorded.config.vocab + 1)));
    await expect(at.run('texts', options)).rejects.toMatchObject({ code: 'VOCABULARY_TOO_LARGE' });
    await expect(stat('cache')).rejects.toThrow('ENOENT');
  });

  test('without a tokenizer, the message says where it was looked for and how to get it', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { HF_HUB_OFFLINE: '1', HF_HOME: 'none' });
    try {
      const run = at.run('texts', `--dataset_config dataset.toml --t5 ${checkpoint}`);
      await expect(run).rejects.toMatchObject({
        code: 'TOKENIZER_NOT_FOUND',
        message: expect.stringMatching(/--local-dir|curl -fL/),
      });
    } finally {
      process.env = before;
    }
  });
});
