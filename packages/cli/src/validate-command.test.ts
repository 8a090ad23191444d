import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { validateCommand } from './validate-command.ts';

let before = '';
let folder = '';
beforeEach(() => {
  before = process.cwd();
  folder = mkdtempSync(join(tmpdir(), 'musubi-validate-'));
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true, force: true });
});

const config = `[model]
dit = "wan.safetensors"
dataset_config = "dataset.toml"
network_module = "networks.lora_wan"
learning_rat = 1e-4
optimizer_type = "Adamm"
output_dir = "output"
output_name = "my_lora"
`;

async function validate(...argv: string[]) {
  let stdout = '';
  const context = {
    stdout: { write: (text: string) => (stdout += text) },
    readText: (path: string) => readFile(path, 'utf8'),
  } as unknown as Parameters<typeof validateCommand>[1];
  const exitCode = await validateCommand(argv, context);
  return { exitCode, stdout: stdout.replaceAll(folder, 'FOLDER') };
}

test('mistakes of the configuration, of the dataset configuration and of files are listed together', async () => {
  writeFileSync('config.toml', config);
  writeFileSync('dataset.toml', '[general]\nresolutio = 64\n[[datasets]]\nimage_directory = 3\n');
  const { exitCode, stdout } = await validate('--config_file', 'config');
  expect(exitCode).toBe(2);
  expect(stdout).toMatchInlineSnapshot(`
    "error: config.toml, line 5: learning_rat in [model] is not an option of train. Did you mean "learning_rate"?
    error: dataset.toml, line 2: general.resolutio is not an option here. Did you mean "resolution"?
    error: dataset.toml, line 4: datasets[0].image_directory is 3; it has to be text in quotes.
    error: config.toml, line 6: optimizer_type = "Adamm" is not an optimizer known here. Did you mean "AdamW"? Known: AdamW, Adam, Adafactor, SGD, RAdam, NAdam, Adagrad, RMSprop, Adamax, schedulefree.AdamWScheduleFree, schedulefree.SGDScheduleFree, schedulefree.RAdamScheduleFree, prodigyopt.Prodigy, lion_pytorch.Lion, AdamW8bit, bitsandbytes.optim.PagedAdamW8bit.
    error: config.toml, line 2: dit = "wan.safetensors": the file does not exist. Check the path.
    5 errors.
    "
  `);
});

test('--json has the same as data', async () => {
  writeFileSync('config.toml', config);
  writeFileSync('dataset.toml', '[[datasets]]\nimage_directory = "none"\n');
  const { exitCode, stdout } = await validate('train', '--json', '--config_file', 'config.toml');
  expect(exitCode).toBe(2);
  const report = JSON.parse(stdout);
  expect(Object.keys(report)).toEqual(['ok', 'command', 'findings']);
  expect(report).toMatchInlineSnapshot(`
    {
      "command": "train",
      "findings": [
        {
          "code": "UNKNOWN_OPTION",
          "message": "config.toml, line 5: learning_rat in [model] is not an option of train.",
          "remedy": "Did you mean "learning_rate"?",
          "severity": "error",
          "where": {
            "file": "config.toml",
            "line": 5,
            "option": "learning_rat",
          },
        },
        {
          "code": "NO_TRAINING_ITEMS",
          "message": "There is nothing to train on: no *_wan.safetensors with its *_wan_te.safetensors. Looked in "none", which does not exist.",
          "remedy": "Cache latents and text encoder outputs with this dataset configuration, or correct cache_directory.",
          "severity": "error",
          "where": {
            "file": "config.toml",
            "line": 3,
            "option": "dataset_config",
          },
        },
        {
          "code": "UNKNOWN_OPTIMIZER",
          "message": "optimizer_type = "Adamm" is not an optimizer known here.",
          "remedy": "Did you mean "AdamW"? Known: AdamW, Adam, Adafactor, SGD, RAdam, NAdam, Adagrad, RMSprop, Adamax, schedulefree.AdamWScheduleFree, schedulefree.SGDScheduleFree, schedulefree.RAdamScheduleFree, prodigyopt.Prodigy, lion_pytorch.Lion, AdamW8bit, bitsandbytes.optim.PagedAdamW8bit.",
          "severity": "error",
          "where": {
            "file": "config.toml",
            "line": 6,
            "option": "optimizer_type",
          },
        },
        {
          "code": "FILE_NOT_FOUND",
          "message": "dit = "wan.safetensors": the file does not exist.",
          "remedy": "Check the path.",
          "severity": "error",
          "where": {
            "file": "config.toml",
            "line": 2,
            "option": "dit",
          },
        },
      ],
      "ok": false,
    }
  `);
});

test('a file that is not there, or no TOML, is a finding too', async () => {
  expect((await validate('--config_file', 'none')).stdout).toMatch(
    /^error: The configuration file none.toml does not exist\./,
  );
  writeFileSync('config.toml', 'dit = "a\n');
  expect((await validate('--config_file', 'config')).stdout).toContain('error: config.toml, line 1, column');
});

test.each([
  [['--vae', 'v.safetensors'], 'vae = "v.safetensors"'],
  [['--t5', 't.safetensors'], 't5 = "t.safetensors"'],
  [['cache_latents', '--architecture', 'wan', '--vae', 'v.safetensors'], 'vae = "v.safetensors"'],
  [['wan_cache_latents.py', '--vae', 'v.safetensors'], 'vae = "v.safetensors"'],
])('%j is a caching run', async (argv, message) => {
  const { exitCode, stdout } = await validate(...argv, '--dataset_config', 'dataset.toml');
  expect(exitCode).toBe(2);
  expect(stdout).toContain(`error: ${message}: `);
  expect(stdout).toContain('error: dataset.toml does not exist.');
});

test('other commands are refused by name', async () => {
  await expect(validate('quantize', 'a', 'b', '--architecture', 'wan')).rejects.toThrow(
    'validate does not know quantize.',
  );
  await expect(validate('--help').then(({ stdout }) => stdout)).resolves.toMatch(/^Usage: musubi validate/);
});
