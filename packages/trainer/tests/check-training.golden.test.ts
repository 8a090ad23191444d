import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { examineCommand, resolveOptions } from '@musubi/config';
import { writeSafetensorsFile } from '@musubi/safetensors/node';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { goldenPath, isDefaultGolden } from '../../../tests/golden.ts';
import { type Finding, checkTraining, runTraining } from '../src/node.ts';
import { type RunFolder, openRunFolder, rewriteTensors, wanRuns } from './run-folder.ts';

const readText = (file: string) => readFile(file, 'utf8');
const [run = ''] = wanRuns;

test('the repository has a run', () => {
  if (isDefaultGolden) expect(wanRuns).toContain('wan_t2v');
});

async function check(options = ''): Promise<readonly Finding[]> {
  const argv = ['--config_file', 'config.toml', ...options.split(' ').filter((word) => word !== '')];
  const found = await examineCommand({ command: 'train', argv, readText });
  if (found.task !== 'train') throw new Error('another command');
  return checkTraining(found.config);
}

const told = (findings: readonly Finding[]) =>
  findings.map(({ severity, code, where: { option } }) => `${severity} ${code} ${option}`);

describe.runIf(run !== '')('a recorded run', () => {
  let at: RunFolder;
  beforeEach(async () => {
    at = await openRunFolder(run);
    await rm('output', { recursive: true, force: true });
  });
  afterEach(() => at.close());

  test('has nothing wrong, and looking at it changes nothing', async () => {
    const before = await listing();
    expect(await check()).toEqual([]);
    expect(await check('--output_dir new/folder')).toEqual([]);
    expect(await check('--int8_base --fp8_cache_dir new/cache')).toEqual([]);
    expect(await check('--training_artifacts new/graphs')).toEqual([]);
    expect(await check('--fp8_base --fp8_scaled')).toEqual([]);
    expect(await listing()).toEqual(before);
    expect(existsSync('new')).toBe(false);
  });

  test('tells of all mistakes at once', async () => {
    const wrong =
      '--optimizer_type Adamm --lr_scheduler cosin --dit my_lora.safetensors --base_weights none.safetensors ' +
      '--network_weights dit.safetensors --dit_high_noise none.safetensors --output_dir dit.safetensors --dataset_config none.toml --metadata_reso 1,2,3';
    expect(told(await check(wrong))).toEqual([
      'error METADATA_RESOLUTION metadata_reso',
      'error OPTION_CONFLICT timestep_boundary',
      'error FILE_NOT_FOUND dataset_config',
      'error UNKNOWN_OPTIMIZER optimizer_type',
      'error UNKNOWN_SCHEDULE lr_scheduler',
      'error UNSUPPORTED_MODEL dit',
      'error FILE_NOT_FOUND dit_high_noise',
      'error NOT_A_LORA network_weights',
      'error FILE_NOT_FOUND base_weights',
      'error OUTPUT_UNWRITABLE output_dir',
    ]);
  });

  // What a check refuses a run refuses too, in the same words.
  test.each([
    '--optimizer_type Adamm',
    '--optimizer_args nosuch=1',
    '--lr_scheduler cosin',
    '--lr_scheduler_type Nosuch',
    '--dit my_lora.safetensors',
    '--dit none.safetensors',
    '--task t2v-14B --model_config {"dim":5}',
    '--network_weights dit.safetensors',
    '--network_weights my_lora.safetensors --network_dim 3',
    '--base_weights none.safetensors',
    '--dataset_config none.toml',
    '--dit_high_noise none.safetensors --timestep_boundary 0.8',
    '--dit_high_noise my_lora.safetensors --timestep_boundary 0.8',
    '--output_dir dit.safetensors',
    '--min_timestep 999 --max_timestep 1000 --preserve_distribution_shape',
    '--network_args exclude_patterns=[r".*"]',
    '--int8_base --dit 8-bit.safetensors',
    '--fp8_base --fp8_scaled --dit 8-bit.safetensors',
    '--fp8_base --fp8_cache_dir config.toml',
    '--int8_base --fp8_cache_dir config.toml/below',
    '--training_artifacts config.toml',
    '--training_artifacts config.toml/below',
    '--int8_base --base_weights none.safetensors',
    process.platform === 'darwin' ? '--device dml' : '--device coreml',
  ])('%s', async (options) => {
    if (options.includes('8-bit')) {
      await rewriteTensors('dit.safetensors', '8-bit.safetensors', (tensor) =>
        tensor.name.includes('blocks') && tensor.shape.length === 2 ? { ...tensor, dtype: 'F8_E4M3' } : tensor,
      );
    }
    const [finding, ...others] = await check(options);
    expect([finding?.severity, others]).toEqual(['error', []]);
    const argv = ['--config_file', 'config.toml', ...options.split(' ')];
    const { config } = await resolveOptions({ command: 'train', argv, readText });
    const error = await runTraining(config).then(() => null, String);
    expect(error).toContain(finding?.message);
    if (finding?.remedy) expect(error).toContain(finding.remedy);
  });

  test('caches: those of another model, damaged ones, one without its text, one that the model refuses', async () => {
    const folder = await cacheFolder();
    const [first = '', second = '', third = ''] = (await readdir(folder)).filter((name) =>
      /\d+x\d+_wan\.safetensors$/.test(name),
    );
    await writeFile(join(folder, first), 'none');
    await rm(join(folder, second.replace(/_\d+x\d+_wan/, '_wan_te')));
    const changed = join(folder, third);
    await rewriteTensors(changed, changed, (tensor) => {
      const [channels = 0, ...size] = tensor.shape;
      const half = tensor.data.slice(0, tensor.data.length / 2);
      return { ...tensor, shape: [channels / 2, ...size], data: half };
    });
    const metadata = { architecture: 'hunyuan_video' };
    await writeSafetensorsFile(join(folder, 'other_0128x0096_wan.safetensors'), [], { metadata });
    await writeFile(join(folder, 'other_wan_te.safetensors'), '');
    const findings = await check();
    expect(findings.map(({ code }) => code).toSorted()).toEqual([
      'BATCH_UNFIT',
      'CACHE_OF_OTHER_MODEL',
      'CACHE_UNREADABLE',
      'TEXT_CACHE_MISSING',
      'TRUNCATED',
    ]);
  });

  test('caches that are older than the picture, of another caption, of another size, or of none', async () => {
    const folder = await cacheFolder();
    const names = (await readdir(folder)).flatMap((name) => /^(.*)_(\d+)x(\d+)_wan\.safetensors$/.exec(name) ?? []);
    const [, name = '', width = '', height = ''] = names;
    const pictures = folder.replace('cache', 'images');
    await mkdir(pictures, { recursive: true });
    const background = { r: 1, g: 2, b: 3 };
    const draw = (file: string, w: number, h: number) =>
      sharp({ create: { width: w, height: h, channels: 3, background } }).toFile(join(pictures, file));
    await draw(`${name}.png`, Number(width), Number(height));
    await draw('new.png', 64, 64);
    await writeFile(join(pictures, `${name}.txt`), 'another caption');
    await writeFile(join(pictures, 'new.txt'), 'a new picture');
    const late = new Date(Date.now() + 1e7);
    await utimes(join(pictures, `${name}.png`), late, late);

    const findings = (await check()).filter(({ where: { file } }) => file === folder);
    expect(findings.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      'warning CACHE_MISSING',
      'warning CACHE_STALE',
      'warning CACHE_STALE',
      'warning CACHE_STALE',
    ]);
    expect(findings[0]?.message).toContain('1 of 2 pictures have no latent cache');
    expect(findings[1]?.message).toContain('were changed after');
    expect(findings[2]?.message).toContain('another caption');
    expect(findings[3]?.message).toContain('belong to no picture any more');
  });
});

async function cacheFolder(): Promise<string> {
  const caches = (await readdir('cache', { recursive: true })).find((name) => /\d+x\d+_wan\.safetensors$/.test(name));
  const folder = join('cache', caches ?? '', '..');
  expect(existsSync(goldenPath('runs', run, folder))).toBe(true);
  return folder;
}

async function listing(): Promise<string[]> {
  const names = (await readdir('.', { recursive: true })).toSorted();
  return Promise.all(names.map(async (name) => `${name} ${(await stat(name)).mtimeMs}`));
}
