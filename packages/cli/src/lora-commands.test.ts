import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type CliContext, processContext } from './context.ts';
import { runCli } from './run-cli.ts';

let folder: string;
const at = (name: string) => join(folder, name);
const tensor = (name: string, shape: number[], values: number[]) => ({
  name,
  dtype: 'F32' as const,
  shape,
  data: fromFloat32(Float32Array.from(values), 'F32'),
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-cli-lora-'));
  const up = tensor('lora_unet_q.lora_up.weight', [1, 1], [2]);
  for (const value of [1, 3]) {
    const down = tensor('lora_unet_q.lora_down.weight', [1, 2], [value, value]);
    await writeSafetensorsFile(at(`${value}.safetensors`), [down, up], { metadata: { ss_steps: String(value) } });
  }
  await writeSafetensorsFile(at('dit.safetensors'), [tensor('q.weight', [1, 2], [10, 20])]);
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...argv: string[]) => runIn({}, ...argv);
async function runIn(context: Partial<CliContext>, ...argv: string[]) {
  const written = { stdout: '', stderr: '' };
  const code = await runCli(argv, {
    ...processContext(),
    ...context,
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
    loadTrainer: () => Promise.reject(new Error('no trainer is needed')),
  });
  return { code, ...written };
}

async function read(name: string): Promise<Record<string, number[]>> {
  const store = await openSafetensorsFile(at(name));
  const entries = [...store.tensors.keys()].map(async (key) => [key, [...(await store.readFloat32(key))]] as const);
  return Promise.all(entries)
    .then((all) => Object.fromEntries(all) as Record<string, number[]>)
    .finally(() => store.close());
}

describe('lora_post_hoc_ema', () => {
  test('averages files', async () => {
    const output = at('ema.safetensors');
    const files = [at('1.safetensors'), at('3.safetensors')];
    const result = await run('lora_post_hoc_ema', ...files, '--no_sort', '--beta', '0.5', '--output_file', output);
    expect(result).toMatchObject({ code: 0, stdout: `Saved ${output}, the average of 2 files.\n` });
    expect(await read('ema.safetensors')).toEqual({
      'lora_unet_q.lora_down.weight': [2, 2],
      'lora_unet_q.lora_up.weight': [2],
    });
  });

  test('takes files behind the options, and the name of the script', async () => {
    const files = [at('1.safetensors'), at('3.safetensors')];
    const argv = ['--output_file', at('ema2.safetensors'), '--sigma_rel', '0.2', '--no_sort', ...files];
    expect(await run('lora_post_hoc_ema.py', ...argv)).toMatchObject({ code: 0 });
    // With two files the power function gives the older one no weight.
    expect((await read('ema2.safetensors'))['lora_unet_q.lora_down.weight']).toEqual([3, 3]);
  });
});

test('merge_lora merges with several factors', async () => {
  const loras = ['--lora_weight', at('1.safetensors'), at('3.safetensors'), '--lora_multiplier', '1', '-0.5'];
  const output = at('merged.safetensors');
  const result = await run(
    'merge_lora',
    '--dit',
    at('dit.safetensors'),
    ...loras,
    '--save_merged_model',
    output,
    '--device',
    'cuda',
  );
  expect(result).toEqual({
    code: 0,
    stdout: `Saved ${output}, 1 of its weights changed by 2 adapters.\n`,
    stderr: 'note: device: weights are merged on the CPU, one at a time\n',
  });
  expect(await read('merged.safetensors')).toEqual({ 'q.weight': [9, 19] });
});

test('Ctrl-C ends merge_lora with 130, and nothing is left of the file', async () => {
  const before = readdirSync(folder);
  const interrupted: Partial<CliContext> = {
    onInterrupt(callback) {
      callback();
      return () => {};
    },
  };
  const files = ['--dit', at('dit.safetensors'), '--lora_weight', at('1.safetensors')];
  const result = await runIn(interrupted, 'merge_lora', ...files, '--save_merged_model', at('never.safetensors'));
  expect(result).toEqual({ code: 130, stdout: '', stderr: 'Stopping; nothing will be written.\n' });
  expect(readdirSync(folder)).toEqual(before);
});

test('convert_lora converts there and back', async () => {
  const there = ['--input', at('1.safetensors'), '--output', at('other.safetensors'), '--target', 'other'];
  expect(await run('convert_lora', ...there, '--diffusers_prefix', 'transformer')).toMatchObject({ code: 0 });
  expect(Object.keys(await read('other.safetensors'))).toEqual([
    'transformer.q.lora_A.weight',
    'transformer.q.lora_B.weight',
  ]);
  const back = ['--input', at('other.safetensors'), '--output', at('back.safetensors'), '--target', 'default'];
  expect(await run('convert_lora', ...back)).toMatchObject({ code: 0 });
  expect(await read('back.safetensors')).toEqual({ ...(await read('1.safetensors')), 'lora_unet_q.alpha': [1] });
});

describe('mistakes', () => {
  test.each([
    [['lora_post_hoc_ema'], 'error: 2 problems\n  path is missing. Write the adapter files behind the command.\n'],
    [
      ['lora_post_hoc_ema', 'a', '--output_file', 'b', '--sigma_rel', '0.3'],
      'error: --sigma_rel 0.3: expected a number below 0.2887',
    ],
    [['lora_post_hoc_ema', 'a', '--output_file', 'b', '--beta', '2'], 'error: --beta 2: expected'],
    [
      ['merge_lora', '--lora_multiplier', '1', '2'],
      'error: 3 problems\n  --lora_multiplier 1 2: there are 2 factors for 0 files',
    ],
    [['convert_lora', '--target', 'comfy'], 'error: 3 problems\n  --target comfy: expected one of other, default'],
    [['convert_lora', '--input', 'absent', '--output', 'x', '--target', 'other'], 'error: '],
  ])('%j', async (argv, message) => {
    const result = await run(...argv);
    expect(result.stderr.startsWith(message), result.stderr).toBe(true);
    expect(result.code).toBe(2);
  });

  test('an output that is an input is refused', async () => {
    const argv = ['--input', at('1.safetensors'), '--output', at('1.safetensors'), '--target', 'other'];
    expect(await run('convert_lora', ...argv)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('one of the files to read'),
    });
    expect(existsSync(at('1.safetensors'))).toBe(true);
  });
});

test('help shows how to write it', async () => {
  const { stdout } = await run('lora_post_hoc_ema', '--help');
  expect(stdout).toMatch(/^Usage: musubi lora_post_hoc_ema PATH … \[OPTIONS\]\n/);
  expect(stdout).not.toContain('TOML');
});
