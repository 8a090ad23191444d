import { readdir } from 'node:fs/promises';

import { resolveCommand } from '@musubi/config';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type Finding, checkCacheLatents, checkCacheTexts } from '../src/node.ts';
import { type CachingFolder, openCachingFolder } from './caching-folder.ts';
import { letterTokenizer } from './letter-tokenizer.ts';

const vae = goldenPath('models', 'vae_wan', 'checkpoint.safetensors');
const t5 = goldenPath('models', 'te_umt5', 'checkpoint.safetensors');
const hasModels =
  hasGolden('models', 'vae_wan', 'checkpoint.safetensors') && hasGolden('models', 'te_umt5', 'case.json');
const noFiles = () => Promise.reject(new Error('no files'));
const dataset = `[general]
caption_extension = ".txt"
resolution = [64, 64]
[[datasets]]
image_directory = "images"
cache_directory = "cache"
`;

async function check(command: string, options: string): Promise<readonly Finding[]> {
  const argv = ['--dataset_config', 'dataset.toml', ...options.split(' ')];
  const found = await resolveCommand({ command, argv, readText: noFiles });
  if (found.task === 'cache latents') return checkCacheLatents(found.config);
  if (found.task === 'cache text') return checkCacheTexts(found.config);
  throw new Error('another command');
}

const codes = (findings: readonly Finding[]) => findings.map(({ severity, code }) => `${severity} ${code}`);

describe.runIf(hasModels)('a folder of pictures', () => {
  let at: CachingFolder;
  beforeAll(async () => {
    at = await openCachingFolder();
  });
  afterEach(() => at.clear());
  afterAll(() => at.close());

  async function setUp(): Promise<void> {
    const { vocab } = readGoldenJson<{ config: { vocab: number } }>('models', 'te_umt5', 'case.json').config;
    await at.write('tokenizer/tokenizer.json', JSON.stringify(letterTokenizer(vocab)));
    await at.write('dataset.toml', dataset);
    await at.writePicture('images/cat.png', new Uint8Array(64 * 64 * 3), 64, 64);
    await at.write('images/cat.txt', 'a cat');
  }

  test('has nothing wrong, and nothing is left behind', async () => {
    await setUp();
    expect(await check('wan_cache_latents', `--vae ${vae}`)).toEqual([]);
    expect(await check('wan_cache_text_encoder_outputs', `--t5 ${t5} --tokenizer tokenizer`)).toEqual([]);
    expect((await readdir('.')).toSorted()).toEqual(['dataset.toml', 'images', 'tokenizer']);
  });

  test('the other model, a picture that is none, one without caption', async () => {
    await setUp();
    await at.write('images/broken.png', 'none');
    await at.write('images/broken.txt', 'a broken one');
    await at.writePicture('images/dog.png', new Uint8Array(64 * 64 * 3), 64, 64);
    expect(codes(await check('wan_cache_latents', `--vae ${t5}`))).toEqual([
      'error KEY_MISMATCH',
      'warning CAPTION_MISSING',
      'error PICTURE_UNREADABLE',
    ]);
    expect(codes(await check('wan_cache_text_encoder_outputs', `--t5 ${vae} --tokenizer none`))).toEqual([
      'error UNSUPPORTED_MODEL',
      'warning CAPTION_MISSING',
    ]);
  });

  test('mistakes of all datasets, each with its line', async () => {
    await setUp();
    await at.write('dataset.toml', `${dataset}batch_siz = 2\nnum_repeats = "2"\n`);
    const findings = await check('wan_cache_latents', `--vae none.safetensors`);
    expect(codes(findings)).toEqual(['error FILE_NOT_FOUND', 'error CONFIG_INVALID', 'error CONFIG_INVALID']);
    expect(findings.slice(1).map(({ where }) => where)).toEqual([
      { option: 'batch_siz', file: 'dataset.toml', line: 7 },
      { option: 'num_repeats', file: 'dataset.toml', line: 8 },
    ]);
    await at.write(
      'dataset.toml',
      `${dataset}\n[[datasets]]\nvideo_directory = "videos"\n[[datasets]]\nimage_directory = "more"\nbatch_size = 0\n`,
    );
    expect(codes(await check('wan_cache_latents', `--vae ${vae}`))).toEqual([
      'error VIDEO_CACHING_UNSUPPORTED',
      'error OPTION_OUT_OF_RANGE',
    ]);
  });

  test('a tokenizer that would be fetched is a warning, and is not fetched', async () => {
    await setUp();
    const before = process.env['HF_HOME'];
    process.env['HF_HOME'] = at.path;
    try {
      expect(codes(await check('wan_cache_text_encoder_outputs', `--t5 ${t5}`))).toEqual([
        'warning TOKENIZER_NOT_FOUND',
      ]);
    } finally {
      if (before === undefined) delete process.env['HF_HOME'];
      else process.env['HF_HOME'] = before;
    }
  });
});
