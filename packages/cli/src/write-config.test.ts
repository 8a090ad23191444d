import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { resolveOptions } from '@musubi/config';

import { writeConfig } from './write-config.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-write-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const minimal =
  '--dataset_config d.toml --dit dit.safetensors --network_module networks.lora_wan --optimizer_type AdamW --output_name a --output_dir';

const resolve = (argv: readonly string[]) =>
  resolveOptions({ command: 'train', argv, readText: (path) => readFile(path, 'utf8') });
const resolveHere = (...options: string[]) => resolve([...minimal.split(' '), folder, ...options]);
const path = () => join(folder, 'a.config.toml');

test('the file gives the same configuration, without secrets, and nothing else is left behind', async () => {
  const secrets = ['--wandb_api_key', 'key-of-wandb'];
  const options = [
    '--learning_rate',
    '1e-5',
    '--optimizer_args',
    'betas=(0.9,0.95)',
    '--seed',
    '7',
    '--log_with',
    'wandb',
  ];
  expect(writeConfig(await resolveHere(...options, ...secrets))).toBeNull();
  expect(readdirSync(folder)).toEqual(['a.config.toml']);
  expect(readFileSync(path(), 'utf8')).not.toMatch(/key-of|api_key/);

  const { config } = await resolve(['--config_file', path()]);
  const expected = (await resolveHere(...options)).config;
  const metadataText = { ...expected.metadataText, config_file: config.metadataText['config_file'] };
  expect(config).toEqual({ ...expected, metadataText });
});

test('it takes the place of an earlier one', async () => {
  writeFileSync(path(), 'x');
  expect(writeConfig(await resolveHere())).toBeNull();
  expect(readFileSync(path(), 'utf8')).toContain('output_name = "a"');
});

test('a file from which the options came is left alone', async () => {
  const text = `# mine\noutput_dir = ${JSON.stringify(folder)}\nseed = 9\n`;
  writeFileSync(path(), text);
  expect(writeConfig(await resolve([...minimal.split(' ').slice(0, -1), '--config_file', path()]))).toBeNull();
  expect(readFileSync(path(), 'utf8')).toBe(text);
});

test('where it cannot be written it is told, and what was there stays whole', async () => {
  mkdirSync(path());
  writeFileSync(join(path(), 'inside'), 'x');
  expect(writeConfig(await resolveHere())).toContain(`cannot be written to ${path()}`);
  expect(readdirSync(folder)).toEqual(['a.config.toml']);
  expect(readdirSync(path())).toEqual(['inside']);
});
