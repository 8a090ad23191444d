import { bytesSource, encodeSafetensors, openSafetensors } from '@musubi/safetensors';
import { expect, test } from 'vitest';

import { mergeCaches, readCache, readCacheKeys } from './read-caches.ts';
import type { CachedValues } from './stack.ts';

const tensor = (file: string, key: string): CachedValues => ({
  file,
  key,
  dtype: 'F32',
  shape: [1],
  data: Float32Array.of(1),
});

test('where both files of an item have a key, the text file wins', () => {
  const merged = mergeCaches(
    [tensor('latents', 'a'), tensor('latents', 'b')],
    [tensor('text', 'b'), tensor('text', 'c')],
  );
  expect(merged.map(({ file, key }) => `${file} ${key}`)).toEqual(['latents a', 'text b', 'text c']);
});

test('reads from memory, closes the file, and knows keys without reading tensors', async () => {
  const bytes = await encodeSafetensors([
    { name: 'latents_1x1x2_float16', dtype: 'F16', shape: [1, 1, 1, 2], data: new Uint8Array([0, 0x3c, 0, 0xbc]) },
  ]);
  let closed = 0;
  let read = 0;
  const openCache = async (file: string) => {
    const store = await openSafetensors(bytesSource(bytes, file));
    return {
      ...store,
      readFloat32: async (name: string) => (read++, store.readFloat32(name)),
      close: async () => void closed++,
    };
  };
  expect(await readCacheKeys('x', openCache)).toEqual(['latents_1x1x2_float16']);
  expect([read, closed]).toEqual([0, 1]);
  const [latents] = await readCache('x', openCache);
  expect(latents).toMatchObject({ file: 'x', dtype: 'F16', shape: [1, 1, 1, 2], data: Float32Array.of(1, -1) });
  expect([read, closed]).toEqual([1, 2]);
});

test.each([
  [NaN, 'NaN'],
  [Infinity, 'Infinity'],
  [-Infinity, '-Infinity'],
])('refuses %d', async (value, text) => {
  const data = new Uint8Array(Float32Array.of(0, value).buffer);
  const bytes = await encodeSafetensors([{ name: 'a', dtype: 'F32', shape: [2], data }]);
  const read = readCache('file', (file) => openSafetensors(bytesSource(bytes, file)));
  await expect(read).rejects.toMatchObject({ code: 'CACHE_NOT_FINITE', file: 'file', key: 'a' });
  await expect(read).rejects.toThrow(`element 1 of a is ${text}`);
});
