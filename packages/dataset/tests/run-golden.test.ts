import { readdirSync } from 'node:fs';

import { PythonRandom, TorchGenerator } from '@musubi/random';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { bucketItems, datasetArchitecture, findItems, type TrainingBatch } from '../src/index.ts';
import { diskFiles, loadDatasetConfig, openTrainingData } from '../src/node.ts';

interface Run {
  seed: number;
  dataset_seed: number;
  batches_per_epoch: number;
  unshuffled: { dataset: number; buckets: { bucket: number[]; items: string[] }[] }[];
  epochs: { epoch: number; loader_seed: string; permutation_seed: string; permutation: number[] }[];
  micro_steps: {
    epoch: number;
    dataset: number;
    bucket: number[];
    items: string[];
    latents_shape: number[];
    latents_dtype: string;
    text_lengths: number[];
    words_before: number;
  }[];
}

const runs = (hasGolden('runs') ? readdirSync(goldenPath('runs')) : []).filter(
  (name) => name.startsWith('wan') && hasGolden('runs', name, 'run.json'),
);
const architecture = datasetArchitecture('wan');

describe.each(runs)('run %s', (name) => {
  const run = readGoldenJson<Run>('runs', name, 'run.json');
  const workingDirectory = goldenPath('runs', name);
  const open = () =>
    openTrainingData({
      datasetConfigPath: 'dataset.toml',
      architecture,
      datasetSeed: new PythonRandom(run.seed).randint(0, 2 ** 31),
      workingDirectory,
    });

  test('the dataset seed follows from the seed', () => {
    expect(new PythonRandom(run.seed).randint(0, 2 ** 31)).toBe(run.dataset_seed);
  });

  test('buckets before shuffling', async () => {
    const datasets = await loadDatasetConfig({
      datasetConfigPath: 'dataset.toml',
      architecture: 'wan',
      workingDirectory,
    });
    const own = [];
    for (const [dataset, { config }] of datasets.entries()) {
      const path = config.cacheDirectory ?? '';
      const names = (await diskFiles(workingDirectory).list(path))?.map((entry) => entry.name) ?? null;
      const pathOf = (file: string) => goldenPath('runs', name, path, file);
      const { items } = await findItems(config, { path, names, pathOf }, { openCache: openSafetensorsFile });
      const buckets = bucketItems(items, config.numRepeats).map((bucket) => ({
        bucket: bucket.key.slice(0, 2),
        items: bucket.items.map(({ key }) => key),
      }));
      own.push({ dataset, buckets });
    }
    expect(own).toEqual(run.unshuffled);
  });

  test('every batch of every epoch, from the generator as the run left it', async () => {
    const data = await open();
    expect(data.batchesPerEpoch).toBe(run.batches_per_epoch);
    const generator = new TorchGenerator(run.seed);
    for (const { epoch } of run.epochs) {
      const steps = run.micro_steps.filter((step) => step.epoch === epoch);
      const wordsOfSeeds = 4;
      generator.skip((steps[0]?.words_before ?? 0) - wordsOfSeeds - generator.wordsDrawn);
      const batches: TrainingBatch[] = [];
      for await (const batch of data.epoch(epoch, generator)) {
        expect(generator.wordsDrawn).toBe(steps[0]?.words_before);
        batches.push(batch);
      }
      expect(batches).toHaveLength(run.batches_per_epoch);
      expect(batches.slice(0, steps.length).map(describeBatch)).toEqual(
        steps.map(({ dataset, bucket, items, latents_shape, latents_dtype, text_lengths }) => ({
          dataset,
          bucket,
          items,
          latents_shape,
          latents_dtype,
          text_lengths,
        })),
      );
    }
  });

  test('seeds and permutation of every epoch', () => {
    const generator = new TorchGenerator(run.seed);
    for (const { epoch, loader_seed, permutation_seed, permutation } of run.epochs) {
      const first = run.micro_steps.find((step) => step.epoch === epoch);
      generator.skip((first?.words_before ?? 0) - 4 - generator.wordsDrawn);
      expect(String(generator.randomInt63())).toBe(loader_seed);
      const seed = generator.randomInt63();
      expect(String(seed)).toBe(permutation_seed);
      expect(new TorchGenerator(seed).randperm(run.batches_per_epoch)).toEqual(permutation);
    }
  });

  test('what the adapter records about the datasets', async () => {
    const { metadata } = await openSafetensorsFile(goldenPath('runs', name, 'my_lora.safetensors'));
    const data = await open();
    expect(data.metadataJson).toBe(metadata['ss_datasets']);
    expect(String(data.numTrainItems)).toBe(metadata['ss_num_train_items']);
    expect(String(data.batchesPerEpoch)).toBe(metadata['ss_num_batches_per_epoch']);
  });
});

test('a whole run is there in the default folder', () => {
  if (!isDefaultGolden) return;
  expect(runs).toContain('wan_t2v');
});

function describeBatch({ datasetIndex, bucket, items, stacked, lists }: TrainingBatch) {
  const latents = stacked.get('latents');
  return {
    dataset: datasetIndex,
    bucket,
    items: items.map(({ key }) => key),
    latents_shape: latents?.shape,
    latents_dtype: latents?.dtype === 'BF16' ? 'bfloat16' : latents?.dtype,
    text_lengths: lists.get('t5')?.map(({ shape }) => shape[0]),
  };
}
