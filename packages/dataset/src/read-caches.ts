import type { TensorStore } from '@musubi/safetensors';

import { DatasetError } from './errors.ts';
import type { CachedValues } from './stack.ts';

/** Opens a cache file; `openSafetensorsFile` of `@musubi/safetensors/node` fits. */
export type OpenCache = (file: string) => Promise<TensorStore>;

/**
 * Reads every tensor of a cache file as float32.
 *
 * @throws {DatasetError} `CACHE_UNREADABLE` (missing, truncated, not safetensors), `CACHE_NOT_FINITE`
 */
export async function readCache(file: string, openCache: OpenCache): Promise<CachedValues[]> {
  return withCache(file, openCache, async (store) => {
    const tensors: CachedValues[] = [];
    for (const { name: key, dtype, shape } of store.tensors.values()) {
      const data = await store.readFloat32(key);
      assertFinite(data, file, key);
      tensors.push({ file, key, dtype, shape, data });
    }
    return tensors;
  });
}

/** Names of the tensors in a cache file; only its header is read. */
export async function readCacheKeys(file: string, openCache: OpenCache): Promise<string[]> {
  return withCache(file, openCache, (store) => Promise.resolve([...store.tensors.keys()]));
}

/** An item's tensors from both files; the text file wins where both have a key. */
export function mergeCaches(latent: readonly CachedValues[], text: readonly CachedValues[]): CachedValues[] {
  const merged = new Map([...latent, ...text].map((tensor) => [tensor.key, tensor]));
  return [...merged.values()];
}

async function withCache<T>(file: string, openCache: OpenCache, use: (store: TensorStore) => Promise<T>): Promise<T> {
  try {
    const store = await openCache(file);
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  } catch (cause) {
    throw isDatasetError(cause) ? cause : unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): DatasetError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const key = typeof cause === 'object' && cause !== null && 'tensor' in cause ? cause.tensor : undefined;
  const what = `The cache ${file} cannot be read: ${reason}`;
  const remedy = 'If the file is damaged, delete it and make the cache again.';
  return new DatasetError('CACHE_UNREADABLE', what, remedy, {
    file,
    ...(typeof key === 'string' ? { key } : {}),
    cause,
  });
}

function assertFinite(data: Float32Array, file: string, key: string): void {
  let index = 0;
  while (index < data.length && Number.isFinite(data[index])) index++;
  if (index === data.length) return;
  const what = `${file}: element ${index} of ${key} is ${data[index]}; training on it would only give NaN.`;
  const remedy = 'Delete the file and make the cache again, with float32 (--vae_dtype float32 for latents).';
  throw new DatasetError('CACHE_NOT_FINITE', what, remedy, { file, key, value: data[index] });
}

function isDatasetError(error: unknown): boolean {
  return error instanceof Error && error.name === 'DatasetError';
}
