import { describe, expect, test } from 'vitest';

import { parseDatasetConfig } from './config-text.ts';
import { readDatasetConfig } from './dataset-config.ts';
import { datasetMetadata, formatDatasetsMetadata } from './metadata.ts';

const metadataOf = (toml: string) =>
  readDatasetConfig(parseDatasetConfig(toml, 'a.toml'), 'wan').map((config) => datasetMetadata(config, false));

describe('datasetMetadata', () => {
  test.each([
    ['images/a', 'a'],
    ['C:\\data\\cats', 'cats'],
    ['cats', 'cats'],
    ['cats/', ''],
  ])('keeps the last part of %s', (path, expected) => {
    expect(metadataOf(`[[datasets]]\nimage_directory = '${path}'`)[0]).toMatchObject({ image_directory: expected });
  });
});

describe('formatDatasetsMetadata', () => {
  test('writes JSON as Python does', () => {
    const toml =
      '[[datasets]]\nvideo_directory = "v\u00eddeo \ud83d\ude00"\nsource_fps = 30.0\ncaption_extension = ".\\"txt"';
    expect(formatDatasetsMetadata(metadataOf(toml))).toMatchInlineSnapshot(
      `"[{"resolution": [960, 544], "caption_extension": ".\\"txt", "batch_size_per_device": 1, "num_repeats": 1, "enable_bucket": false, "bucket_no_upscale": false, "video_directory": "v\\u00eddeo \\ud83d\\ude00", "frame_extraction": "head", "frame_stride": 1, "frame_sample": 1, "target_frames": [1], "max_frames": 129, "source_fps": 30.0, "has_control": false}]"`,
    );
  });

  test.each([
    [24, '24.0'],
    [29.97, '29.97'],
    [0, '0.0'],
    [-0, '-0.0'],
    [1e-5, '1e-05'],
    [0.0001, '0.0001'],
    [1e16, '1e+16'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1e15, '1000000000000000.0'],
    [Infinity, 'Infinity'],
    [-Infinity, '-Infinity'],
    [NaN, 'NaN'],
  ])('writes the frame rate %d as %s', (source_fps, text) => {
    expect(formatDatasetsMetadata([{ source_fps }])).toBe(`[{"source_fps": ${text}}]`);
  });
});
