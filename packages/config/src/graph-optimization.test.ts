import { expect, test } from 'vitest';

import { resolveOptions } from './resolve-options.ts';

const minimal =
  '--dataset_config d.toml --dit dit.safetensors --network_module networks.lora_wan --optimizer_type AdamW --output_dir out --output_name a';
const resolve = (argv: string) =>
  resolveOptions({ command: 'train', argv: `${minimal} ${argv}`.trim().split(' '), readText: () => '' });

test.each([
  ['', 'basic', false],
  ['--dynamo_backend NO --dynamo_mode max-autotune', 'basic', false],
  ['--dynamo_backend INDUCTOR', 'basic', false],
  ['--dynamo_backend INDUCTOR --dynamo_mode max-autotune --dynamo_fullgraph', 'all', true],
  ['--compile_mode max-autotune --compile_fullgraph', 'basic', false],
  ['--compile', 'basic', false],
  ['--compile --compile_mode max-autotune-no-cudagraphs', 'all', false],
  ['--compile --compile_fullgraph', 'basic', true],
])('"%s" is level %s', async (argv, level, onDeviceOnly) => {
  expect((await resolve(argv)).config.graphOptimization).toEqual({ level, onDeviceOnly });
});

test('fixed shapes are refused where something is compiled', async () => {
  await expect(resolve('--compile --compile_dynamic false')).rejects.toMatchObject({ option: 'compile_dynamic' });
  await expect(resolve('--compile_dynamic false')).resolves.toBeDefined();
});
