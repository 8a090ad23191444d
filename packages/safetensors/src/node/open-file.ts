import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SafetensorsError } from '../error.ts';
import { missingShards, openShards, parseShardIndex, shardNames } from '../shards.ts';
import type { ShardIndex } from '../shards.ts';
import type { ByteSource } from '../source.ts';
import { openSafetensors } from '../store.ts';
import type { TensorStore } from '../store.ts';
import { fileSource, readError } from './file-source.ts';

/**
 * Opens a checkpoint by path: one file, an index (`*.safetensors.index.json`), or any shard of a set
 * (`x-00002-of-00005.safetensors`), which opens the whole set. Headers are read, no tensor. Close it after use.
 *
 * @throws {SafetensorsError} `FILE_NOT_FOUND`, `IS_A_FOLDER`, `MISSING_SHARD`, and what `openSafetensors` and
 *   `openShards` throw
 */
export async function openSafetensorsFile(path: string): Promise<TensorStore> {
  if (basename(path).endsWith('.index.json')) return openIndex(resolve(path));
  const shards = shardNames(basename(path));
  if (shards) return openSet(dirname(resolve(path)), shards, resolve(path));
  return closeOnError([await fileSource(path)], ([source]) => openSafetensors(source!));
}

async function openIndex(path: string): Promise<TensorStore> {
  const json = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw readError(path, cause);
  });
  const index = parseShardIndex(json, path);
  return openSet(dirname(path), Array.from(new Set(index.weightMap.values())), path, index);
}

async function openSet(
  folder: string,
  names: readonly string[],
  path: string,
  index?: ShardIndex,
): Promise<TensorStore> {
  const opened = await Promise.allSettled(names.map((name) => fileSource(join(folder, name))));
  const sources = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  return closeOnError(sources, async () => {
    const missing: string[] = [];
    for (const [i, result] of opened.entries()) {
      if (result.status === 'fulfilled') continue;
      const error: unknown = result.reason;
      if (!(error instanceof SafetensorsError) || error.code !== 'FILE_NOT_FOUND') throw error;
      missing.push(names[i]!);
    }
    if (missing.length === names.length && !index) throw readError(path, { code: 'ENOENT' });
    if (missing.length > 0) throw missingShards(missing, names.length, path);
    return openShards(sources, index);
  });
}

async function closeOnError(
  sources: readonly ByteSource[],
  use: (sources: readonly ByteSource[]) => Promise<TensorStore>,
): Promise<TensorStore> {
  try {
    return await use(sources);
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}
