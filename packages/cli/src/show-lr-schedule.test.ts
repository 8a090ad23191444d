import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { processContext } from './context.ts';
import { runCli } from './run-cli.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-show-lr-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Neither the checkpoint nor the data set is there, and no trainer can be loaded: they are not needed. */
async function show(...more: string[]) {
  const given = Object.entries({
    dataset_config: join(folder, 'd.toml'),
    dit: join(folder, 'dit.safetensors'),
    network_module: 'networks.lora_wan',
    optimizer_type: 'AdamW',
    learning_rate: '1e-3',
    lr_scheduler: 'linear',
    lr_warmup_steps: '2',
    max_train_steps: '6',
    output_dir: join(folder, 'out'),
    output_name: 'my_lora',
  }).flatMap(([name, value]) => (more.includes(`--${name}`) ? [] : [`--${name}`, value]));
  const written = { stdout: '', stderr: '' };
  const exitCode = await runCli(['train', ...given, '--show_lr_schedule', ...more], {
    ...processContext(),
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    loadTrainer: () => Promise.reject(new Error('nothing is trained')),
  });
  return { ...written, exitCode };
}

test('as text, a line for each step of a short run', async () => {
  const { stdout, stderr, exitCode } = await show('console');
  expect([stderr, exitCode]).toEqual(['', 0]);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.map((line) => line.replace(/ #+$/, ''))).toEqual([
    '0-0: 0.000e+0',
    '1-1: 5.000e-4',
    '2-2: 1.000e-3',
    '3-3: 7.500e-4',
    '4-4: 5.000e-4',
    '5-5: 2.500e-4',
  ]);
  expect(readdirSync(folder)).toEqual([]);
});

test('as a picture', async () => {
  const path = join(folder, 'out', 'my_lora-learning-rates.png');
  expect(await show('image')).toEqual({ stdout: `${path}\n`, stderr: '', exitCode: 0 });
  expect(readdirSync(join(folder, 'out'))).toEqual(['my_lora-learning-rates.png']);
  const png = readFileSync(path);
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([700, 380]);
});

test.each([
  ['Adafactor chooses its learning rates while it trains', '--optimizer_type', 'Adafactor', '--lr_warmup_steps', '0'],
  ['"cosin" is not a schedule. Did you mean "cosine"?', '--lr_scheduler', 'cosin'],
])('%s: is told in a line', async (says, ...options) => {
  const { stdout, stderr, exitCode } = await show('console', ...options);
  expect([stdout, exitCode]).toEqual(['', expect.toBeOneOf([1, 2])]);
  expect(stderr).toContain(says);
  expect(stderr).not.toMatch(/^ {2}at /m);
});
