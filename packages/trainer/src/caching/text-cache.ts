import type { SavePrecision } from '@musubi/config';
import type { TensorStore } from '@musubi/safetensors';

import { withoutDtype } from '@musubi/dataset';

import { TrainerError } from '../errors.ts';
import {
  type CacheContents,
  type EncodedValues,
  cacheFormatVersion,
  storeValues,
  storedTypes,
} from './stored-values.ts';

export interface TextCacheOptions {
  /** As in the metadata, e.g. `wan`. */
  readonly architecture: string;
  readonly caption: string;
  /** By content, e.g. `varlen_t5`, in the order of the file. */
  readonly embeddings: Readonly<Record<string, EncodedValues>>;
  readonly precision: SavePrecision;
}

/** The contents of a caption's cache: `<content>_<dtype>` each. */
export function textCache({ architecture, caption, embeddings, precision }: TextCacheOptions): CacheContents {
  const { torch } = storedTypes[precision];
  const values = new Map(Object.entries(embeddings).map(([content, value]) => [`${content}_${torch}`, value]));
  return storeValues(values, precision, { architecture, caption1: caption, format_version: cacheFormatVersion });
}

/**
 * Puts new contents into a file that may have others, of another text encoder of the same model: tensors that the new
 * ones do not replace, whatever their number type, are kept behind them.
 *
 * @param existing the file as it is
 * @throws {TrainerError} `CACHE_OF_OTHER_MODEL`
 */
export async function mergeTextCache(
  contents: CacheContents,
  existing: Pick<TensorStore, 'tensors' | 'metadata' | 'read'>,
  file: string,
): Promise<CacheContents> {
  const { caption1: _, format_version: __, ...kept } = existing.metadata;
  const { architecture } = contents.metadata;
  if (kept['architecture'] !== architecture) {
    throw new TrainerError(
      'CACHE_OF_OTHER_MODEL',
      `${file} is of the model "${kept['architecture'] ?? 'unknown'}", not of "${architecture}".`,
      'Give each model its own cache_directory, or delete the file.',
      { file },
    );
  }
  const written = new Set(contents.tensors.map(({ name }) => withoutDtype(name)));
  const others = [...existing.tensors.values()].filter(({ name }) => !written.has(withoutDtype(name)));
  const tensors = [...contents.tensors];
  for (const { name, dtype, shape } of others) tensors.push({ name, dtype, shape, data: await existing.read(name) });
  return { ...contents, tensors, metadata: { ...contents.metadata, ...kept } };
}
