import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { checkDatasetConfig } from './config-check.ts';
import { lineFinder, parseDatasetConfig } from './config-text.ts';
import { type DatasetError, type DatasetWarning } from './errors.ts';
import { datasetOptions, renamedOptions } from './option-table.ts';

const check = (toml: string) =>
  checkDatasetConfig(parseDatasetConfig(toml, 'data.toml'), 'data.toml', undefined, lineFinder(toml, 'data.toml'));

function messageOf(toml: string): string {
  try {
    check(toml);
  } catch (error) {
    return (error as DatasetError).message;
  }
  throw new Error('it did not fail');
}

describe('checkDatasetConfig', () => {
  test('lists every issue and the nearest names', () => {
    const text = `
batch_size = 2
[general]
resolutoin = 512
cache_directory = "c"
[[datasets]]
image_directory = "a"
num_repeat = 2
shuffle = true
batch_size = 2.0
target_frames = [1]
[[datasets]]
video_directory = "v"
image_directory = "a"
target_frames = [1, "25"]
source_fps = 30
`;
    expect(messageOf(text)).toMatchInlineSnapshot(
      `
      "data.toml:
        line 2: batch_size is not an option here. Write it below [general] or [[datasets]].
        line 4: general.resolutoin is not an option here. Did you mean "resolution"?
        line 5: general.cache_directory is not an option here. Write it below each [[datasets]] it is meant for.
        line 8: datasets[0].num_repeat is not an option here. Did you mean "num_repeats"?
        line 9: datasets[0].shuffle is not an option here. Known: resolution, caption_extension, batch_size, num_repeats, enable_bucket, bucket_no_upscale, cache_directory, image_directory, image_jsonl_file, control_directory, multiple_target, no_resize_control, control_resolution, fp_latent_window_size, fp_1f_clean_indices, fp_1f_target_index, fp_1f_no_post.
        line 10: datasets[0].batch_size is 2.0; it has to be a whole number, without a point, below 2^52.
        line 11: datasets[0].target_frames is not an option here. It is an option of video datasets.
        line 14: datasets[1].image_directory is not an option here. A dataset has either images or videos: make two of it.
        line 15: datasets[1].target_frames[1] is "25"; it has to be a whole number, without a point, below 2^52.
        line 16: datasets[1].source_fps is 30; it has to be a number with a point, e.g. 30.0.
      Correct the file."
    `,
    );
  });

  test('names the line of a single issue in the file', () => {
    expect(messageOf('[[datasets]]\nimage_directory = "a"\n[[datasets]]\nnum_repeat = 2')).toBe(
      'data.toml, line 4: datasets[1].num_repeat is not an option here. Did you mean "num_repeats"? Correct the file.',
    );
    expect(messageOf('[general]\n\nbatch_size = 2.5')).toMatch(/^data\.toml, line 3: general\.batch_size is 2\.5;/);
    expect(messageOf('datasets = [{ shuffle = true }]')).toMatch(/^data\.toml: datasets\[0\]\.shuffle/);
    expect(lineFinder('{"general":\n{"x": 1}}', 'data.json')(['general', 'x'])).toBe(undefined);
  });

  test('knows the only option that begins with what was written', () => {
    expect(messageOf('[[datasets]]\ncache_dir = "c"')).toContain('Did you mean "cache_directory"?');
  });

  test.each(['general', 'datasets'])('refuses %s of another type', (key) => {
    expect(() => check(`${key} = 1`)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  test.each([
    ['datasets = [1]', ['datasets', 0]],
    ['datasets = [1979-05-27]', ['datasets', 0]],
  ])('refuses %s: a dataset is a table', (text, path) => {
    expect(() => check(text)).toThrow(
      expect.objectContaining({ issues: [expect.objectContaining({ path, kind: 'expected_dict' })] }),
    );
  });

  test('refuses whole numbers that JavaScript cannot hold', () => {
    expect(messageOf('[general]\nbatch_size = 9007199254740993')).toContain(
      'general.batch_size is 9007199254740993; it has to be a whole number',
    );
  });

  test.each([...renamedOptions])('renames %s to %s with a warning', (old, name) => {
    const value = name === 'control_resolution' ? '512' : 'true';
    const warnings: DatasetWarning[] = [];
    const parsed = parseDatasetConfig(`[[datasets]]\nimage_directory = "a"\n${old} = ${value}`, 'a.toml');
    const { datasets } = checkDatasetConfig(parsed, 'a.toml', (warning) => warnings.push(warning));
    expect(datasets[0]?.options).toHaveProperty(name);
    expect(datasets[0]?.options).not.toHaveProperty(old);
    expect(warnings).toEqual([
      { code: 'DEPRECATED_KEY', message: `datasets[0].${old} is an old name: write ${name}.` },
    ]);
  });

  test('knows no option twice and old names no more', () => {
    const names = datasetOptions.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const old of renamedOptions.keys()) expect(names).not.toContain(old);
    for (const name of renamedOptions.values()) expect(names).toContain(name);
  });

  test('answers anything with a result or an error of its own', () => {
    const key = fc.oneof(
      fc.constantFrom('general', 'datasets', ...datasetOptions.map(({ name }) => name)),
      fc.string(),
    );
    const leaf = fc.oneof(fc.string(), fc.bigInt(), fc.double(), fc.boolean(), fc.constant(null), fc.date());
    const { config } = fc.letrec<{ config: unknown }>((tie) => ({
      config: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('config')), fc.dictionary(key, tie('config'))),
    }));
    fc.assert(
      fc.property(fc.oneof(config, fc.dictionary(key, config)), (parsed) => {
        try {
          checkDatasetConfig(parsed);
        } catch (error) {
          expect(error).toMatchObject({ name: 'DatasetError', code: 'CONFIG_INVALID' });
        }
      }),
    );
  });
});
