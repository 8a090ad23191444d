import { describe, expect, test } from 'vitest';

import type { GivenFile } from './given-files.ts';
import { type Settings, runFiles } from './run-files.ts';
import { sortFiles } from './sort-files.ts';

const settings: Settings = {
  task: 't2v-1.3B',
  rank: '8',
  rate: '1e-4',
  steps: '20',
  batchSize: '2',
  resolution: ['128', '96'],
  seed: '42',
  checkpointing: false,
  base: '',
};
const file = (path: string): GivenFile => ({ path, blob: new Blob([path]) });
const caches = (...paths: string[]) => sortFiles(paths.map(file));
const of = (given: ReturnType<typeof caches>, datasetConfig: string | null = null, more: Partial<Settings> = {}) =>
  runFiles(
    { checkpoint: file('models/wan.safetensors'), modelConfig: null, caches: given, datasetConfig },
    { ...settings, ...more },
  );

describe('files of a run', () => {
  test('have a dataset for each folder with latents', () => {
    const made = of(
      caches('x/a/cat_0640x0480_wan.safetensors', 'x/a/cat_wan_te.safetensors', 'y_0640x0480_wan.safetensors'),
    );
    expect([...made.files.keys()]).toEqual([
      'wan.safetensors',
      'x/a/cat_0640x0480_wan.safetensors',
      'cache/y_0640x0480_wan.safetensors',
      'x/a/cat_wan_te.safetensors',
      'dataset.toml',
    ]);
    expect(made.datasetConfig).toMatchInlineSnapshot(`
      "[general]
      resolution = [128, 96]
      enable_bucket = true
      batch_size = 2

      [[datasets]]
      image_directory = "x/a"
      cache_directory = "x/a"

      [[datasets]]
      image_directory = "cache"
      cache_directory = "cache"
      "
    `);
  });

  test('start at the folder of a dataset configuration that came with them', () => {
    const made = of(caches('run/dataset.toml', 'run/cache/a/cat_0640x0480_wan.safetensors'), '[general]');
    expect([...made.files.keys()]).toEqual([
      'wan.safetensors',
      'cache/a/cat_0640x0480_wan.safetensors',
      'dataset.toml',
    ]);
    expect(made.datasetConfig).toBe('[general]');
  });

  test('are named by the command', () => {
    const command = of(caches()).command.join(' ');
    expect(command).toMatch(/^train --task t2v-1\.3B --dit wan\.safetensors --dataset_config dataset\.toml /);
    expect(command).not.toContain('model_config');
  });

  test.each([
    ['', false, /--output_name my_lora$/],
    ['--int8_base', false, /--output_name my_lora --int8_base$/],
    ['--fp8_base --fp8_scaled', true, /--output_name my_lora --fp8_base --fp8_scaled --gradient_checkpointing$/],
  ])('end with flags: base "%s", checkpointing %s', (base, checkpointing, expected) => {
    const { command } = of(caches(), null, { base, checkpointing });
    expect(command.join(' ')).toMatch(expected);
    expect(command).not.toContain('');
  });
});
