import type { PlannedItem } from '@musubi/dataset';
import type { CachingDataset } from '@musubi/dataset/node';
import type { TensorStore } from '@musubi/safetensors';

import { stat } from 'node:fs/promises';

import { openCachingData } from '@musubi/dataset/node';
import { wan, wanVae } from '@musubi/models';
import { openSafetensorsFile } from '@musubi/safetensors/node';

import type { Collector } from './collect.ts';

import { exists } from '../caching/cache-files.ts';

/**
 * Compares caches with the pictures and captions they were made from, where these are there: training itself needs only the
 * caches, so all of it is warnings.
 */
export async function checkCacheFreshness(collector: Collector, datasetConfigPath: string): Promise<void> {
  const data = await openCachingData({
    datasetConfigPath,
    architecture: wan,
    workers: 1,
    // A dataset of videos, or whose pictures are elsewhere now, is trained on from its caches.
    warn: () => {},
    onProblem: () => {},
  }).catch(isUsersError);
  if (!data) return;
  try {
    for (const dataset of data.datasets) {
      await collector.attempt(() => compare(collector, dataset), {}, 'warning');
    }
    for (const { error } of data.failures) {
      await collector.attempt(() => Promise.reject(error), {}, 'warning');
    }
  } finally {
    await data.close();
  }
}

function isUsersError(error: unknown): null {
  if (error instanceof Error && 'remedy' in error) return null;
  throw error;
}

const again = 'Run cache_latents and cache_text_encoder_outputs again.';

async function compare(collector: Collector, dataset: CachingDataset): Promise<void> {
  const { items } = await dataset.plan();
  const place = { file: dataset.cacheDirectory };
  const missing: string[] = [];
  const resized: string[] = [];
  const changed: string[] = [];
  const older: string[] = [];
  for (const item of items) {
    if (!(await exists(item.latentCache))) missing.push(item.key);
    else if (!(await fitsBucket(item))) resized.push(item.key);
    else if (await isOlder(item.latentCache, item.targets)) older.push(item.key);
    const caption = await cachedCaption(item.textCache);
    if (caption !== undefined && caption !== item.caption) changed.push(item.key);
  }
  const warn = (code: string, names: readonly string[], tell: (list: string) => string, remedy: string) => {
    if (names.length > 0) collector.warn(code, place, tell(listOf(names)), remedy);
  };
  const of = `of ${items.length} pictures`;
  warn(
    'CACHE_MISSING',
    missing,
    (list) => `${missing.length} ${of} have no latent cache and are not trained on: ${list}.`,
    'Run cache_latents.',
  );
  warn(
    'CACHE_STALE',
    resized,
    (list) => `${resized.length} ${of} have latents of another size than the configuration gives them now: ${list}.`,
    'Run cache_latents again.',
  );
  warn(
    'CACHE_STALE',
    older,
    (list) => `${older.length} ${of} were changed after their latents were cached: ${list}.`,
    'Run cache_latents again.',
  );
  warn(
    'CACHE_STALE',
    changed,
    (list) => `${changed.length} ${of} have another caption than the one that is cached: ${list}.`,
    'Run cache_text_encoder_outputs again.',
  );
  const stale = await dataset.staleCaches('latents');
  warn(
    'CACHE_STALE',
    stale,
    (list) => `${stale.length} latent caches belong to no picture any more and are trained on: ${list}.`,
    again,
  );
}

/** Items whose cache cannot be read are told of elsewhere. */
async function fitsBucket({ latentCache, bucket }: PlannedItem): Promise<boolean> {
  return withHeader(latentCache, true, ({ tensors }) => {
    const latents = [...tensors.values()].find(({ name }) => /^latents_\d/.test(name));
    const [height, width] = latents?.shape.slice(-2) ?? [];
    const { sides } = wanVae.compression;
    return width === undefined || (width * sides === bucket[0] && (height ?? 0) * sides === bucket[1]);
  });
}

/** The caption that a text cache is of; undefined where there is none that can be read. */
async function cachedCaption(file: string): Promise<string | undefined> {
  return withHeader(file, undefined, ({ metadata }) => metadata['caption1']);
}

async function withHeader<T>(file: string, otherwise: T, use: (store: TensorStore) => T): Promise<T> {
  const store = await openSafetensorsFile(file).catch(() => null);
  if (!store) return otherwise;
  try {
    return use(store);
  } finally {
    await store.close();
  }
}

async function isOlder(cache: string, sources: readonly string[]): Promise<boolean> {
  const times = await Promise.all(sources.map(modifiedMs));
  return Math.max(...times) > (await modifiedMs(cache));
}

const modifiedMs = async (path: string): Promise<number> => (await stat(path)).mtimeMs;

function listOf(names: readonly string[]): string {
  return names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
}
