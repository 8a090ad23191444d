import { SafetensorsError } from './error.ts';
import type { TensorInfo } from './header.ts';
import { findDuplicateKey } from './internal/duplicate-key.ts';
import { createStore, openSafetensors } from './store.ts';
import type { TensorStore } from './store.ts';
import type { ByteSource } from './source.ts';

/** The list of a sharded checkpoint, `*.safetensors.index.json`. */
export interface ShardIndex {
  /** name of the index for errors */
  readonly name: string;
  /** tensor name → file name of its shard */
  readonly weightMap: ReadonlyMap<string, string>;
}

const SHARD = /^(.*?)(\d+)-of-(\d+)(\.safetensors)$/;

/**
 * The names of all shards of the set to which a name like `x-00002-of-00005.safetensors` belongs, or null for any other
 * name. Works on file names and on paths.
 */
export function shardNames(name: string): readonly string[] | null {
  const match = SHARD.exec(name);
  if (!match) return null;
  const [, prefix, number, total, extension] = match as unknown as [string, string, string, string, string];
  const count = Number(total);
  // A count that nobody shards into is just part of a name; it would also make a list without end.
  if (count < 1 || count > 9999 || Number(number) < 1 || Number(number) > count) return null;
  return Array.from(
    { length: count },
    (_, i) => `${prefix}${String(i + 1).padStart(number.length, '0')}-of-${total}${extension}`,
  );
}

/**
 * Reads an index file's JSON.
 *
 * @throws {SafetensorsError} `INDEX_INVALID` without a `weight_map` of plain file names; `DUPLICATE_KEY`
 */
export function parseShardIndex(json: string, name: string): ShardIndex {
  const remedy = 'Download the index of this checkpoint again, or give its first shard instead.';
  let root: unknown;
  try {
    root = JSON.parse(json);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SafetensorsError('INDEX_INVALID', `the index is not JSON (${why}).`, remedy, { file: name, cause });
  }
  const duplicate = findDuplicateKey(json);
  if (duplicate !== null) {
    throw new SafetensorsError('DUPLICATE_KEY', `the index has the key "${duplicate}" twice.`, remedy, { file: name });
  }
  const weightMap = (root as { weight_map?: unknown } | null)?.weight_map;
  const files = typeof weightMap === 'object' && weightMap !== null ? Object.entries(weightMap) : [];
  if (files.length === 0)
    throw new SafetensorsError('INDEX_INVALID', 'the index has no "weight_map".', remedy, { file: name });
  for (const [tensor, file] of files as [string, unknown][]) {
    if (typeof file !== 'string' || !/^[^/\\]+$/.test(file) || file === '..') {
      throw new SafetensorsError('INDEX_INVALID', `tensor "${tensor}" is not mapped to a file name.`, remedy, {
        file: name,
        tensor,
      });
    }
  }
  return { name, weightMap: new Map(files as [string, string][]) };
}

/**
 * Opens all shards of a checkpoint as one store. Completeness is checked by the index where there is one, else by names
 * of the form `x-00001-of-0000N.safetensors`. Metadata of the first shard that has a key wins.
 *
 * @throws {SafetensorsError} `DUPLICATE_SHARD`, `MISSING_SHARD`, `DUPLICATE_TENSOR` (in two shards), `INDEX_MISMATCH`,
 *   and what `openSafetensors` throws; the sources stay open, close them
 */
export async function openShards(sources: readonly ByteSource[], index?: ShardIndex): Promise<TensorStore> {
  assertComplete(
    sources.map(({ name }) => name),
    index,
  );
  const tensors = new Map<string, TensorInfo>();
  const metadata = new Map<string, string>();
  for (const source of sources) {
    const shard = await openSafetensors(source);
    for (const [name, info] of shard.tensors) {
      const other = tensors.get(name);
      if (other) {
        throw new SafetensorsError(
          'DUPLICATE_TENSOR',
          `tensor "${name}" is in this shard and in ${other.source}.`,
          'Remove the shard that does not belong to this checkpoint.',
          { file: source.name, tensor: name },
        );
      }
      tensors.set(name, info);
    }
    for (const [key, value] of Object.entries(shard.metadata)) if (!metadata.has(key)) metadata.set(key, value);
  }
  if (index) assertIndexHolds(index, tensors);
  return createStore(tensors, Object.fromEntries(metadata), new Map(sources.map((source) => [source.name, source])));
}

function assertComplete(names: readonly string[], index: ShardIndex | undefined): void {
  const files = names.map(baseName);
  const twice = files.find((file, i) => files.indexOf(file) !== i);
  if (twice !== undefined) {
    throw new SafetensorsError('DUPLICATE_SHARD', `shard "${twice}" is given twice.`, 'Give every shard once.', {
      file: twice,
    });
  }
  const wanted = index
    ? new Set(index.weightMap.values())
    : new Set(files.flatMap((file) => shardNames(file) ?? [file]));
  const missing = Array.from(wanted).filter((file) => !files.includes(file));
  if (missing.length > 0) throw missingShards(missing, wanted.size, index?.name ?? names[0]);
}

export function missingShards(missing: readonly string[], total: number, file: string | undefined): SafetensorsError {
  const some = missing.slice(0, 5).join(', ') + (missing.length > 5 ? ` and ${missing.length - 5} more` : '');
  return new SafetensorsError(
    'MISSING_SHARD',
    `${missing.length} of ${total} shards are missing: ${some}.`,
    'Put all shards into one folder; a download that stopped can be continued.',
    file === undefined ? {} : { file },
  );
}

function assertIndexHolds(index: ShardIndex, tensors: ReadonlyMap<string, TensorInfo>): void {
  for (const [name, file] of index.weightMap) {
    const info = tensors.get(name);
    if (info && baseName(info.source) === file) continue;
    throw new SafetensorsError(
      'INDEX_MISMATCH',
      `the index says that "${name}" is in ${file}, ${info ? `but it is in ${info.source}` : 'but no shard has it'}.`,
      'Index and shards come from different downloads: take all of them from one place.',
      { file: index.name, tensor: name },
    );
  }
}

function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}
