import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';

import { withoutDtype } from '@musubi/dataset';
import { type TensorStore, bytesSource, encodeSafetensors, openSafetensors } from '@musubi/safetensors';
import { describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type CacheContents, encodeTextCache, latentCache, textCache } from '../src/index.ts';
import { readStore } from './run-folder.ts';

/** Cache files of the original: random tensors, saved by its own functions. */
interface CacheFile {
  readonly file: string;
  readonly header_bytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, { dtype: string; shape: number[]; sha256: string }>>;
}

const files = hasGolden('files', 'caches.json')
  ? readGoldenJson<{ files: CacheFile[] }>('files', 'caches.json').files
  : [];
const isText = ({ file }: CacheFile) => file.endsWith('_te.safetensors');
const texts = files.filter(isText);
const wan = files.filter(({ metadata }) => metadata['architecture'] === 'wan');
/** Of pictures without control pictures or more. */
const wanLatents = wan.filter((cache) => {
  const keys = Object.keys(cache.tensors);
  return !isText(cache) && !cache.metadata['frame_count'] && keys.every((key) => /^latents(_control)?_\d/.test(key));
});
const wanTexts = wan.filter(isText);

const pathOf = ({ file }: CacheFile) => goldenPath('files', file);
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

test('the repository has caches of every kind', () => {
  if (!isDefaultGolden) return;
  expect(texts.length).toBeGreaterThan(20);
  expect(wanLatents.length).toBeGreaterThan(2);
  expect(wanTexts.length).toBeGreaterThan(2);
});

describe('a text cache, read and written again, has the same bytes', () => {
  test.each(texts.map((cache) => [cache.file, cache] as const))('%s', async (_, cache) => {
    const contents = await readStore(pathOf(cache), readContents);
    expect(Buffer.compare(encodeTextCache(contents), await readFile(pathOf(cache)))).toBe(0);
  });
});

describe('the text cache of embeddings and a caption is that of the original, byte by byte', () => {
  test.each(wanTexts.map((cache) => [cache.file, cache] as const))('%s', async (_, cache) => {
    const contents = await readStore(pathOf(cache), async (store) => {
      const embeddings = [...store.tensors.values()].map(
        async ({ name, shape }) => [withoutDtype(name), { shape, data: await store.readFloat32(name) }] as const,
      );
      return textCache({
        architecture: 'wan',
        caption: cache.metadata['caption1'] ?? '',
        embeddings: Object.fromEntries(await Promise.all(embeddings)),
        precision: 'bf16',
      });
    });
    expect(Buffer.compare(encodeTextCache(contents), await readFile(pathOf(cache)))).toBe(0);
  });
});

describe('the latent cache of latents is that of the original, apart from the order in its header', () => {
  test.each(wanLatents.map((cache) => [cache.file, cache] as const))('%s', async (_, cache) => {
    const contents = await readStore(pathOf(cache), async (store) => {
      const find = async (start: RegExp) => {
        const info = [...store.tensors.values()].find(({ name }) => start.test(name));
        return info && { shape: info.shape, data: await store.readFloat32(info.name) };
      };
      return latentCache({
        architecture: 'wan',
        originalSize: [Number(cache.metadata['width']), Number(cache.metadata['height'])],
        latents: (await find(/^latents_\d/)) ?? { shape: [], data: new Float32Array() },
        control: await find(/^latents_control_\d/),
        precision: 'bf16',
      });
    });
    expect(contents.metadata).toEqual(cache.metadata);

    const bytes = await encodeSafetensors(contents.tensors, { metadata: contents.metadata });
    const written = await openSafetensors(bytesSource(bytes));
    expect(bytes.byteLength).toBe((await readFile(pathOf(cache))).byteLength);
    for (const [name, { dtype, shape, sha256 }] of Object.entries(cache.tensors)) {
      expect(written.tensors.get(name)).toMatchObject({ dtype, shape });
      expect(hash(await written.read(name))).toBe(sha256);
    }
    expect(written.tensors.size).toBe(Object.keys(cache.tensors).length);
  });
});

async function readContents(store: TensorStore): Promise<CacheContents> {
  const tensors = [...store.tensors.values()].map(async ({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    data: await store.read(name),
  }));
  return { tensors: await Promise.all(tensors), metadata: store.metadata, notANumber: [] };
}
