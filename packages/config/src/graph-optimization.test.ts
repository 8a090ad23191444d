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
  expect((await resolve(argv)).config.graphOptimization).toEqual({ level, onDeviceOnly, fixedShapes: false });
});

test.each([
  ['--compile --compile_dynamic false', true],
  ['--compile --compile_dynamic true', false],
  ['--compile --compile_dynamic auto', false],
  ['--compile_dynamic false', false],
])('"%s" fixes shapes: %s', async (argv, fixedShapes) => {
  expect((await resolve(argv)).config.graphOptimization).toMatchObject({ fixedShapes });
});
