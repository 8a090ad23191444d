import { describe, expect, test } from 'vitest';

import type { GivenFile } from './given-files.ts';
import { missingFiles, sortFiles } from './sort-files.ts';

const files = (...paths: string[]): GivenFile[] => paths.map((path) => ({ path, blob: new Blob() }));
const paths = (found: readonly GivenFile[]) => found.map(({ path }) => path);

describe('files', () => {
  test('are told apart by their names', () => {
    const sorted = sortFiles(
      files(
        'run/wan.safetensors',
        'run/model.json',
        'run/dataset.toml',
        'run/a/cat.v1_0640x0480_wan.safetensors',
        'run/a/cat.v1_wan_te.safetensors',
        'run/a/._cat.v1_wan_te.safetensors',
        'run/cat.v1.PNG',
        'run/notes.txt',
      ),
    );
    expect(paths(sorted.checkpoints)).toEqual(['run/wan.safetensors']);
    expect(paths(sorted.latents)).toEqual(['run/a/cat.v1_0640x0480_wan.safetensors']);
    expect(paths(sorted.texts)).toEqual(['run/a/cat.v1_wan_te.safetensors']);
    expect(paths(sorted.pictures)).toEqual(['run/cat.v1.PNG']);
    expect([sorted.modelConfig?.path, sorted.datasetConfig?.path]).toEqual(['run/model.json', 'run/dataset.toml']);
  });

  test('a LoRA whose name ends like that of a cache is a checkpoint', () => {
    expect(paths(sortFiles(files('cat_wan.safetensors')).checkpoints)).toEqual(['cat_wan.safetensors']);
  });
});

describe('what is missing', () => {
  test('is the other half of an item, in the same folder', () => {
    const given = files('a/cat_0640x0480_wan.safetensors', 'b/cat_wan_te.safetensors');
    expect(missingFiles(sortFiles(given))).toEqual(['a/cat_wan_te.safetensors', 'b/cat_WIDTHxHEIGHT_wan.safetensors']);
  });

  test('is both caches of a picture without any', () => {
    const given = files('cat.jpg', 'dog.jpg', 'cache/dog_0640x0480_wan.safetensors', 'cache/dog_wan_te.safetensors');
    expect(missingFiles(sortFiles(given))).toEqual(['cat_WIDTHxHEIGHT_wan.safetensors', 'cat_wan_te.safetensors']);
  });
});
